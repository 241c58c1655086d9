"""Owns DIR of `embedded://DIR`: its files, who may use them, its locks, and the record of which server it holds."""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from rvlstate.errors import EmbeddedServerError

RECORD_FORMAT = 1
# sockaddr_un holds 108 bytes on Linux and 104 on macOS, with the closing zero.
SOCKET_PATH_LIMIT = 100
LOCK_SECONDS = 60.0
POLL_SECONDS = 0.005
OUR_FILES = frozenset(("server.json", "start.lock", "alive.lock"))

WHY_BY_ERRNO = {
    errno.ENOSPC: ("The disk is full.", "free some space, then run the command again."),
    errno.EDQUOT: ("The disk quota is used up.", "free some space, then run the command again."),
    errno.EACCES: ("This user may not use it.", "change its owner, or name another folder in embedded://DIR."),
    errno.EPERM: ("This user may not use it.", "change its owner, or name another folder in embedded://DIR."),
    errno.EROFS: ("The file system is read-only.", "name a folder on another disk in embedded://DIR."),
    errno.ENOTDIR: ("A part of the path is a file.", "name a folder in embedded://DIR."),
    errno.EEXIST: ("It is a file.", "name a folder in embedded://DIR."),
    errno.ENOLCK: ("Its file system has no file locks.", "name a folder on a local disk in embedded://DIR."),
    errno.ENOTSUP: ("Its file system has no file locks.", "name a folder on a local disk in embedded://DIR."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerRecord:
    """A cluster or not, fixed at the first start; port (0: unix socket) and origin of the binary at the latest."""

    cluster: bool
    port: int
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFolder:
    """DIR, made absolute and free of symbolic links, so that all names of it are one server."""

    path: Path

    @property
    def socket(self) -> Path:
        """The unix socket of a server that has no port."""
        return self.path / "redis.sock"

    @property
    def log(self) -> Path:
        """What the server says about itself."""
        return self.path / "server.log"

    @property
    def record(self) -> Path:
        """The file of the ServerRecord."""
        return self.path / "server.json"

    @property
    def start_lock(self) -> Path:
        """Locked by whoever starts or stops the server."""
        return self.path / "start.lock"

    @property
    def alive_lock(self) -> Path:
        """Locked by the server as long as it lives."""
        return self.path / "alive.lock"

    @property
    def manifest(self) -> Path:
        """The list of the files that hold the data."""
        return self.path / "appendonlydir" / "appendonly.aof.manifest"

    def fits_unix_socket(self) -> bool:
        """Whether the operating system accepts the socket's path."""
        return len(os.fsencode(self.socket)) <= SOCKET_PATH_LIMIT


def open_folder(path: Path) -> ServerFolder:
    """DIR by whatever name; nothing is made or read, but a file in its place is refused."""
    with explained(path, "cannot be used for the embedded server"):
        resolved = path.resolve()
        if resolved.exists() and not resolved.is_dir():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    return ServerFolder(path=resolved)


def prepare_folder(folder: ServerFolder) -> None:
    """DIR exists, is ours, and is closed to other users; a folder that holds something else is refused."""
    with explained(folder.path, "cannot be used for the embedded server"):
        folder.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        refuse_foreign_folder(folder)
        folder.path.chmod(0o700)
        ignore = folder.path / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")


def refuse_foreign_folder(folder: ServerFolder) -> None:
    """EmbeddedServerError if DIR has content that no embedded server put there, such as a whole project."""
    names = sorted(entry.name for entry in folder.path.iterdir() if not entry.name.startswith("."))
    if names and not OUR_FILES.intersection(names):
        raise EmbeddedServerError(
            "the folder is not empty and not one of an embedded server",
            where=str(folder.path),
            why=f"It holds {', '.join(names[:3])}{' and others' if len(names) > 3 else ''}.",  # noqa: PLR2004
            next_step="name a new or an empty folder in embedded://DIR.",
        )


def refuse_lost_manifest(folder: ServerFolder) -> None:
    """EmbeddedServerError if the data lacks the list of its files: Redis would start empty and write over it."""
    data = folder.manifest.parent
    if not data.is_dir() or folder.manifest.exists() or not any(holds_data(file) for file in data.iterdir()):
        return
    raise EmbeddedServerError(
        "the data of the embedded server lacks its manifest",
        where=str(folder.manifest),
        why="Without this file, Redis would start empty and write over the data.",
        next_step=f"restore it from a backup, or move {data} away to start empty.",
    )


def holds_data(file: Path) -> bool:
    """Whether a data file has content; the first base file is empty, and stays alone if the first start is killed."""
    return file.stat().st_size > 0 and not file.name.startswith(("temp-", "appendonly.aof.1.base."))


def load_record(folder: ServerFolder) -> ServerRecord | None:
    """What DIR was last used for; None before its first start."""
    with explained(folder.record, "cannot be read"):
        try:
            text = folder.record.read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError):
            return None
    return parse_record(text, folder)


def parse_record(text: str, folder: ServerFolder) -> ServerRecord:
    """The record from its text; EmbeddedServerError if the file is damaged or of a newer version."""
    try:
        content = json.loads(text)
        if content["format"] == RECORD_FORMAT:
            return ServerRecord(
                cluster=bool(content["cluster"]), port=int(content["port"]), origin=str(content["origin"])
            )
        problem = f"It has format {content['format']}; this version of rvlstate knows {RECORD_FORMAT}."
    except (ValueError, TypeError, KeyError):
        problem = "It is damaged."
    raise EmbeddedServerError(
        "the record of the embedded server cannot be understood",
        where=str(folder.record),
        why=problem,
        next_step="stop the server if one runs (redis-cli SHUTDOWN), delete this file, start again; the data is kept.",
    )


def dump_record(folder: ServerFolder, record: ServerRecord) -> None:
    """The record on disk, whole or not at all."""
    content = {"format": RECORD_FORMAT, **asdict(record)}
    draft = folder.record.with_suffix(".new")
    with explained(folder.record, "cannot be written"):
        draft.write_text(json.dumps(content) + "\n", encoding="utf-8")
        draft.replace(folder.record)


@contextmanager
def starting_or_stopping(folder: ServerFolder) -> Iterator[None]:
    """Only one process at a time starts or stops the server of DIR; the others wait."""
    with lock_file(folder.start_lock) as descriptor:
        if not take_lock(descriptor, seconds=LOCK_SECONDS):
            raise EmbeddedServerError(
                "another process has been starting or stopping the embedded server for too long",
                where=str(folder.path),
                why=f"It has held start.lock for more than {LOCK_SECONDS:.0f} s.",
                next_step=f"see who it is (fuser {folder.path / 'start.lock'}), end it, and run the command again.",
            )
        yield


@contextmanager
def lock_file(path: Path) -> Iterator[int]:
    """An open file to lock; closing it gives the lock up, unless a child process has it open too."""
    with explained(path, "cannot be used"):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def take_lock(descriptor: int, *, seconds: float) -> bool:
    """Takes the lock for this process alone, waiting at most this long for it."""
    deadline = time.monotonic() + seconds
    while not flock_now(descriptor, "LOCK_EX"):
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def flock_now(descriptor: int, kind: str) -> bool:
    """Takes the lock if nobody is in the way."""
    import fcntl  # here, so that this file can be imported where there is none

    try:
        fcntl.flock(descriptor, getattr(fcntl, kind) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_server_alive(folder: ServerFolder) -> bool:
    """Whether a server that was started here still exists.

    The server inherits a locked file and the kernel lets the lock go when it ends, however it ends.
    A process number says less: it may have been given to another program since.
    """
    if not folder.alive_lock.exists():
        return False
    with lock_file(folder.alive_lock) as descriptor:
        return not flock_now(descriptor, "LOCK_SH")


@contextmanager
def explained(path: Path, problem: str) -> Iterator[None]:
    """An OSError inside becomes an EmbeddedServerError that says which path, why, and what to do."""
    try:
        yield
    except OSError as error:
        raise explain(error, path, problem) from error


def explain(error: OSError, path: Path, problem: str) -> EmbeddedServerError:
    """The error to show for an OSError."""
    why, next_step = WHY_BY_ERRNO.get(
        error.errno or 0, (f"{error.strerror}.", "name another folder in embedded://DIR.")
    )
    return EmbeddedServerError(f"{problem}", where=str(path), why=why, next_step=next_step)
