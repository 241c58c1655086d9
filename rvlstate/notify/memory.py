"""What was told last, kept in a file: so that a job that looks every five minutes tells each thing once."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rvlstate.notify.address import Address

FORMAT = 1


HEAD = f'{{\n  "rvlstate_notify": {FORMAT},'
"""What a file of ours begins with; one that was cut short has a part of it."""


class Memory:
    """What each address was told last about one project (with its environment); without a file, nothing is known.

    A file that cannot be used stops nobody from being told: `warnings` says what is wrong with it. Each note replaces
    the whole file at once. Of two processes that do so at a time the last one wins, and what the other one had told may
    be told again.
    """

    def __init__(self, file: Path | None, project: str) -> None:
        self._file, self._project = file, project
        self._told: dict[str, str] = {}
        self.warnings: list[str] = []
        if file is not None:
            self._open(file)

    @property
    def kept(self) -> bool:
        """Whether anything is remembered from one run to the next."""
        return self._file is not None

    def last(self, address: Address) -> str | None:
        """What the address was told last; None if nothing is known of that."""
        return self._told.get(self._key(address))

    def note(self, address: Address, told: str) -> None:
        """Remember what an address was told, if only for this run."""
        self._told[self._key(address)] = told
        if self._file is None:
            return
        try:
            _write(self._file, self._told)
        except OSError as error:
            self._give_up(self._file, f"it cannot be written: {error.strerror or error}")

    def _open(self, file: Path) -> None:
        try:
            text = file.read_text(encoding="utf-8")
        except FileNotFoundError:
            return
        except (OSError, UnicodeDecodeError) as error:
            self._give_up(file, f"it cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}")
            return
        told = _parsed(text)
        if told is not None:
            self._told = dict(told)
        elif _is_ours(text):
            self.warnings.append(f"{file} was damaged and is written anew: what was told before may be told again.")
        else:
            self._give_up(file, "it is something else, and is left alone")

    def _give_up(self, file: Path, why: str) -> None:
        """Use the file no more."""
        self._file = None
        self.warnings.append(
            f"what was told last cannot be kept in {file}: {why}. All is told again the next time. "
            "Next: name a file of its own with --notify-state; it is made where there is none."
        )

    def _key(self, address: Address) -> str:
        return f"{self._project}:{address.key}"


def _parsed(text: str) -> Mapping[str, str] | None:
    """What a file says; None if it cannot be ours, or is damaged."""
    if not text.strip():
        return {}
    try:
        data: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None
    told = data.get("told") if isinstance(data, dict) and data.get("rvlstate_notify") == FORMAT else None
    known = isinstance(told, dict) and all(isinstance(value, str) for value in told.values())
    return told if known else None


def _is_ours(text: str) -> bool:
    """Whether a text that cannot be understood is what a crash left of a file of ours."""
    return text.startswith(HEAD) or HEAD.startswith(text) or not text.strip("\0")


def _write(file: Path, told: Mapping[str, str]) -> None:
    """Replace the file at once. Raises OSError."""
    text = json.dumps({"rvlstate_notify": FORMAT, "told": dict(sorted(told.items()))}, indent=2) + "\n"
    handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        Path(temporary).replace(file)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise
