"""The manifest of a backup: whose documents these are, and what was there before they were rewritten."""

from __future__ import annotations

import json
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, cast

from rvlstate import __version__
from rvlstate.errors import GateFailedError
from rvlstate.model.codec import adapter, dump_value
from rvlstate.model.fingerprint import fingerprint
from rvlstate.model.rewrite import Rewrite
from rvlstate.model.state import Record

FORMAT = 1
"""The form of a backup that this version writes; it reads this one and older ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Whose backup it is: project and lineage of the state, server (without secrets), and the whole rewrite.

    `record` is what the state said about the index before. `created_at` is ISO 8601 in UTC, "" until it is written for
    the first time.
    """

    project: str
    lineage: str
    server: str
    rewrite: Rewrite
    record: Record | None = None
    created_at: str = ""
    rvlstate_version: str = __version__

    def differences(self, other: Manifest) -> tuple[str, ...]:
        """What makes the other one a backup of something else, one sentence each; () if it is the same one.

        The server may have got another address meanwhile: the lineage of the state tells which it is.
        """
        lineages = (self.lineage, other.lineage) if self.lineage and other.lineage else ("", "")
        pairs = (
            ("project", self.project, other.project),
            ("lineage of the state", *lineages),
            ("index", self.rewrite.name, other.rewrite.name),
            ("change of documents", self.rewrite.id, other.rewrite.id),
        )
        lines = [f"its {what} is {found}, not {expected}" for what, expected, found in pairs if expected != found]
        if not lines and _documents_of(self.rewrite) != _documents_of(other.rewrite):
            lines.append("its change of documents has the same id and another content")
        return tuple(lines)


def _documents_of(rewrite: Rewrite) -> object:
    """What is done to the documents: of what is declared about the index, the rest may change on the way."""
    return (rewrite.before, rewrite.after.storage, rewrite.fields, rewrite.moves)


def dump_manifest(manifest: Manifest) -> str:
    """The text of a manifest, with a checksum over its content."""
    content = dump_value(manifest)
    data = {"format": FORMAT, "checksum": fingerprint(content), "backup": content}
    return json.dumps(data, indent=2, sort_keys=True, ensure_ascii=True) + "\n"


def load_manifest(text: str, where: str) -> Manifest:
    """The manifest that `dump_manifest` wrote. Raises GateFailedError for what is none, or of a later version."""
    try:
        data: Any = json.loads(text)
        if data["format"] > FORMAT:
            raise _unreadable(where, f"It has format {data['format']}, this version reads up to {FORMAT}.")
        if data["checksum"] != fingerprint(data["backup"]):
            raise _unreadable(where, "Its checksum does not match: it was edited, or only a part was copied.")
        manifest: Manifest = adapter(cast("Hashable", Manifest)).validate_python(data["backup"])
    except (ValueError, TypeError, KeyError) as error:
        raise _unreadable(where, f"It is no manifest: {type(error).__name__}.") from error
    return manifest


def _unreadable(where: str, why: str) -> GateFailedError:
    return GateFailedError(
        f"the manifest of a backup cannot be read: {where}",
        why=f"{why}\nNothing was written.",
        next_step="copy the whole folder from where it was written, or use an rvlstate of that version.",
    )
