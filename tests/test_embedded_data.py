"""The data of an embedded server: kept over stops and crashes, and never lost silently when it is damaged."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import redis
from servers import EmbeddedServer, connected, eventually, kill, refused, stored_data

from rvlstate.runtime import server_trouble
from rvlstate.runtime.embedded import server_status, start_server, stop_server
from rvlstate.runtime.server_binary import wheel_executable

START = "import sys, pathlib; from rvlstate.runtime.embedded import start_server; "


def add_products(client: Any) -> None:
    """An index with an alias over three documents."""
    client.execute_command("FT.CREATE", "products@1", "PREFIX", "1", "p:", "SCHEMA", "name", "TEXT")
    client.execute_command("FT.ALIASADD", "products", "products@1")
    client.execute_command("FT.ALTER", "products@1", "SCHEMA", "ADD", "brand", "TAG")
    for number in range(3):
        client.hset(f"p:{number}", mapping={"name": "shoe", "brand": "acme"})


def expect_products(server: EmbeddedServer) -> None:
    """The index, its alias, its added field and its documents are there."""
    with connected(server, protocol=2) as client:
        assert client.execute_command("FT._LIST") == [b"products@1"]
        search = ("FT.SEARCH", "products", "@brand:{acme}", "LIMIT", "0", "0")
        eventually(lambda: client.execute_command(*search) == [3])


def test_data_and_indexes_survive_stop_and_start(server_folder: Path) -> None:
    """Documents, index, alias and altered field are there again."""
    with connected(start_server(server_folder)) as client:
        add_products(client)
    stop_server(server_folder)
    expect_products(start_server(server_folder))


def test_data_and_indexes_survive_kill_9(server_folder: Path) -> None:
    """What was on the disk is there, and the leftovers of the dead server do not hinder the next."""
    dead = start_server(server_folder)
    with connected(dead) as client:
        add_products(client)
    kill(dead)
    server = start_server(server_folder)
    assert server.pid != dead.pid
    expect_products(server)


def test_data_and_indexes_survive_a_rewrite_of_the_append_only_file(server_folder: Path) -> None:
    """The compacted form keeps indexes and aliases too."""
    with connected(start_server(server_folder)) as client:
        add_products(client)
        client.bgrewriteaof()
        eventually(lambda: not client.info("persistence")["aof_rewrite_in_progress"])
    stop_server(server_folder)
    assert list((server_folder / "appendonlydir").glob("*.2.base.rdb"))
    expect_products(start_server(server_folder))


def test_start_waits_until_the_data_is_loaded(server_folder: Path) -> None:
    """Both the process that starts a server and one that joins it meanwhile get it ready, not LOADING."""
    with connected(start_server(server_folder)) as client:
        client.mset({f"key:{number}": "x" * 100 for number in range(1500)})
        client.bgrewriteaof()
        eventually(lambda: not client.info("persistence")["aof_rewrite_in_progress"])
    stop_server(server_folder)
    slow = "options={'key-load-delay': '1000', 'loading-process-events-interval-bytes': '1024'}"
    command = [sys.executable, "-c", START + f"start_server(pathlib.Path(sys.argv[1]), {slow})", str(server_folder)]
    with subprocess.Popen(command) as starter:
        eventually(lambda: server_status(server_folder) is not None)
        began = time.monotonic()
        server = start_server(server_folder)
        assert time.monotonic() - began > 0.2, "it was not loading any more: the test shows nothing"
        with connected(server) as client:
            assert client.dbsize() == 1500
        assert starter.wait(timeout=30) == 0


def test_a_full_disk_while_running(server_folder: Path) -> None:
    """Joining and stopping say that the data cannot be saved; the status is still told."""
    incr = stored_data(server_folder) / "appendonly.aof.2.incr.aof"
    saved = incr.read_bytes()
    incr.unlink()
    incr.symlink_to("/dev/full")  # every write to it fails with "No space left on device"
    server = start_server(server_folder)
    with connected(server) as client:
        client.set("c", "answered before it could be written")
        with pytest.raises(redis.ResponseError, match="MISCONF"):
            client.set("c", "refused")
        what = f"{server_folder}: the embedded server cannot write its data to the disk\n"
        stopping, joining = refused(lambda: stop_server(server_folder)), refused(lambda: start_server(server_folder))
    assert stopping.startswith(what + "  Stopping it now would lose the changes that are not on the disk yet.\n")
    assert joining.startswith(what + "  It refuses all changes until it can write again.\n")
    assert "Error writing to the AOF file: No space left on device" in joining
    assert joining.endswith("Next: free some space; the server tries again each second and then goes on by itself.")
    assert server_status(server_folder) == server
    os.kill(server.pid, signal.SIGKILL)
    incr.unlink()
    incr.write_bytes(saved)


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("appendonly.aof.2.incr.aof", b"garbage\r\n"),
        ("appendonly.aof.2.incr.aof", b"*2\r\n$7\r\nNOSUCHC\r\n$1\r\na\r\n"),
        ("appendonly.aof.2.base.rdb", b"garbage"),
        ("appendonly.aof.2.base.rdb", b"REDIS0012"),
        ("appendonly.aof.manifest", b"garbage\n"),
        ("appendonly.aof.2.base.rdb", None),
        ("appendonly.aof.2.incr.aof", None),
    ],
)
def test_damaged_data(server_folder: Path, file: str, damage: bytes | None) -> None:
    """The message says so, shows the server's own words, and how to repair or to begin anew."""
    data = stored_data(server_folder)
    (data / file).unlink() if damage is None else (data / file).write_bytes(damage)
    lines = refused(lambda: start_server(server_folder)).splitlines()
    assert lines[:3] == [
        f"{server_folder}: the embedded server does not start",
        "  Its data files are damaged.",
        "  It said last:",
    ]
    assert len(lines) == 3 + server_trouble.LOG_LINES + 1
    assert lines[-1] == (
        f"  Next: copy {server_folder} to a safe place, then try to repair it with: "
        f"redis-check-aof --fix {data}/appendonly.aof.manifest; or delete {server_folder} to start empty."
    )


