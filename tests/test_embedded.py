"""The life of an embedded server: one for each folder, whoever asks, until it is stopped."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from conftest import NewServer
from servers import EmbeddedServer, connected, connected_to_cluster, discard, eventually, kill

from rvlstate.errors import EmbeddedServerError
from rvlstate.runtime import embedded
from rvlstate.runtime.embedded import server_status, start_server, stop_server

START = "import sys, pathlib; from rvlstate.runtime.embedded import start_server; "
START_AND_TELL = START + "print(start_server(pathlib.Path(sys.argv[1])).pid)"


def test_a_started_server_has_search_and_json(server_folder: Path) -> None:
    """What start_server returns can be used at once."""
    server = start_server(server_folder)
    with redis.from_url(server.url) as client:
        names = {module[b"name"] for module in client.module_list()}
        assert {b"search", b"ReJSON"} <= names
        assert client.info("server")["process_id"] == server.pid


def test_a_server_on_a_unix_socket_has_no_port(server_folder: Path) -> None:
    """The default is a socket in the folder, and nothing listens on TCP."""
    server = start_server(server_folder)
    assert server.url == f"unix://{server_folder}/redis.sock"
    with connected(server) as client:
        assert client.config_get("port") == {"port": "0"}


def test_only_the_owner_may_look_into_the_folder(server_folder: Path) -> None:
    """The folder is made, or made private, with mode 0700, and git is told to leave its content alone."""
    server_folder.mkdir(mode=0o755)
    start_server(server_folder)
    assert stat.S_IMODE(server_folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((server_folder / "redis.sock").stat().st_mode) == 0o700
    assert (server_folder / ".gitignore").read_text() == "*\n"


def test_starting_again_joins_the_running_server(server_folder: Path) -> None:
    """The second start, and the status, give the same server, by whatever name of the folder."""
    server = start_server(server_folder)
    assert start_server(server_folder) == server
    assert server_status(server_folder) == server
    link = server_folder.with_name(f"{server_folder.name}-link")
    link.symlink_to(server_folder)
    assert start_server(link) == server
    link.unlink()


def test_six_processes_at_once_get_one_server(server_folder: Path) -> None:
    """However many ask at the same moment, one server is started."""
    command = [sys.executable, "-c", START_AND_TELL, str(server_folder)]
    asking = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(6)]
    answers = [process.communicate(timeout=60) for process in asking]
    assert [errors for _, errors in answers] == [b""] * 6
    pids = {int(pid) for pid, _ in answers}
    status = server_status(server_folder)
    assert status is not None
    assert pids == {status.pid}


def test_the_server_survives_its_starter_and_ctrl_c(server_folder: Path) -> None:
    """A SIGINT to the whole process group of the starter does not reach the server."""
    wait = START + "start_server(pathlib.Path(sys.argv[1])); print('up', flush=True); import time; time.sleep(60)"
    command = [sys.executable, "-c", wait, str(server_folder)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    ) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == b"up\n"
        before = server_status(server_folder)
        os.killpg(starter.pid, signal.SIGINT)
        assert starter.wait(timeout=30) != 0
    assert before is not None
    assert server_status(server_folder) == before


def test_stop_tells_whether_there_was_a_server(server_folder: Path) -> None:
    """Stopping is idempotent, makes no folder, and leaves neither process nor socket."""
    assert stop_server(server_folder) is False
    assert server_status(server_folder) is None
    assert not server_folder.exists()
    start_server(server_folder)
    assert stop_server(server_folder) is True
    assert stop_server(server_folder) is False
    assert server_status(server_folder) is None
    assert not (server_folder / "redis.sock").exists()
    assert not (server_folder / "server.pid").exists()


def test_a_stale_pid_file_and_socket_are_no_server(server_folder: Path) -> None:
    """After a crash, the status says none, and starting works."""
    dead = start_server(server_folder)
    kill(dead)
    eventually(lambda: server_status(server_folder) is None)
    assert (server_folder / "server.pid").read_text().strip() == str(dead.pid)
    assert (server_folder / "redis.sock").exists()
    assert stop_server(server_folder) is False
    assert start_server(server_folder).pid != dead.pid


def test_a_pid_that_belongs_to_another_program_now_is_left_alone(server_folder: Path) -> None:
    """The process number of a dead server is not trusted: its new owner is neither taken for a server nor ended."""
    kill(start_server(server_folder))
    eventually(lambda: server_status(server_folder) is None)
    with subprocess.Popen(["sleep", "60"]) as innocent:
        (server_folder / "server.pid").write_text(f"{innocent.pid}\n")
        assert server_status(server_folder) is None
        assert stop_server(server_folder) is False
        assert start_server(server_folder).pid != innocent.pid
        assert stop_server(server_folder) is True
        assert innocent.poll() is None
        innocent.kill()


def test_a_folder_too_deep_for_a_socket_gets_a_loopback_port(server_folder: Path) -> None:
    """Where the path of the socket would be refused by the system, 127.0.0.1 is used, and nothing else."""
    deep = server_folder / ("d" * 60) / ("e" * 60)
    server = start_server(deep)
    assert server.url.startswith("redis://127.0.0.1:")
    with connected(server) as client:
        assert client.config_get("bind") == {"bind": "127.0.0.1"}
    assert start_server(deep) == server
    assert stop_server(deep) is True


@pytest.mark.parametrize(("length", "scheme"), [(100, "unix"), (101, "redis")])
def test_the_longest_path_of_a_socket(server_folder: Path, length: int, scheme: str) -> None:
    """A path of 100 bytes still works as a unix socket; a longer one is not tried."""
    folder = server_folder / ("d" * (length - len(f"{server_folder}//redis.sock")))
    server = start_server(folder)
    assert server.url.startswith(f"{scheme}://")
    with redis.from_url(server.url) as client:
        assert client.ping() is True
    stop_server(folder)


def test_a_port_that_belongs_to_another_server_now_is_left_alone(
    server_folder: Path, cluster_server: EmbeddedServer
) -> None:
    """A recorded port says nothing by itself: the server behind it must work for this folder."""
    foreign = cluster_server.url.rpartition(":")[2]
    deep = server_folder / ("d" * 60) / ("e" * 60)
    kill(start_server(deep))
    eventually(lambda: server_status(deep) is None)
    record = deep / "server.json"
    own = start_server(deep).url.rpartition(":")[2]
    stop_server(deep)
    record.write_text(record.read_text().replace(own, foreign))
    assert server_status(deep) is None
    assert stop_server(deep) is False
    assert start_server(deep).pid != cluster_server.pid
    assert stop_server(deep) is True


def test_a_port_taken_at_the_last_moment_is_replaced(server_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If another program grabs the chosen port first, another one is chosen."""
    choose = embedded.free_ports
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        ports: Iterator[tuple[int, int]] = iter([(taken.getsockname()[1], choose()[1]), choose()])
        monkeypatch.setattr(embedded, "free_ports", lambda: next(ports))
        server = start_server(server_folder, cluster=True)
        assert not server.url.endswith(f":{taken.getsockname()[1]}")


