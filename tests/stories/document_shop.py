"""What stories about documents share: shops whose documents are about to change, and the user's own code in them."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kit import FieldSpec, Shop, numeric, tag, text, vector
from observe import KEYS

from rvlstate.events import Event, StepFinished, StepProgressed, StepStarted
from rvlstate.model.rewrite import Rewrite
from rvlstate.runtime.outcome import Report

COUNT = 60
ALLOWED = (
    *("LOSES_PRECISION", "QUERY_ENCODING_CHANGES", "REWRITES_DOCUMENTS", "SEARCH_DOWNTIME", "RUNS_USER_CODE"),
    *("RESULT_KEYS_CHANGE", "SHARED_DOCUMENTS"),
)
OTHERS = (text("title"), tag("category"), numeric("price"))
OWN = "own.py"


class EndedError(Exception):
    """The process ended there."""


def embedding(datatype: str = "float32", dims: int = 4, **attributes: Any) -> FieldSpec:
    """The field of vectors."""
    return vector("embedding", algorithm="flat", datatype=datatype, dims=dims, **attributes)


def wide(number: float, form: str = "f") -> bytes:
    """The vector of a document: float32, or float16 (e), or float64 (d)."""
    return struct.pack(f"<4{form}", number, number + 0.25, -number, 1)


def narrow(number: float) -> bytes:
    """The same as float16."""
    return wide(number, "e")


def load(shop: Shop, count: int = COUNT, *, prefix: str = "products:", form: str = "f") -> None:
    """Documents that are known from their numbers."""
    pipeline = shop.client.pipeline(transaction=False)
    for number in range(count):
        fields = {"title": f"shoe {number}", "category": "ab"[number % 2], "price": number}
        pipeline.hset(f"{prefix}{number}", mapping={**fields, "embedding": wide(number, form)})
    pipeline.execute()


def configure(shop: Shop, **settings: Any) -> None:
    """Settings of the index of products; everything is allowed, and nobody waits for late writers."""
    shop.configure(indexes={"products": settings}, policy={"settle": "0s", "allow": list(ALLOWED)})


def recreate(shop: Shop, **settings: Any) -> None:
    """The same, with the index to be recreated."""
    configure(shop, strategy="recreate", **settings)


def served(shop: Shop, *fields: FieldSpec, form: str = "f", count: int = COUNT, **index: Any) -> None:
    """Documents and an index over them."""
    load(shop, count, form=form)
    shop.declare("products", *(fields or (*OTHERS, embedding())), **index)
    shop.apply()


def own_code(shop: Shop, code: str) -> Path:
    """The user's own module `own` beside the project file; `URL` is that of the server."""
    path = shop.folder / OWN
    url = shop.url.replace("redis+cluster", "redis")
    path.write_text(f"import redis\n\nURL = {url!r}\n\n{code}", encoding="utf-8")
    return path


ARMED = "armed"


def meddling(shop: Shop, what: str) -> Callable[[Event], None]:
    """`own:meddle`: passes values on, after it did something to the documents, once: between reading and writing.

    The listener that is returned lets it do so when documents are rewritten: a rehearsal comes before.
    """
    own_code(
        shop,
        f"""
class meddle:
    def __init__(self):
        self.client = redis.from_url(URL)

    def __call__(self, column):
        if self.client.delete({ARMED!r}):
            self.meddle()
        return column

    def meddle(self):
{_indented(what, 8)}

    def close(self):
        self.client.close()
""",
    )

    return armed(shop)


def armed(shop: Shop) -> Callable[[Event], None]:
    """A listener that writes a key when documents begin to be rewritten."""

    def arm(event: Event) -> None:
        if isinstance(event, StepStarted) and event.operation == "rewrite_documents":
            shop.client.set(ARMED, 1)

    return arm


def _indented(text: str, width: int) -> str:
    return "\n".join(" " * width + line for line in text.strip().splitlines())


def vectors(shop: Shop, *numbers: int, prefix: str = "products:") -> list[bytes | None]:
    """The vectors of documents as they are stored."""
    return [shop.client.hget(f"{prefix}{number}", "embedding") for number in numbers]


def kept_beside(shop: Shop) -> list[bytes]:
    """What a change keeps beside documents and in its progress; nothing once it is complete."""
    marks = list(shop.client.scan_iter("rvlstate:mark:*", count=1000))
    runs = shop.client.scan_iter(f"{KEYS.tag}:run:products-*", count=1000)
    return sorted([*marks, *runs])


def assert_complete(shop: Shop) -> None:
    """Nothing is left to do, and nothing of what was needed for it."""
    shop.assert_settled()
    assert kept_beside(shop) == []
    assert shop.state().rewrites == ()
    assert shop.state().intents == ()


def figures(report: Report, operation: str = "rewrite") -> dict[str, float]:
    """What the first step whose summary begins so counted."""
    return next(step.figures for step in report.steps if step.summary.startswith(operation))


def ends_while(phase: str, *, after: int = 1) -> Callable[[Event], None]:
    """A listener that ends the run in the middle of a phase, once so many documents were gone through."""

    def listen(event: Event) -> None:
        if isinstance(event, StepProgressed) and event.phase == phase and event.done >= after:
            raise EndedError

    return listen


def ends_at(operation: str) -> Callable[[Event], None]:
    """A listener that ends the run when a step of a kind is done."""
    kinds: dict[str, str] = {}

    def listen(event: Event) -> None:
        kind = getattr(event, "operation", None)
        if kind is not None:
            kinds[str(getattr(event, "step", ""))] = kind
        if isinstance(event, StepFinished) and kinds.get(event.step) == operation:
            raise EndedError

    return listen


def pending(shop: Shop) -> Rewrite:
    """The change that was begun and is not complete."""
    (rewrite,) = shop.state().rewrites
    return rewrite


def put_json(shop: Shop, key: str, document: Any) -> None:
    """Store a JSON document."""
    shop.client.execute_command("JSON.SET", key, "$", json.dumps(document))


def get_json(shop: Shop, key: str) -> Any:
    """A JSON document."""
    return json.loads(shop.client.execute_command("JSON.GET", key))


def knn(shop: Shop, vector: bytes, k: int = 1, *, name: str = "products") -> list[bytes]:
    """The keys of the nearest documents."""
    query = f"*=>[KNN {k} @embedding $v AS distance]"
    command = ("FT.SEARCH", name, query, "PARAMS", "2", "v", vector, "NOCONTENT", "SORTBY", "distance", "DIALECT", "2")
    return list(shop.client.execute_command(*command)[1:])
