"""What an embedded server says when it cannot be started, reached, or stopped: what, why, and what to do next."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from servers import connected, refused, rewrite

from rvlstate.runtime import server_folder as folder_module
from rvlstate.runtime import server_process, server_trouble
from rvlstate.runtime.embedded import server_status, start_server, stop_server
from rvlstate.runtime.server_binary import SERVER_VARIABLE
from rvlstate.runtime.server_folder import open_folder, starting_or_stopping

NO_FOLDER = "  Next: name a folder in embedded://DIR."
TELL = (
    "try: start_server(pathlib.Path(sys.argv[1]))\n"
    "except EmbeddedServerError as error: print(error)\n"
    "else: print('started'); stop_server(pathlib.Path(sys.argv[1]))"
)
IMPORTS = (
    "import os, sys, pathlib\n"
    "from rvlstate.errors import EmbeddedServerError\n"
    "from rvlstate.runtime.embedded import start_server, stop_server\n"
)


def start_elsewhere(folder: Path, before: str = "", prefix: tuple[str, ...] = ()) -> str:
    """What a process of its own says after trying to start a server, having run `before`."""
    command = [*prefix, sys.executable, "-c", f"{IMPORTS}{before}\n{TELL}", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    return done.stdout


def test_a_file_in_place_of_the_folder(server_folder: Path) -> None:
    """embedded://DIR must name a folder."""
    server_folder.write_text("")
    expected = f"{server_folder}: cannot be used for the embedded server\n  It is a file.\n{NO_FOLDER}"
    for call in (start_server, stop_server, server_status):
        assert refused(lambda call=call: call(server_folder)) == expected  # type: ignore[misc]
    server_folder.unlink()


def test_a_file_in_the_way_of_the_folder(server_folder: Path) -> None:
    """The parents of DIR must be folders."""
    server_folder.write_text("")
    below = server_folder / "redis"
    expected = f"{below}: cannot be used for the embedded server\n  A part of the path is a file.\n{NO_FOLDER}"
    assert refused(lambda: start_server(below)) == expected
    server_folder.unlink()


def test_a_folder_with_other_content(server_folder: Path) -> None:
    """A project folder named by mistake is neither closed to others nor littered."""
    server_folder.mkdir(mode=0o755)
    (server_folder / "README.md").write_text("")
    assert refused(lambda: start_server(server_folder)) == (
        f"{server_folder}: the folder is not empty and not one of an embedded server\n"
        "  It holds README.md.\n"
        "  Next: name a new or an empty folder in embedded://DIR."
    )
    assert [entry.name for entry in server_folder.iterdir()] == ["README.md"]


def test_a_folder_that_this_user_may_not_write(server_folder: Path) -> None:
    """The owner is to be changed, or another folder named."""
    server_folder.mkdir()
    server_folder.chmod(0o500)
    server_folder.parent.chmod(0o755)
    # The superuser may write everywhere, so the attempt is made as somebody else.
    owner = f"os.chown('{server_folder}', 65534, 65534); os.setgid(65534); os.setuid(65534)"
    said = start_elsewhere(server_folder / "redis", f"if os.geteuid() == 0: {owner}")
    assert said == (
        f"{server_folder / 'redis'}: cannot be used for the embedded server\n"
        "  This user may not use it.\n"
        "  Next: change its owner, or name another folder in embedded://DIR.\n"
    )


def test_a_full_disk_at_the_start(server_folder: Path) -> None:
    """Nothing can be written: the message says that the disk is full, and starting works once it is not."""
    server_folder.mkdir()
    mount = f'mount -t tmpfs -o size=64k tmpfs "{server_folder}" && exec "$@"'
    prefix = ("unshare", "--mount", "--map-root-user", "sh", "-c", mount, "sh")
    if (
        shutil.which("unshare") is None
        or subprocess.run([*prefix, "true"], check=False, capture_output=True).returncode
    ):
        pytest.skip("this system lets nobody mount a small disk in a namespace of its own")
    fill = f"try: open('{server_folder}/filler', 'wb').write(bytes(100000))\nexcept OSError: pass"
    said = start_elsewhere(server_folder / "redis", fill, prefix)
    assert said == (
        f"{server_folder / 'redis'}: cannot be used for the embedded server\n"
        "  The disk is full.\n"
        "  Next: free some space, then run the command again.\n"
    )


def test_a_setting_that_redis_refuses(server_folder: Path) -> None:
    """The words of a server that refuses its settings are shown."""
    said = refused(lambda: start_server(server_folder, options={"no-such-setting": "1"}))
    assert said.startswith(f"{server_folder}: the embedded server does not start\n  The server found (")
    assert "no-such-setting" in said
    assert said.endswith(f"Next: read {server_folder}/server.log, mend what it names, and run the command again.")


