"""The writer of a backup: rows on the disk, synced, before the documents that they come from are replaced."""

from __future__ import annotations

import errno
import os
import threading
import uuid
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from rvlstate.errors import StepFailedError
from rvlstate.runtime.backup.folder import PRIVATE_FILE, segments, sync_folder
from rvlstate.runtime.backup.frames import SEGMENT_FRAMES, begin_segment, pack_frame
from rvlstate.runtime.backup.rows import pack_original
from rvlstate.runtime.documents.originals import Original

if TYPE_CHECKING:
    from typing_extensions import Self  # in the standard library from 3.11 on

SEGMENT_BYTES = 256 << 20
"""Bounds what one damaged file can cost."""


class BackupWriter:
    """Keeps original values in a prepared folder; a context manager, and safe to use from several threads.

    One writer is one pass over the documents: use another for the next pass. It appends to no file of another writer,
    which may be a process that is not quite dead.
    """

    def __init__(
        self, folder: Path, *, segment_bytes: int = SEGMENT_BYTES, segment_frames: int = SEGMENT_FRAMES
    ) -> None:
        self.folder = folder
        self.rows = 0
        self.bytes = 0
        self._limits = (segment_bytes, segment_frames)
        self._pass = uuid.uuid4().bytes
        self._lock = threading.Lock()
        self._handle: int | None = None
        self._size = self._frames = 0
        self._broken: OSError | None = None

    def keep(self, rows: Sequence[Original]) -> None:
        """Write the rows as one frame; they are on the disk when this returns. Raises StepFailedError if they are not.

        After a failure every further call fails too: what comes after a half-written frame could not be read.
        """
        if not rows:
            return
        frame = pack_frame([pack_original(row) for row in rows])  # the work is done outside of the lock
        with self._lock:
            try:
                if self._broken is not None:
                    raise self._broken
                self._append(frame)
            except OSError as error:
                self._broken = error
                raise self._failure(error) from error
            self.rows += len(rows)
            self.bytes += len(frame)

    def close(self) -> None:
        """Close the present segment; may be called twice."""
        with self._lock:
            self._end_segment()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _append(self, frame: bytes) -> None:
        if self._handle is not None and (self._size >= self._limits[0] or self._frames >= self._limits[1]):
            self._end_segment()
        if self._handle is None:
            self._handle = self._begin_segment()
        _write_all(self._handle, frame)
        os.fsync(self._handle)
        if not os.fstat(self._handle).st_nlink:  # nobody could find it again
            raise FileNotFoundError(errno.ENOENT, "the file was deleted while it was written")
        self._size += len(frame)
        self._frames += 1

    def _begin_segment(self) -> int:
        number = max((number for number, _ in segments(self.folder)), default=0) + 1
        while True:
            path = self.folder / f"{number:06}.segment"
            try:
                handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
            except FileExistsError:  # another process took the number
                number += 1
                continue
            break
        self._size, self._frames = 0, 0
        try:
            _write_all(handle, begin_segment(self._pass))
            sync_folder(self.folder)
        except OSError:
            os.close(handle)
            raise
        return handle

    def _end_segment(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _failure(self, error: OSError) -> StepFailedError:
        return StepFailedError(
            f"keep original values in {self.folder}",
            why=f"{error.strerror or error}. No document was overwritten whose values are not saved.",
            next_step="make room there, or move the folder and set backup: to its new place; then run apply again.",
        )


def _write_all(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]
