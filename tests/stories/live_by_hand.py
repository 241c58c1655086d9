"""A staged change of float32 to float16 done by hand, in little: it shows that the checker of live stories is right.

Done as it should be, nothing is found. Each `Flaw` leaves one precaution out, so that the checker has to find what
happens then.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
from live_documents import Change, Form
from observe import as_map, await_built, eventually

Flaw: TypeAlias = Literal["", "overwrites", "resurrects", "leaves copies", "converts wrongly"]

STAGE = b"rvlstate:stage:by-hand:{0}:"
MARKS = "rvlstate:mark:by-hand"
PAGE = 500
ENOUGH = 5

DIGEST = """
local function digest(key)
  return redis.sha1hex(cmsgpack.pack(redis.call('HGETALL', key)) .. redis.call('PEXPIRETIME', key))
end
"""
LOOK = f"""{DIGEST}
if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('UNLINK', KEYS[2]) return {{'gone'}} end
local value = redis.call('HGET', KEYS[1], 'embedding')
if #value ~= tonumber(ARGV[1]) then redis.call('UNLINK', KEYS[2]) return {{'done'}} end
local seen = digest(KEYS[1])
if redis.call('HGET', KEYS[3], KEYS[1]) == seen and redis.call('EXISTS', KEYS[2]) == 1 then return {{'clean'}} end
return {{'old', seen, value}}
"""
WRITE = f"""{DIGEST}
if ARGV[3] == '1' and digest(KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('COPY', KEYS[1], KEYS[2], 'REPLACE')
redis.call('HSET', KEYS[2], 'embedding', ARGV[2])
redis.call('HSET', KEYS[3], KEYS[1], ARGV[1])
return 1
"""
PROMOTE = f"""{DIGEST}
if redis.call('EXISTS', KEYS[2]) == 0 then return 0 end
local guarded = ARGV[2] == '1'
if guarded then
  if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('UNLINK', KEYS[2]) return 0 end
  if #redis.call('HGET', KEYS[1], 'embedding') ~= tonumber(ARGV[1]) then redis.call('UNLINK', KEYS[2]) return 0 end
  if redis.call('HGET', KEYS[3], KEYS[1]) ~= digest(KEYS[1]) then return 0 end
elseif redis.call('EXISTS', KEYS[1]) == 0 and ARGV[3] == '0' then return 0 end
redis.call('RENAME', KEYS[2], KEYS[1])
redis.call('HDEL', KEYS[3], KEYS[1])
return 1
"""


def create_index(client: Any, name: str, form: Form, *prefixes: str) -> None:
    """An index over documents in a layout."""
    path = "$." if form.storage == "json" else ""
    fields: list[Any] = []
    for field_name, *kind in (
        *((form.title, "TEXT"), ("body", "TEXT"), ("kind", "TAG"), ("sku", "TAG"), ("version", "NUMERIC")),
        (
            "embedding",
            "VECTOR",
            "HNSW",
            6,
            "TYPE",
            form.datatype.upper(),
            "DIM",
            form.dims,
            "DISTANCE_METRIC",
            "COSINE",
        ),
    ):
        fields += [path + field_name, "AS", field_name, *kind]
    places = prefixes or (form.prefix,)
    client.execute_command(
        "FT.CREATE", name, "ON", form.storage.upper(), "PREFIX", len(places), *places, "SCHEMA", *fields
    )
    await_built(client, name)


@dataclass(slots=True, kw_only=True)
class ByHand:
    """The change, phase by phase; `client` speaks RESP2. Before it, the alias `products` leads to `products@1`."""

    client: Any
    change: Change
    flaw: Flaw = ""
    look: Any = field(init=False)
    write: Any = field(init=False)
    promote: Any = field(init=False)

    def __post_init__(self) -> None:
        self.look, self.write, self.promote = (self.client.register_script(text) for text in (LOOK, WRITE, PROMOTE))

    def serve_old(self) -> None:
        """The index as it was."""
        create_index(self.client, "products@1", self.change.old)
        self.client.execute_command("FT.ALIASADD", "products", "products@1")

    def stage(self) -> int:
        """One pass that makes copies; how many."""
        written = 0
        for page in self._pages(self.change.old.prefix.encode()):
            looked = self._run(self.look, page, self._old_bytes)
            old = [(key, *reply[1:]) for key, reply in zip(page, looked, strict=True) if reply[0] == b"old"]
            guard = 0 if self.flaw == "overwrites" else 1
            written += sum(
                self._run_each(self.write, [(key, (seen, self._halved(value), guard)) for key, seen, value in old])
            )
        for page in self._pages(STAGE):
            self._run(self.look, [key[len(STAGE) :] for key in page], self._old_bytes)
        return written

    def build(self) -> None:
        """The new index, over copies and documents, and passes until it is caught up."""
        create_index(self.client, "products@2", self.change.new, STAGE.decode(), self.change.old.prefix)
        self.stage()

    def cut_over(self) -> None:
        """The name leads to the new index, and the old one goes."""
        self.client.execute_command("FT.ALIASUPDATE", "products", "products@2")
        self.client.execute_command("FT.DROPINDEX", "products@1")

    def promote_copies(self) -> int:
        """Copies take the place of their documents, and what is in the old layout still is copied; how many were."""
        guard = 0 if self.flaw in ("overwrites", "resurrects") else 1
        for page in self._pages(STAGE):
            keys = [key[len(STAGE) :] for key in page]
            chosen = keys[1:] if self.flaw == "leaves copies" else keys
            self._run(self.promote, chosen, self._old_bytes, guard, int(self.flaw == "resurrects"))
        return self.stage()

    def settle(self) -> None:
        """The same until nothing is left to do, once nobody writes any more."""
        for _ in range(ENOUGH):
            if not self.promote_copies():
                break

    def tidy(self) -> None:
        """The marks go, and the index has taken note of everything."""
        self.client.delete(MARKS)
        eventually(lambda: not int(as_map(self.client.execute_command("FT.INFO", "products"))["indexing"]))

    @property
    def _old_bytes(self) -> int:
        return self.change.old.dims * 4

    def _halved(self, value: bytes) -> bytes:
        wide = np.frombuffer(value, "<f4")
        return (wide * 2 if self.flaw == "converts wrongly" else wide).astype("<f2").tobytes()

    def _pages(self, prefix: bytes) -> Iterator[list[bytes]]:
        keys = list(self.client.scan_iter(match=prefix + b"*", count=1000))
        for start in range(0, len(keys), PAGE):
            yield keys[start : start + PAGE]

    def _run(self, script: Any, keys: list[bytes], *arguments: Any) -> list[Any]:
        return self._run_each(script, [(key, arguments) for key in keys])

    def _run_each(self, script: Any, calls: list[tuple[bytes, tuple[Any, ...]]]) -> list[Any]:
        pipeline = self.client.pipeline(transaction=False)
        for key, arguments in calls:
            script(keys=[key, STAGE + key, MARKS], args=arguments, client=pipeline)
        replies: list[Any] = pipeline.execute()
        return replies
