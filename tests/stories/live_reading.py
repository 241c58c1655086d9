"""One document of a live story as it is stored: read from the server, and judged against its history."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from live_documents import Change, Form, body_of, fields_of, vector_of
from live_history import NOWHERE, History, Version

Fields: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What is at a key: its type, its fields, when it expires (ms since 1970, 0: never)."""

    storage: str
    fields: Fields
    expiry: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What is at the new key of a document and, where that is another one, at its old key."""

    new: Stored | None
    old: Stored | None = None


def read(client: Any, change: Change, identities: list[str]) -> list[Found]:
    """What is stored of documents."""
    new = _read_all(client, [change.new.prefix + identity for identity in identities])
    if change.old.prefix == change.new.prefix:
        return [Found(new=stored) for stored in new]
    old = _read_all(client, [change.old.prefix + identity for identity in identities])
    return [Found(new=one, old=other) for one, other in zip(new, old, strict=True)]


def _read_all(client: Any, keys: list[str]) -> list[Stored | None]:
    pipeline = client.pipeline(transaction=False)
    for key in keys:
        pipeline.execute_command("TYPE", key)
    types = [kind.decode() for kind in pipeline.execute()]
    for key, kind in zip(keys, types, strict=True):
        pipeline.execute_command(*(("JSON.GET", key) if kind == "ReJSON-RL" else ("HGETALL", key)))
        pipeline.execute_command("PEXPIRETIME", key)
    replies = pipeline.execute()
    return [_stored(*parts) for parts in zip(types, replies[::2], replies[1::2], strict=True)]


def _stored(kind: str, content: Any, expiry: int) -> Stored | None:
    if not content:
        return None
    if kind == "ReJSON-RL":
        return Stored(storage="json", fields=json.loads(content), expiry=max(expiry, 0))
    pairs = content.items() if isinstance(content, dict) else zip(content[::2], content[1::2], strict=True)
    fields = {name.decode(): value if name == b"embedding" else value.decode() for name, value in pairs}
    return Stored(storage="hash", fields=fields, expiry=max(expiry, 0))


def verdict_on(
    change: Change, identity: str, found: Found, history: History, allowed: set[Version]
) -> Iterator[tuple[str, str]]:
    """What is wrong with a document, by the kinds that `live_checker` lists."""
    here = found.new or found.old
    if here is None:
        if NOWHERE not in allowed:
            yield "lost_updates", f"{identity} is gone; written last: {_told(allowed)}"
    elif allowed == {NOWHERE}:
        yield "resurrections", f"{identity} is there"
    elif found.new is None:
        yield "wrong_layout", f"{identity} is under its old key only"
    else:
        if found.old is not None:
            yield "left_over", f"{identity} is under its old key too"
        yield from _content(change.new, identity, found.new, history, allowed)


def _content(
    form: Form, identity: str, stored: Stored, history: History, allowed: set[Version]
) -> Iterator[tuple[str, str]]:
    if not _is_in(form, stored):
        yield "wrong_layout", f"{identity}: {stored.storage} with {sorted(stored.fields)}"
        return
    if any(_holds(form, identity, stored, version) for version in allowed - {NOWHERE}):
        if all(stored.expiry != version.expiry for version in allowed):
            yield "wrong_values", f"{identity} expires at {stored.expiry}; written last: {_told(allowed)}"
        return
    if _was_written(form, identity, stored, history):
        yield "lost_updates", f"{identity} holds an earlier write; written last: {_told(allowed)}"
    else:
        yield "wrong_values", f"{identity} holds what nobody wrote; written last: {_told(allowed)}"


def _is_in(form: Form, stored: Stored) -> bool:
    """Whether it has exactly the fields of the layout, with a vector of its size."""
    expected = fields_of(form, "", 0, 0, still=False)
    vector = stored.fields.get("embedding", b"")
    return (
        stored.storage == form.storage
        and set(stored.fields) == set(expected)
        and len(vector) == len(expected["embedding"])
    )


def _holds(form: Form, identity: str, stored: Stored, version: Version) -> bool:
    still = stored.fields["kind"] == "still"
    expected = fields_of(form, identity, version.number, version.base, still=still)
    return all(_same(stored.fields[name], value) for name, value in expected.items())


def _was_written(form: Form, identity: str, stored: Stored, history: History) -> bool:
    """Whether each part of it was written once."""
    bases = {version.base for version in history.versions if version != NOWHERE}
    numbers = {str(version.number) for version in history.versions if version != NOWHERE}
    bodies = {body_of(identity, base) for base in bases}
    vectors = (_packed(form, vector_of(body, form.dims)) for body in sorted(bodies))
    return (
        stored.fields["body"] in bodies
        and str(stored.fields["version"]) in numbers
        and stored.fields["sku"] == identity
        and stored.fields[form.title] == f"running shoe {identity}"
        and any(_same(stored.fields["embedding"], vector) for vector in vectors)
    )


def _packed(form: Form, vector: Any) -> Any:
    return vector.astype(form.encoding[0]).tobytes() if form.storage == "hash" else vector.tolist()


def _same(stored: Any, expected: Any) -> bool:
    if isinstance(expected, list):
        return bool(np.array_equal(np.array(stored, np.float32), np.array(expected, np.float32)))
    return bool(stored == expected if isinstance(expected, bytes) else str(stored) == str(expected))


def _told(versions: set[Version]) -> str:
    shown = sorted(versions, key=lambda version: (version.number, version.base))
    return ", ".join("gone" if v == NOWHERE else f"{v.number} (text {v.base}, expiry {v.expiry})" for v in shown)
