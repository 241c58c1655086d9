"""What was told last, kept in a file: so that a job that looks every five minutes tells each thing once."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rvlstate.errors import RvlstateError
from rvlstate.notify.address import Address

FORMAT = 1


class Memory:
    """What each address was told last about one project (with its environment); without a file, nothing is known."""

    def __init__(self, file: Path | None, project: str) -> None:
        self._file, self._project = file, project
        self._told: dict[str, str] = dict(_read(file)) if file is not None else {}

    @property
    def kept(self) -> bool:
        """Whether anything is remembered from one run to the next."""
        return self._file is not None

    def last(self, address: Address) -> str | None:
        """What the address was told last; None if nothing is known of that."""
        return self._told.get(self._key(address))

    def note(self, address: Address, told: str) -> None:
        """Remember what an address was told. Raises RvlstateError where the file cannot be written."""
        self._told[self._key(address)] = told
        if self._file is not None:
            _write(self._file, self._told)

    def _key(self, address: Address) -> str:
        return f"{self._project}:{address.key}"


def _read(file: Path) -> Mapping[str, str]:
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise _unfit(file, f"It cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}.") from error
    if not text.strip():
        return {}
    try:
        data: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _unfit(file, "It is something else, and would be overwritten.") from error
    told = data.get("told") if isinstance(data, dict) and data.get("rvlstate_notify") == FORMAT else None
    if not isinstance(told, dict) or not all(isinstance(value, str) for value in told.values()):
        raise _unfit(file, "It is something else, and would be overwritten.")
    return told


def _write(file: Path, told: Mapping[str, str]) -> None:
    text = json.dumps({"rvlstate_notify": FORMAT, "told": dict(sorted(told.items()))}, indent=2) + "\n"
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        Path(temporary).replace(file)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise _unfit(file, f"It cannot be written: {error.strerror or error}.") from error


def _unfit(file: Path, why: str) -> RvlstateError:
    return RvlstateError(
        "what was told last cannot be kept here",
        where=str(file),
        why=why,
        next_step="name a file of its own with --notify-state; it is made where there is none.",
    )