def test_awkward_folder_names_work(server_folder: Path) -> None:
    """Spaces, quotes, percent signs, braces and letters beyond ASCII are all just names."""
    folder = server_folder / "a b'\"%20{x}é#?"
    server = start_server(folder)
    with redis.from_url(server.url) as client:
        assert client.ping() is True
    assert stop_server(folder) is True


def test_a_single_node_cluster_owns_all_slots_and_keeps_its_data(server_folder: Path) -> None:
    """Slot-aware clients can use it at once, also after a restart."""
    server = start_server(server_folder, cluster=True)
    assert server.cluster
    assert server.url.startswith("redis+cluster://127.0.0.1:")
    with connected_to_cluster(server) as client:
        client.set("{a}key", "1")
        client.set("{b}key", "2")
    kill(server)
    with connected_to_cluster(start_server(server_folder, cluster=True)) as client:
        assert client.cluster_info()["cluster_slots_ok"] == "16384"
        assert (client.get("{a}key"), client.get("{b}key")) == (b"1", b"2")


def test_slots_are_given_once(cluster_server: EmbeddedServer, server: EmbeddedServer) -> None:
    """Two processes that form the same cluster do not trip over each other; any other refusal is not hidden."""
    with connected(cluster_server) as client:
        embedded.own_all_slots(client)
    with connected(server) as client, pytest.raises(redis.ResponseError, match="cluster support disabled"):
        embedded.own_all_slots(client)


