"""The documents of live stories: what each version of one is in the old and in the new layout, and how it is written.

A document is known from its identity and two numbers: `number`, the version of its figures, and `base`, the version of
its text and of its vector (a small update changes the figures alone). Whether it expires is known from its identity.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Kind: TypeAlias = Literal["none", "dtype", "dims", "rename", "json", "prefix"]
"""What changes about a document; none: the index alone does."""

Command: TypeAlias = tuple[Any, ...]

CODES = {"float32": "f4", "float16": "f2"}
FOREVER = 4_102_444_800_000
STILL = 500
"""How many documents at most nobody touches, so that every answer about them is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One layout of a document: storage, prefix of its key, name of its title, how its vector is stored."""

    storage: str = "hash"
    prefix: str = "products:"
    title: str = "title"
    datatype: str = "float32"
    dims: int = 16

    @property
    def encoding(self) -> tuple[str, int]:
        """The numpy code and the dimensions of vectors that queries send."""
        return CODES[self.datatype], self.dims


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The layout before and the one after."""

    kind: Kind
    old: Form
    new: Form

    @property
    def replaces(self) -> bool:
        """Whether an application has to replace a document as a whole, since its type differs."""
        return self.kind == "json"

    @property
    def one_way(self) -> bool:
        """Whether a document once written in the new layout is not written in the old one again: the key differs."""
        return self.kind == "prefix"

    @property
    def takes_small_updates(self) -> bool:
        """Whether the figures of a document can be written alone, in whichever layout it is."""
        return self.kind in ("none", "dtype", "dims", "rename")


def change_of(kind: Kind, dims: int = 16) -> Change:
    """A change of the kind, of vectors of `dims` dimensions."""
    old = Form(dims=dims)
    new = {
        "none": old,
        "dtype": Form(dims=dims, datatype="float16"),
        "dims": Form(dims=dims + 8),
        "rename": Form(dims=dims, title="headline"),
        "json": Form(dims=dims, storage="json"),
        "prefix": Form(dims=dims, prefix="goods:"),
    }[kind]
    return Change(kind=kind, old=old, new=new)


def vector_of(body: str, dims: int) -> npt.NDArray[np.float32]:
    """The vector of a text: what a model would make of it, without the model."""
    seed = int.from_bytes(hashlib.sha1(body.encode(), usedforsecurity=False).digest()[:8], "big")
    return np.random.default_rng(seed).standard_normal(dims, dtype=np.float32)


def body_of(identity: str, base: int) -> str:
    """The text of a version."""
    return f"{identity} {base}"


def still_count(documents: int) -> int:
    """How many of the first documents nobody touches."""
    return min(STILL, documents // 10)


def is_still(identity: str, documents: int) -> bool:
    """Whether nobody touches this document."""
    return identity[0] == "p" and int(identity[1:]) < still_count(documents)


def lasting_expiry(identity: str) -> int:
    """When the document expires (ms since 1970), 0 for never: each sixth does, in a long time."""
    number = int.from_bytes(hashlib.sha1(identity.encode(), usedforsecurity=False).digest()[:4], "big")
    return 0 if number % 6 else FOREVER + number % 1000


def fields_of(form: Form, identity: str, number: int, base: int, *, still: bool) -> dict[str, Any]:
    """All fields of a document in a layout: of a hash with the vector as bytes, of JSON as numbers."""
    vector = vector_of(body_of(identity, base), form.dims)
    packed: Any = vector.astype(form.encoding[0]).tobytes() if form.storage == "hash" else vector.tolist()
    return {
        form.title: f"running shoe {identity}",
        "body": body_of(identity, base),
        "kind": "still" if still else "moving",
        "sku": identity,
        "version": number,
        "embedding": packed,
    }


def writing(
    change: Change, form: Form, identity: str, number: int, base: int, *, expiry: int = 0, still: bool = False
) -> list[Command]:
    """The commands, to be sent as one transaction, that write a document as a whole.

    An application of the new layout knows the old name of a field and removes it; one of the old layout does not know
    the new one. Where the type of the key differs, both replace the key.
    """
    key = form.prefix + identity
    fields = fields_of(form, identity, number, base, still=still)
    commands: list[Command] = [("DEL", key)] if change.replaces else []
    if form.storage == "json":
        commands.append(("JSON.SET", key, "$", json.dumps(fields)))
    else:
        commands.append(("HSET", key, *(part for pair in fields.items() for part in pair)))
    if form == change.new and form.title != change.old.title:
        commands.append(("HDEL", key, change.old.title))
    if expiry:
        commands.append(("PEXPIREAT", key, expiry))
    return commands


def touching(form: Form, identity: str, number: int) -> list[Command]:
    """The same that writes the figures alone."""
    return [("HSET", form.prefix + identity, "version", number)]


def deleting(change: Change, form: Form, identity: str, *, both: bool) -> list[Command]:
    """The same that deletes; `both`: an application of the new layout that knows a document is under its old key."""
    keys = [form.prefix + identity]
    if both and form.prefix != change.old.prefix:
        keys.append(change.old.prefix + identity)
    return [("DEL", key) for key in keys]
