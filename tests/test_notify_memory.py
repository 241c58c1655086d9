"""What notifications remember and how long they take: useless files and services that hang keep nobody from them."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cli_kit import Cli
from hook_server import HookServer
from test_notify import drifted, hook, plain
from view_kit import OFFER

from rvlstate.errors import RvlstateError
from rvlstate.notify import send
from rvlstate.notify.address import Address, addresses_of
from rvlstate.notify.memory import Memory
from rvlstate.notify.message import about_failure

__all__ = ["hook"]
pytest_plugins = ("cli_fixtures",)


@pytest.mark.parametrize("text", ['{"format_version": "1.0"}', "[]", "not json", '{"rvlstate_notify": 2, "told": {}}'])
def test_a_file_that_is_something_else_is_not_overwritten(cli: Cli, hook: HookServer, text: str) -> None:
    """It might be a plan file. All are told even so, and the exit code is that of drift."""
    file = cli.folder / "other.json"
    file.write_text(text)
    told = drifted(cli).run("drift", "--notify", plain(hook), "--notify-state", str(file))
    assert told.code == 2
    assert "other.json: it is something else, and is left alone" in told.err
    assert file.read_text() == text
    assert len(hook.posted) == 1


@pytest.mark.parametrize("kept", [0.1, 0.3, 0.9])
def test_a_file_of_ours_that_was_cut_short_is_written_anew(cli: Cli, hook: HookServer, kept: float) -> None:
    """As a full disk or a crash leaves it: who was told is told again, once."""
    file = cli.folder / "told.json"
    words = ("drift", "-q", "--notify", plain(hook), "--notify-state", str(file))
    drifted(cli).run(*words)
    whole = file.read_text()
    file.write_text(whole[: round(len(whole) * kept)])
    told = cli.run(*words)
    assert (told.code, "was damaged and is written anew" in told.err) == (2, True)
    assert file.read_text() == whole
    assert [cli.run(*words).err, len(hook.posted)] == ["", 2]


def test_a_file_that_cannot_be_written_is_told(cli: Cli, hook: HookServer) -> None:
    """The message was sent to everybody; that it was cannot be remembered."""
    drifted(cli)
    words = ("drift", "--notify", plain(hook), "--notify", f"{plain(hook)}/2", "--notify-state", "no/told.json")
    told = cli.run(*words)
    assert told.code == 2
    assert told.err.count("what was told last cannot be kept in no/told.json: it cannot be written") == 1
    assert len(hook.posted) == 2
    cli.run("apply", "--yes", "-q")
    assert cli.run(*words).code == 0


def test_two_at_a_time_leave_a_whole_file(tmp_path: Path) -> None:
    """Whoever reads it meanwhile finds what one of them wrote, and nothing of theirs is left beside it."""
    file, (address,) = tmp_path / "told.json", addresses_of(["https://a/1"])
    with ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(_notes, file, address, str(number) * 4_000) for number in range(3)]
        while not all(writer.done() for writer in writers):
            seen = Memory(file, "shop")
            assert (seen.warnings, {*(seen.last(address) or "x")} <= {*"012x"}) == ([], True)
    assert [writer.result() for writer in writers] == [[], [], []]
    assert [path.name for path in tmp_path.iterdir()] == ["told.json"]


def _notes(file: Path, address: Address, text: str) -> list[str]:
    memory = Memory(file, "shop")
    for _ in range(100):
        memory.note(address, text)
    return memory.warnings


def test_apprise_has_a_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """For all addresses together; what hangs is not tried again, and the others are told why they were not."""
    import apprise

    released = threading.Event()

    def hang(_self: object, **_options: object) -> bool:
        return released.wait(30)

    monkeypatch.setattr(apprise.Apprise, "notify", hang)
    addresses = addresses_of(["json://127.0.0.1:1/a", "json://127.0.0.1:1/b"])
    began = time.monotonic()
    message = about_failure(RvlstateError("gone"), "shop", OFFER)
    told = send.tell(message, addresses, Memory(None, "shop"), apprise_seconds=0.5)
    released.set()
    assert time.monotonic() - began < 10
    assert told.sent == 0
    assert len(told.failures) == 2
    assert all("Apprise was not done with it in time" in failure for failure in told.failures)


def test_an_empty_file_is_a_new_one(tmp_path: Path) -> None:
    """As mktemp makes it; projects and addresses are told apart in it."""
    file = tmp_path / "told.json"
    file.touch()
    first, other = addresses_of(["https://a/1", "https://a/2"])
    Memory(file, "shop").note(first, "x")
    Memory(file, "till").note(first, "y")
    assert [Memory(file, name).last(where) for name in ("shop", "till") for where in (first, other)] == [
        "x",
        None,
        "y",
        None,
    ]