def test_a_binary_that_works_in_the_trial_only(server_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that dies without a word is told as one that said nothing."""
    server_folder.mkdir()
    fickle = server_folder / ".fickle"
    fickle.write_text('#!/bin/sh\ncase "$*" in *daemonize*) exit 9;; esac\necho "Module \'search\' loaded"\n')
    fickle.chmod(0o755)
    monkeypatch.setenv(SERVER_VARIABLE, str(fickle))
    assert refused(lambda: start_server(server_folder)) == (
        f"{server_folder}: the embedded server does not start\n"
        f"  The server found ({SERVER_VARIABLE}={fickle}) ended by itself.\n"
        "  It said nothing.\n"
        f"  Next: read {server_folder}/server.log, mend what it names, and run the command again."
    )


def test_a_binary_that_stays_in_the_foreground(server_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that ignores `daemonize` is ended and told, instead of waited for."""
    monkeypatch.setattr(server_process, "LAUNCH_SECONDS", 0.2)
    server_folder.mkdir()
    stubborn = server_folder / ".stubborn"
    stubborn.write_text('#!/bin/sh\ncase "$*" in *daemonize*) exec sleep 60;; esac\necho "Module \'search\' loaded"\n')
    stubborn.chmod(0o755)
    monkeypatch.setenv(SERVER_VARIABLE, str(stubborn))
    said = refused(lambda: start_server(server_folder))
    assert "  It said last:\n    It did not go into the background within 0 s.\n" in said


def test_a_server_that_dies_while_it_loads(server_folder: Path) -> None:
    """Whoever waits for the data is told, with the end of the log."""
    with connected(start_server(server_folder)) as client:
        client.mset({f"key:{number}": os.urandom(200) for number in range(500)})
        rewrite(client)
    stop_server(server_folder)
    slow = "options={'key-load-delay': '4000', 'loading-process-events-interval-bytes': '1024'}"
    program = IMPORTS + TELL.replace("[1])", f"[1]), {slow}", 1)
    command = [sys.executable, "-c", program, str(server_folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as starter:
        while (server := server_status(server_folder)) is None:
            assert starter.poll() is None
        os.kill(server.pid, signal.SIGKILL)
        said, _ = starter.communicate(timeout=60)
    assert said.startswith(f"{server_folder}: the embedded server does not start\n")
    assert "ended by itself.\n  It said last:\n" in said


def test_a_server_that_hangs(server_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is there but mute is neither replaced by a second one nor called stopped."""
    monkeypatch.setattr(server_process, "ASK_SECONDS", 0.1)
    monkeypatch.setattr(server_process, "ANSWER_SECONDS", 0.2)
    server = start_server(server_folder)
    os.kill(server.pid, signal.SIGSTOP)
    try:
        for call in (start_server, stop_server, server_status):
            said = refused(lambda call=call: call(server_folder))  # type: ignore[misc]
            assert said.startswith(f"{server_folder}: the embedded server is there but does not answer\n")
            assert f"(fuser {server_folder}/alive.lock)" in said
    finally:
        os.kill(server.pid, signal.SIGCONT)
    assert start_server(server_folder) == server


def test_a_server_that_asks_for_a_password(server_folder: Path) -> None:
    """Somebody set one by hand: that is told at once, and no second server is started."""
    server = start_server(server_folder)
    with connected(server) as client:
        client.config_set("requirepass", "secret")
        said = refused(lambda: start_server(server_folder))
        client.config_set("requirepass", "")
    assert "is there but does not answer\n  Asked for its state: Authentication required" in said


def test_a_start_that_another_process_never_finishes(server_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting for another process ends with a message instead of never."""
    monkeypatch.setattr(folder_module, "LOCK_SECONDS", 0.1)
    server_folder.mkdir()
    with starting_or_stopping(open_folder(server_folder)):
        said = refused(lambda: start_server(server_folder))
    assert said == (
        f"{server_folder}: another process has been starting or stopping the embedded server for too long\n"
        "  It has held start.lock for more than 0 s.\n"
        f"  Next: see who it is (fuser {server_folder}/start.lock), end it, and run the command again."
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "It is damaged."),
        ("[]", "It is damaged."),
        ('{"format": 1, "cluster": false}', "It is damaged."),
        ('{"format": 2}', "It has format 2; this version of rvlstate knows 1."),
    ],
)
def test_a_record_that_cannot_be_understood(server_folder: Path, text: str, why: str) -> None:
    """A damaged or newer server.json is told, with the way out that keeps the data."""
    server_folder.mkdir()
    record = server_folder / "server.json"
    record.write_text(text)
    assert refused(lambda: start_server(server_folder)) == (
        f"{record}: the record of the embedded server cannot be understood\n"
        f"  {why}\n"
        "  Next: stop the server if one runs (redis-cli SHUTDOWN), delete this file, start again; the data is kept."
    )


@pytest.mark.parametrize("symptom", [row[0] for row in server_trouble.SYMPTOMS])
def test_every_symptom_has_a_reason_and_a_next_step(symptom: str) -> None:
    """The texts of the table can be filled in, and end as sentences."""
    _, why, next_step = next(row for row in server_trouble.SYMPTOMS if row[0] == symptom)
    names = {"origin": "o", "folder": "f", "manifest": "m", "log": "l"}
    assert why.format(**names).endswith(".")
    assert next_step.format(**names).endswith(".")
