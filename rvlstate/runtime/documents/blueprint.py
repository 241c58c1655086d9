"""A rewrite in the terms of the scripts: identifiers by position, and for each field how a done one is told.

| layout   | done when                     | digests noted with it          | when an old-layout writer comes later   |
|----------|-------------------------------|--------------------------------|-----------------------------------------|
| length   | target has the new length     | none                           | the length is the old one: again        |
| presence | target is there, and not made | of target, and of what was     | what was read is not what was noted:    |
|          | by us from other inputs       | read (none if nothing is read) | again, if target is still ours and all  |
|          |                               |                                | that this change removes is there       |
| absence  | none of `removes` is there    | of target (none if it is only  | a removed one is back: again, if target |
|          |                               | removed); staged: of `removes` | is still ours; else it goes if it is as |
|          |                               |                                | it was staged, and both stay if not     |
| marker   | the digest is the one noted   | of target, with what was read  | the digest is another one: again        |
|          |                               | if target is not among it      |                                         |
| type     | the key is of the new type    | none                           | the key is of the old type: again       |
| (prefix) | the key has a new prefix, or  | that it was moved, if a new    | there are two documents: the new key    |
|          | was noted as moved            | key may look like an old one   | stays, the old one is a bad row         |

A value and its digest are written by one script, so a kill at any moment leaves either both or none. Digests are of
what the document holds when all fields are written: inputs that the same change writes or removes included. A field
none of whose inputs is there has nothing to be made from, and is done. A digest that belongs to a document that was
deleted harms nothing: it only says something about a value that equals it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from rvlstate.model.rewrite import FieldRewrite, Rewrite, Source
from rvlstate.model.transform import user_functions
from rvlstate.transforms.paths import Name, is_several, parse_path

Adapter = Literal["hash", "json", "whole"]
TYPES = {"hash": "hash", "json": "ReJSON-RL"}


@dataclass(frozen=True, kw_only=True)
class Blueprint:
    """What the scripts are told of a rewrite.

    `identifiers` are in the order of their bytes; those at the positions `guarded` (from 0) are read, and must be what
    they were when the document is written. `payload` is the first argument of each script.
    """

    rewrite: Rewrite
    adapter: Adapter
    identifiers: tuple[bytes, ...]
    guarded: tuple[int, ...]
    payload: bytes
    chained: bool

    @property
    def noted(self) -> bool:
        """Whether digests are kept beside the documents."""
        return self.chained or any(_is_noted(item) for item in self.rewrite.fields)

    @property
    def runs_user_code(self) -> bool:
        """Whether a callable of the user's own computes anything."""
        return any(user_functions(item.steps) for item in self.rewrite.fields)

    @cached_property
    def own_casts(self) -> tuple[tuple[int, int], ...]:
        """For each field the position of its identifier and its new length, where lengths tell all; else ()."""
        if self.adapter != "hash" or self.rewrite.moves or not all(map(_is_own_cast, self.rewrite.fields)):
            return ()
        return tuple(
            (self.identifiers.index(self.column(item.writes.identifier)), _length(item.writes, is_json=False))
            for item in self.rewrite.fields
            if item.writes is not None
        )

    def column(self, identifier: str) -> bytes:
        """The name of an identifier on the server."""
        return _encoded(identifier, is_json=self.adapter == "json")

    def destination(self, key: bytes) -> bytes | None:
        """Where a document goes, None if it stays: one that begins with a longer new prefix is there already."""
        for old, new in self.rewrite.moves:
            before, after = (prefix.encode("utf-8", "surrogateescape") for prefix in (old, new))
            if key.startswith(before) and not (after.startswith(before) and key.startswith(after)):
                return after + key[len(before) :]
        return None

    def prefixes(self) -> tuple[bytes, ...]:
        """What documents of the rewrite begin with, the new prefixes included; none covers another."""
        wanted = {*self.rewrite.before.prefixes, *(new for _, new in self.rewrite.moves)}
        encoded = sorted(prefix.encode("utf-8", "surrogateescape") for prefix in wanted)
        return tuple(
            prefix for at, prefix in enumerate(encoded) if not any(prefix.startswith(other) for other in encoded[:at])
        )


