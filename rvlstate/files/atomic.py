"""Writing files so that a reader, or a crash, finds the old text or the new one, never a part."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from rvlstate.errors import SpecError


def write_atomically(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Write `text` as UTF-8 to `path`, synced to disk, through a file beside it. Raises SpecError if that fails."""
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(mode)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise SpecError(
            "this file cannot be written",
            file=path.as_posix(),
            why=error.strerror or str(error),
            next_step="mend that, then run the command again; the file is as it was.",
        ) from error
