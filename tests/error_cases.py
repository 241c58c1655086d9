"""Projects that are wrong, described as data: written to a folder, loaded, and the message that comes of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from rvlstate.errors import SpecError
from rvlstate.files.project_file import load_project

PROJECT = """\
version: 1
project: shop
redis: {url: "redis://localhost"}
schemas: [indexes/*.yaml]
"""
SCHEMA = """\
version: '0.1.0'
index: {name: a, prefix: "a:"}
fields:
  - {name: title, type: text}
"""


def write_project(case: dict[str, Any], folder: Path) -> None:
    """The files of a case, on top of a project that is right; a file that is None is left out."""
    files = {
        "rvlstate.yaml": PROJECT + case.get("extra", ""),
        "indexes/a.yaml": case.get("schema", SCHEMA),
        **case.get("files", {}),
    }
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, content)


def _write(path: Path, content: Any) -> None:
    match content:
        case None:
            return
        case str():
            path.write_text(content, encoding="utf-8")
        case {"hex": digits}:
            path.write_bytes(bytes.fromhex(digits))
        case {"repeat": [start, again, times]}:
            path.write_text(start + again * times, encoding="utf-8")
        case {"link": target}:
            path.symlink_to(target)
        case {"folder": True}:
            path.mkdir()
        case {"pipe": True}:
            os.mkfifo(path)
        case _:
            raise TypeError(content)


def run_case(case: dict[str, Any], folder: Path) -> tuple[str, str]:
    """The error that loading a case raises, as its class and its text without the folder; "" if there is none."""
    write_project(case, folder)
    try:
        load_project(folder / case.get("path", ""), case.get("env", {}))
    except SpecError as error:
        return type(error).__name__, str(error).replace(f"{folder.as_posix()}/", "")
    return "", ""
