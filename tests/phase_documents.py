"""The documents of the model of phases: what applications write in the old and in the new layout, and what is stored.

| kind       | old layout            | new layout                               | promotion  |
|------------|-----------------------|------------------------------------------|------------|
| cast       | float32               | float16                                  | rename     |
| json       | hash                  | JSON                                     | rename     |
| renamed    | title                 | headline                                 | write_back |
| renamed_js | JSON, title           | JSON, headline                           | write_back |
| computed   | float32               | float16, and a headline made of the title | write_back |
| moved      | products:...          | goods:...                                | new_prefix |
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Kind: TypeAlias = Literal["cast", "json", "renamed", "renamed_js", "computed", "moved"]
Layout: TypeAlias = Literal["old", "new"]
Content: TypeAlias = "tuple[tuple[str, Any], ...] | None"

OURS, THEIRS = "!", "?"
"""What our transform, and what an application of the new layout, puts behind a title to make a headline of it."""

KNN = "*=>[KNN 1000 @embedding $v AS distance]"
CODE = f"def shout(titles):\n    return [title + {OURS!r} for title in titles]\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """What a document says, whatever its layout; `written` is the layout of its last write as a whole."""

    number: int
    price: int
    written: Layout

    @property
    def title(self) -> str:
        """A text that no other write has."""
        return f"shoe {self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The two layouts of a kind of change, and how they are declared."""

    kind: Kind

    @property
    def writes_back(self) -> bool:
        """Whether copies are written back over their documents."""
        return self.kind in ("renamed", "renamed_js", "computed")

    @property
    def keeps_field_expiries(self) -> bool:
        """Whether documents are hashes before and after."""
        return self.kind in ("cast", "renamed", "computed", "moved")

    @property
    def hides_new(self) -> bool:
        """Whether the old index does not find a document in the new layout."""
        return self.kind in ("cast", "json", "computed", "moved")

    def storage(self, layout: Layout) -> str:
        """Of which type keys are."""
        return "json" if self.kind == "renamed_js" or (self.kind == "json" and layout == "new") else "hash"

    def prefix(self, layout: Layout) -> str:
        """What keys begin with."""
        return "goods:" if self.kind == "moved" and layout == "new" else "products:"

    def key(self, layout: Layout, identity: str) -> str:
        """The key of a document."""
        return self.prefix(layout) + identity

    def datatype(self, layout: Layout) -> str:
        """How vectors are stored in the index."""
        return "float16" if self.kind in ("cast", "computed") and layout == "new" else "float32"

    def schema(self, layout: Layout) -> dict[str, Any]:
        """The schema as redisvl writes it."""
        title = "headline" if self.kind in ("renamed", "renamed_js") and layout == "new" else "title"
        texts = [title, *(["headline"] if self.kind == "computed" and layout == "new" else [])]
        vector = {"algorithm": "flat", "dims": 4, "distance_metric": "cosine", "datatype": self.datatype(layout)}
        fields: list[dict[str, Any]] = [{"name": text, "type": "text"} for text in texts]
        fields += [{"name": "price", "type": "numeric"}, {"name": "embedding", "type": "vector", "attrs": vector}]
        if self.storage(layout) == "json":
            fields = [{**field, "path": f"$.{field['name']}"} for field in fields]
        head = {"name": "products", "prefix": self.prefix(layout), "storage_type": self.storage(layout)}
        return {"version": "0.1.0", "index": head, "fields": fields}

    @property
    def settings(self) -> dict[str, Any]:
        """What is said about the change beside the schema."""
        match self.kind:
            case "renamed" | "renamed_js":
                return {"fields": {"headline": {"renamed_from": "title"}}}
            case "computed":
                return {"fields": {"headline": {"transform": "own:shout", "reads": ["title"]}}}
            case "cast" | "json" | "moved":
                return {}

    def content(self, layout: Layout, values: Values) -> dict[str, Any]:
        """All fields in a layout: as written in it, or as our transform makes it of a document in the old one."""
        number, fields = values.number % 2000, dict[str, Any]()
        fields["headline" if self.kind in ("renamed", "renamed_js") and layout == "new" else "title"] = values.title
        if self.kind == "computed" and layout == "new":
            fields["headline"] = values.title + (THEIRS if values.written == "new" else OURS)
        vector = [float(number), number + 0.25, float(-number), 1.0]
        if self.storage(layout) == "json":
            return {**fields, "price": values.price, "embedding": vector}
        packed = struct.pack(f"<4{'e' if self.datatype(layout) == 'float16' else 'f'}", *vector)
        return {**fields, "price": str(values.price), "embedding": packed}

    def writing(self, layout: Layout, identity: str, values: Values) -> list[tuple[Any, ...]]:
        """The commands that replace a document as a whole, to be sent as one transaction."""
        key, fields = self.key(layout, identity), self.content(layout, values)
        if self.storage(layout) == "json":
            return [("DEL", key), ("JSON.SET", key, "$", json.dumps(fields))]
        return [("DEL", key), ("HSET", key, *(part for pair in fields.items() for part in pair))]

    def query(self, layout: Layout) -> tuple[Any, ...]:
        """All documents that an index of a layout knows by their vectors."""
        code = "e" if self.datatype(layout) == "float16" else "f"
        point = struct.pack(f"<4{code}", 1, 2, 3, 4)
        return (KNN, "PARAMS", 2, "v", point, "NOCONTENT", "LIMIT", 0, 1000, "DIALECT", 2)


def stored(client: Any, key: str) -> dict[str, Any] | None:
    """All fields of what is at a key, None for nothing."""
    kind = client.type(key)
    if kind == b"none":
        return None
    if kind == b"ReJSON-RL":
        document: dict[str, Any] = json.loads(client.execute_command("JSON.GET", key))
        return document
    assert kind == b"hash", kind
    fields = client.hgetall(key)
    return {name.decode(): value if name == b"embedding" else value.decode() for name, value in fields.items()}


def touch(client: Any, key: str, price: int) -> bool:
    """A partial update, as it fits what is there; whether there was anything."""
    kind = client.type(key)
    if kind == b"none":
        return False
    if kind == b"hash":
        client.hset(key, "price", price)
    else:
        client.execute_command("JSON.SET", key, "$.price", price)
    return True
