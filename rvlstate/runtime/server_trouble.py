"""Owns the explanation of why an embedded server does not start or answer, read from its log."""

from __future__ import annotations

import re
import shutil

from rvlstate.errors import EmbeddedServerError
from rvlstate.runtime.server_binary import INSTALL_HINT
from rvlstate.runtime.server_folder import ServerFolder, ServerRecord, explained

LOG_LINES = 5
SMALLEST_FREE_BYTES = 4096
PORT_TAKEN = "Failed listening on port"
LOG_PREFIX = re.compile(r"^\d+:[A-Z] \d\d \w{3} \d{4} [\d:.]+ [.\-*#] ")

DAMAGED_DATA = (
    r"Bad file format reading|Unexpected end of file reading|Wrong signature|Short read or OOM loading"
    r"|Internal error in RDB|RDB CRC|AOF MANIFEST FILE ERROR|Unable to obtain the AOF file|Unknown command .* reading"
    r"|Error reading the RDB"
)
REPAIR = (
    "copy {folder} to a safe place, then try to repair it with: redis-check-aof --fix {manifest}; "
    "or delete {folder} to start empty."
)

# What the log says -> what it means and what to do; the first that fits is shown.
SYMPTOMS = (
    (
        r"No space left on device|Disk quota exceeded",
        "The disk is full.",
        "free some space, then run the command again.",
    ),
    (
        r"Can't handle RDB format version|Can't handle AOF format version",
        "Its data was written by a newer Redis than the one found now ({origin}).",
        "use the newer server again, by RVLSTATE_REDIS_SERVER or the PATH; or delete {folder} to start empty.",
    ),
    (
        DAMAGED_DATA,
        "Its data files are damaged.",
        REPAIR,
    ),
    (
        r"Permission denied|Read-only file system",
        "The server may not write there.",
        "change the owner of {folder}, or name another folder in embedded://DIR.",
    ),
    (
        r"Failed opening Unix socket",
        "A unix socket cannot be made there; some shared and network file systems have none.",
        "name a folder on a local disk in embedded://DIR.",
    ),
    (
        r"failed to load|Can't load module|error while loading shared libraries|Exec format error",
        "The server found ({origin}) does not work on this machine.",
        f"{INSTALL_HINT}; or name a server in RVLSTATE_REDIS_SERVER.",
    ),
)
UNEXPLAINED = (
    "The server found ({origin}) ended by itself.",
    "read {log}, mend what it names, and run the command again.",
)


class PortTakenError(EmbeddedServerError):
    """Another program took the port between its choice and its use: choose another one."""


def set_log_aside(folder: ServerFolder) -> None:
    """Gives the next server an empty log, so that an error shows its words only; one older log is kept."""
    with explained(folder.log, "cannot be renamed"):
        if folder.log.exists():
            folder.log.replace(folder.path / "server.log.1")


def log_of(folder: ServerFolder) -> str:
    """What the server has said since its start."""
    return folder.log.read_text(encoding="utf-8", errors="replace") if folder.log.exists() else ""


def died(folder: ServerFolder, record: ServerRecord) -> EmbeddedServerError:
    """The error for a server that ended before it was ready."""
    said = log_of(folder)
    if shutil.disk_usage(folder.path).free < SMALLEST_FREE_BYTES:
        said += "\nNo space left on device"  # a full disk cannot take the server's own complaint either
    return does_not_start(folder, record.origin, said)


def does_not_start(folder: ServerFolder, origin: str, said: str) -> EmbeddedServerError:
    """The error for a server that said this and ended."""
    why, next_step = explanation(said)
    names = {"origin": origin, "folder": folder.path, "manifest": folder.manifest, "log": folder.log}
    kind = PortTakenError if PORT_TAKEN in said else EmbeddedServerError
    return kind(
        "the embedded server does not start",
        where=str(folder.path),
        why="\n".join((why.format(**names), *last_lines(said))),
        next_step=next_step.format(**names),
    )


def explanation(said: str) -> tuple[str, str]:
    """Why and what next, by the first symptom that the text shows."""
    for pattern, why, next_step in SYMPTOMS:
        if re.search(pattern, said):
            return why, next_step
    return UNEXPLAINED


def last_lines(said: str) -> tuple[str, ...]:
    """The end of a log, without process numbers and dates."""
    lines = [LOG_PREFIX.sub("", line) for line in said.splitlines() if line.strip()]
    return ("It said last:", *(f"  {line}" for line in lines[-LOG_LINES:])) if lines else ("It said nothing.",)


def not_answering(folder: ServerFolder, reason: str) -> EmbeddedServerError:
    """The error for a server that is there and says nothing, or nothing useful."""
    return EmbeddedServerError(
        "the embedded server is there but does not answer",
        where=str(folder.path),
        why=f"Asked for its state: {reason}.",
        next_step=f"wait and run the command again; or end the process that holds {folder.alive_lock} open "
        f"(fuser {folder.alive_lock}).",
    )


def cannot_save(folder: ServerFolder, consequence: str) -> EmbeddedServerError:
    """The error for a running server whose disk is full or failing."""
    return EmbeddedServerError(
        "the embedded server cannot write its data to the disk",
        where=str(folder.path),
        why="\n".join((consequence, *last_lines(log_of(folder)))),
        next_step="free some space; the server tries again each second and then goes on by itself.",
    )


def does_not_stop(folder: ServerFolder) -> EmbeddedServerError:
    """The error for a server that goes on after it was told to save and end."""
    return EmbeddedServerError(
        "the embedded server does not stop",
        where=str(folder.path),
        why="\n".join(("It was told to save and end, and goes on.", *last_lines(log_of(folder)))),
        next_step="mend what it names, and run the command again.",
    )
