"""A scripted stage for the operations about documents: passes with given tallies, indexes that come and go."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rvlstate.model.canonical import mask
from rvlstate.model.catalog import LiveIndex, Statistics
from rvlstate.model.definition import IndexDefinition
from rvlstate.model.field import Flat, NumericField, TextField, VectorField
from rvlstate.model.rewrite import FieldRewrite, Rewrite, Source, VectorShape
from rvlstate.model.transform import Cast
from rvlstate.plan.effects import (
    BadRow,
    Batch,
    Effect,
    Gauge,
    Look,
    Memory,
    Pause,
    Report,
    Restored,
    Sweep,
    Tally,
    Tidy,
)
from rvlstate.plan.effects import Restore as RestoreEffect
from rvlstate.plan.operations import AnyOperation
from rvlstate.plan.replicas import Lag

VECTOR = VectorField(name="v", identifier="v", search=Flat(), dims=4, datatype="float32", distance_metric="cosine")
PLAIN = (TextField(name="title", identifier="title"), NumericField(name="price", identifier="price"))
BEFORE = IndexDefinition(prefixes=("p:",), filter="@price > 0", fields=(*PLAIN, VECTOR))
AFTER = replace(BEFORE, fields=(*PLAIN, replace(VECTOR, datatype="float16")))
HALF = FieldRewrite(
    field="v",
    reads=(Source(identifier="v", kind="vector", shape=VectorShape(datatype="float32", dims=4)),),
    steps=(Cast(),),
    writes=Source(identifier="v", kind="vector", shape=VectorShape(datatype="float16", dims=4)),
    layout="length",
)
RECREATE = Rewrite(
    id="goods-1",
    name="goods",
    strategy="recreate",
    before=BEFORE,
    after=AFTER,
    fields=(HALF,),
    physical="goods@1",
    target="goods@2",
    documents=10,
)
BACKFILL = replace(RECREATE, strategy="backfill")
STAGED = replace(
    RECREATE,
    strategy="staged",
    before=replace(BEFORE, filter=None),
    after=replace(AFTER, filter=None),
    promotion="rename",
    stage="rvlstate:stage:shop.goods-1:",
)
ROW = BadRow(key="p:1", field="v", reason="5 bytes", detail="Traceback")


@dataclass(slots=True)
class Stage:
    """Answers effects: each pass gets the next tally, the last one for ever; indexes come and go by FT commands.

    `documents` are the counts of indexes that do not hold ten.
    """

    tallies: Sequence[Tally] = (Tally(seen=10),)
    indexes: set[str] = field(default_factory=set)
    effects: list[Effect] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    documents: dict[str, int] = field(default_factory=dict)

    def run(self, operation: AnyOperation) -> None:
        """Drive the flow to its end."""
        left = deque(self.tallies)
        flow = operation.flow()
        answer: Any = None
        try:
            while True:
                effect = flow.send(answer)
                self.effects.append(effect)
                answer = self._answer(effect, left)
        except StopIteration:
            return

    @property
    def sweeps(self) -> list[Sweep]:
        """The passes that were asked for."""
        return [effect for effect in self.effects if isinstance(effect, Sweep)]

    @property
    def tidied(self) -> bool:
        """Whether what was kept beside the documents was removed."""
        return any(isinstance(effect, Tidy) for effect in self.effects)

    def _answer(self, effect: Effect, left: deque[Tally]) -> Any:
        match effect:
            case Look(name):
                figures = Statistics(documents=self.documents.get(name, 10))
                return (
                    LiveIndex(name=name, definition=mask(BEFORE), statistics=figures) if name in self.indexes else None
                )
            case Gauge():
                return Memory(used=1, limit=0)
            case Lag():
                return ()
            case Batch(commands):
                return [self._command(command) for command in commands]
            case Sweep():
                return left.popleft() if len(left) > 1 else left[0]
            case RestoreEffect():
                return Restored(rows=3, restored=2, newer=1)
            case Pause() | Report() | Tidy():
                return None
            case _:
                raise AssertionError(f"an unforeseen {effect}")

    def _command(self, command: tuple[str, ...]) -> str:
        name = command[0] if command[0] != "EVAL" else "FT.DROPINDEX"
        index = command[3] if command[0] == "EVAL" else command[1]
        self.sent.append(f"{name} {index}")
        if name == "FT.CREATE":
            self.indexes.add(index)
        else:
            self.indexes.discard(index)
        return "OK"