def test_the_repair_that_is_proposed_works(server_folder: Path) -> None:
    """redis-check-aof is the server under another name; it cuts off the damaged end, and the rest is there."""
    data = stored_data(server_folder)
    with (data / "appendonly.aof.2.incr.aof").open("ab") as incr:
        incr.write(b"garbage\r\n")
    assert "damaged" in refused(lambda: start_server(server_folder))
    executable = wheel_executable()
    assert executable is not None
    tool = server_folder / "redis-check-aof"
    tool.symlink_to(executable)
    command = [str(tool), "--fix", str(data / "appendonly.aof.manifest")]
    subprocess.run(command, input=b"y\n", check=True, capture_output=True)
    with connected(start_server(server_folder)) as client:
        assert client.dbsize() == 100


def test_data_of_a_newer_server(server_folder: Path) -> None:
    """A format from the future is told apart from damage."""
    base = stored_data(server_folder) / "appendonly.aof.2.base.rdb"
    base.write_bytes(b"REDIS0099" + base.read_bytes()[9:])
    said = refused(lambda: start_server(server_folder))
    assert "  Its data was written by a newer Redis than the one found now (" in said
    assert said.endswith(
        "Next: use the newer server again, by RVLSTATE_REDIS_SERVER or the PATH; "
        f"or delete {server_folder} to start empty."
    )


def test_a_lost_manifest_does_not_lose_the_data(server_folder: Path) -> None:
    """Redis would start empty and write over the data, so nothing is started."""
    manifest = stored_data(server_folder) / "appendonly.aof.manifest"
    content = manifest.read_bytes()
    manifest.unlink()
    assert refused(lambda: start_server(server_folder)) == (
        f"{manifest}: the data of the embedded server lacks its manifest\n"
        "  Without this file, Redis would start empty and write over the data.\n"
        f"  Next: restore it from a backup, or move {manifest.parent} away to start empty."
    )
    manifest.write_bytes(content)
    with connected(start_server(server_folder)) as client:
        assert client.dbsize() == 100


def test_a_killed_first_start_is_not_taken_for_lost_data(server_folder: Path) -> None:
    """The first base file holds nothing, so its being alone is harmless."""
    start_server(server_folder)
    stop_server(server_folder)
    (server_folder / "appendonlydir" / "appendonly.aof.manifest").unlink()
    (server_folder / "appendonlydir" / "appendonly.aof.1.incr.aof").unlink()
    assert start_server(server_folder).pid