def test_a_folder_stays_a_cluster_or_a_single_server(server_folder: Path, server: EmbeddedServer) -> None:
    """Joining with the other mode is refused, whether the server runs or not."""
    message = (
        f"{server.folder}: this folder belongs to a single server, not to a single-node cluster\n"
        "  A folder stays what it was at its first start, because the two lay out their indexes differently.\n"
        "  Next: name another folder in embedded://DIR."
    )
    with pytest.raises(EmbeddedServerError) as running:
        start_server(server.folder, cluster=True)
    assert str(running.value) == message
    start_server(server_folder)
    stop_server(server_folder)
    with pytest.raises(EmbeddedServerError, match="belongs to a single server"):
        start_server(server_folder, cluster=True)


def test_further_settings_reach_the_server(new_server: NewServer) -> None:
    """Options are settings of Redis for a server that is started."""
    with connected(new_server(options={"maxmemory": "20mb"})) as client:
        assert client.config_get("maxmemory") == {"maxmemory": str(20 * 1024 * 1024)}


def test_a_server_that_cannot_stop_yet_is_told_again(new_server: NewServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """While its first append-only file is written, Redis refuses to stop; stopping then waits for that."""
    server = new_server(options={"appendonly": "no", "rdb-key-save-delay": "1000"})
    with connected(server) as client:
        client.mset({f"key:{number}": "x" for number in range(1000)})
        client.config_set("appendonly", "yes")
        with pytest.raises(redis.ResponseError, match="Errors trying to SHUTDOWN"):
            client.execute_command("SHUTDOWN")
    with monkeypatch.context() as impatient:
        impatient.setattr(embedded, "STOP_SECONDS", 0.1)
        with pytest.raises(EmbeddedServerError) as error:
            stop_server(server.folder)
    assert str(error.value).startswith(f"{server.folder}: the embedded server does not stop\n  It was told to save and")
    assert "    Writing initial AOF, can't exit." in str(error.value)
    assert stop_server(server.folder) is True
    with connected(start_server(server.folder)) as client:
        assert client.dbsize() == 1000


def test_a_suspended_server_is_discarded_after_a_test(server_folder: Path) -> None:
    """Tests leave no server behind, whatever state they put it into."""
    server = start_server(server_folder)
    os.kill(server.pid, signal.SIGSTOP)
    discard(server_folder)
    eventually(lambda: not Path(f"/proc/{server.pid}/fd/0").exists())


def test_no_server_is_left_when_the_tests_are_killed(tmp_path: Path) -> None:
    """The warden stops the servers of a test process that had no chance to do so."""
    program = (
        "import sys, time; sys.path.insert(0, sys.argv[1]); from servers import *\n"
        "with guarded_root() as root:\n"
        "    print(start_server(root / 'a').folder, flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", program, str(Path(__file__).parent)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=tmp_path) as tests:
        assert tests.stdout is not None
        folder = Path(os.fsdecode(tests.stdout.readline().strip()))
        assert server_status(folder) is not None
        tests.kill()
    eventually(lambda: not folder.parent.exists())
    assert server_status(folder) is None