def blueprint_of(rewrite: Rewrite, *, field_expiry: bool, originals: bool) -> Blueprint:
    """The rewrite for the scripts; `field_expiry`: fields of hashes may expire; `originals`: old values are kept."""
    adapter: Adapter = "whole" if rewrite.changes_storage else rewrite.before.storage
    chained = _is_chained(rewrite.moves)
    if adapter == "whole":
        identifiers: tuple[bytes, ...] = ()
        guarded: tuple[int, ...] = ()
        fields: list[dict[str, Any]] = [{"layout": "type", "reads": [], "removes": []}]
    else:
        is_json = adapter == "json"
        identifiers = tuple(sorted({_encoded(name, is_json=is_json) for name in _all_names(rewrite.fields)}))
        at = {name: identifiers.index(_encoded(name, is_json=is_json)) for name in _all_names(rewrite.fields)}
        guarded = tuple(sorted({at[name] for item in rewrite.fields for name in _guarded_names(item, originals)}))
        going = {at[name] for item in rewrite.fields for name in item.removes}
        fields = [_field(item, at, going, is_json=is_json) for item in rewrite.fields]
    spec = {
        "ids": [name.decode("utf-8", "surrogateescape") for name in identifiers],
        "sent": [position + 1 for position in guarded],
        "fields": fields,
        "field_expiry": field_expiry,
        "chained": chained,
        "promotion": rewrite.promotion,
        "from": TYPES[rewrite.before.storage],
        "to": TYPES[rewrite.after.storage],
    }
    payload = json.dumps(spec, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogateescape")
    return Blueprint(
        rewrite=rewrite,
        adapter=adapter,
        identifiers=identifiers,
        guarded=guarded,
        payload=payload,
        chained=chained,
    )


def _is_chained(moves: tuple[tuple[str, str], ...]) -> bool:
    """Whether a moved key may look like one that is to be moved."""
    return any(
        (new.startswith(old) and at != own) or old.startswith(new)
        for own, (_, new) in enumerate(moves)
        for at, (old, _) in enumerate(moves)
    )


def _field(item: FieldRewrite, at: dict[str, int], going: set[int], *, is_json: bool) -> dict[str, Any]:
    reads = [at[source.identifier] + 1 for source in item.reads]
    removes = [at[name] + 1 for name in item.removes]
    described: dict[str, Any] = {"layout": item.layout, "reads": reads, "removes": removes}
    if item.writes is None:
        return described
    target = at[item.writes.identifier] + 1
    beside = [] if item.layout != "marker" or target in reads else reads
    renamed = removes if item.layout == "absence" and removes == reads else [target]
    return {
        **described,
        "target": target,
        "length": _length(item.writes, is_json=is_json),
        "noted": _is_noted(item),
        "cover": [target, *beside],
        "going": [place for place in reads if place - 1 in going],
        "expiry": renamed[0],
        "own": target in reads,
        "many": is_json and is_several(item.writes.identifier),
        "parents": list(_parents(item.writes.identifier)) if is_json else [],
    }


def _is_own_cast(item: FieldRewrite) -> bool:
    own = item.writes is not None and [source.identifier for source in item.reads] == [item.writes.identifier]
    return own and item.layout == "length" and not item.removes and not user_functions(item.steps)


def _is_noted(item: FieldRewrite) -> bool:
    if item.layout == "presence":
        return bool(item.reads)
    return item.layout != "length" and item.writes is not None


def _length(source: Source, *, is_json: bool) -> int:
    if source.shape is None:
        return 0
    return source.shape.dims if is_json else source.shape.nbytes


def _parents(path: str) -> Iterator[str]:
    """The objects above a path, outermost first, as far as only names lead to them."""
    steps = parse_path(path)
    so_far = "$"
    for step in steps[:-1]:
        if not isinstance(step, Name):
            return
        so_far += f"[{json.dumps(step.name, ensure_ascii=False)}]"
        yield so_far


def _all_names(fields: Iterable[FieldRewrite]) -> list[str]:
    return [name for item in fields for name in _guarded_names(item, originals=True)]


def _guarded_names(item: FieldRewrite, originals: bool) -> list[str]:
    """What must be as it was read. What is only removed goes whatever it is, unless the original is kept."""
    written = [] if item.writes is None else [item.writes.identifier]
    removed = item.removes if originals or written else ()
    return [*(source.identifier for source in item.reads), *written, *removed]


def _encoded(identifier: str, *, is_json: bool) -> bytes:
    # JSON.GET answers a path of the old syntax in another form, so that all are written in the new one.
    if is_json and not identifier.startswith("$"):
        identifier = f"${identifier}" if identifier.startswith((".", "[")) else f"$.{identifier}"
    return identifier.encode("utf-8", "surrogateescape")
