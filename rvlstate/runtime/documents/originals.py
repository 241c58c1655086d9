"""What documents held before they were rewritten, and the digest by which "still what was read" is told.

The digest is a SHA-1, in hexadecimal, over the values one after the other: each as its length in decimals, a colon and
its bytes, one that is not there as a minus sign. Values stand in the order of their identifiers' bytes.

| document                    | identifiers               | values                                              |
|-----------------------------|---------------------------|-----------------------------------------------------|
| hash                        | fields                    | their bytes                                         |
| JSON                        | paths that begin with `$` | the text of JSON.GET: an array of all that is there |
| hash that turns into JSON   | all fields of the hash    | their bytes                                         |
| JSON that turns into a hash | the document itself       | the text of JSON.GET without a path                 |

The server writes JSON numbers in its own way: digests of what *was written* are therefore made over `canonical_json`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """One document before it was written, or one of its fields where several are.

    `before` are the values of all identifiers that are written or removed for it (None: was not there); of a document
    whose storage type changes it is the whole of it: all fields of a hash, or the text of a JSON document. `written` is
    `written_digest` of what the same identifiers (or the whole document) hold afterwards. `key` is where the document
    was; where its prefix changes it is afterwards under the new one.
    """

    key: bytes
    before: Mapping[bytes, bytes | None] | bytes
    written: bytes


class Originals(Protocol):
    """Keeps originals; asked by several threads."""

    def keep(self, rows: Sequence[Original]) -> None:
        """Keep the originals; they are durable when it returns.

        A row comes again after a kill; a further one of the same document comes when that was written anew meanwhile.
        """
        ...


def values_digest(values: Iterable[bytes | None]) -> bytes:
    """The SHA-1 in hexadecimal over values in the order of their identifiers; the scripts make the same."""
    sha = hashlib.sha1(usedforsecurity=False)
    for value in values:
        if value is None:
            sha.update(b"-")
        else:
            sha.update(b"%d:" % len(value))
            sha.update(value)
    return sha.hexdigest().encode()


def written_digest(values: Mapping[bytes, bytes | None] | bytes, *, is_json: bool) -> bytes:
    """The digest of values by identifier, or of a whole JSON document, however the server spells its numbers."""
    if isinstance(values, bytes):
        return values_digest([canonical_json(values)])
    ordered = (values[identifier] for identifier in sorted(values))
    return values_digest(canonical_json(value) if is_json and value is not None else value for value in ordered)


def canonical_json(text: bytes) -> bytes:
    """A JSON text in one spelling: no spaces, numbers as Python writes them, 1.0 as 1, order of keys kept."""
    parsed = json.loads(text, parse_float=_number)
    return json.dumps(parsed, separators=(",", ":")).encode()


def _number(text: str) -> float | int:
    number = float(text)
    return int(number) if number.is_integer() else number
