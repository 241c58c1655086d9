"""What operations ask and send, driven by scripted answers: done, half done, gone, taken, refused, interrupted."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, get_args

import pytest

from rvlstate.errors import CommandRefusedError, GateFailedError, RvlstateError, StepFailedError
from rvlstate.model.canonical import mask
from rvlstate.model.catalog import LiveIndex, Statistics
from rvlstate.model.definition import IndexDefinition
from rvlstate.model.field import NumericField, TagField, TextField
from rvlstate.model.state import Record
from rvlstate.plan.effects import Batch, Effect, Flow, Gauge, Look, Memory, Pause, Report
from rvlstate.plan.operations import (
    AddFields,
    AnyOperation,
    AwaitBuild,
    CreateIndex,
    DropAlias,
    DropIndex,
    FinishRollback,
    ForgetIndex,
    GiveUpRewrite,
    HoldCutover,
    KeepOld,
    PointAlias,
    PromoteDocuments,
    RecordIndex,
    RehearseRewrite,
    RestoreDocuments,
    RewriteDocuments,
    RunCutoverHook,
    SettleDocuments,
    StageDocuments,
    TakeBaseline,
    TakeName,
    VerifyIndex,
)
from rvlstate.plan.operations.await_build import CALM_LOOKS
from rvlstate.plan.operations.drop_index import DROP_INDEX
from rvlstate.plan.operations.take_name import TAKE_NAME
from rvlstate.plan.operations.verify_index import ROUNDS
from rvlstate.plan.replicas import Lag

ABOUT_DOCUMENTS = frozenset(
    {FinishRollback, GiveUpRewrite, RehearseRewrite, RestoreDocuments, RewriteDocuments, SettleDocuments, TakeBaseline}
    | {HoldCutover, KeepOld, PromoteDocuments, RunCutoverHook, StageDocuments}
)
"""What is tried in test_document_operations.py, test_phase_operations.py, test_gates.py and test_hooks.py."""

Command = tuple[str, ...]
Answer = LiveIndex | None

TITLE = TextField(name="title", identifier="title")
COLOR = TagField(name="color", identifier="color")
PRICE = NumericField(name="price", identifier="price")
OLD = IndexDefinition(prefixes=("p:",), fields=(TITLE,))
NEW = replace(OLD, fields=(TITLE, COLOR, PRICE))
RECORD = Record(name="goods", physical="goods@2", definition=NEW)
SYNONYMS = (("cheap", ("g1", "g3")), ("low", ("g1", "g2")))


def live(name: str, definition: IndexDefinition = NEW, **figures: Any) -> LiveIndex:
    """An index as the server shows it; `figures` are statistics, or synonyms."""
    synonyms = figures.pop("synonyms", ())
    return LiveIndex(name=name, definition=mask(definition), statistics=Statistics(**figures), synonyms=synonyms)


class LostConnectionError(Exception):
    """Stands for a lost connection: the flow is abandoned where it is."""


@dataclass(slots=True, kw_only=True)
class Script:
    """Answers effects from a table and writes down what was sent; it fails on what the table does not foresee.

    `looks` are the answers for each name, in order; `refuses` names a command that the server refuses, `loses` one
    after which the connection is lost.
    """

    looks: Mapping[str, Sequence[Answer]] = field(default_factory=dict)
    memory: Sequence[Memory] = (Memory(used=0, limit=0),)
    refuses: str = ""
    loses: str = ""
    sent: list[Command] = field(default_factory=list)
    batches: int = 0
    pauses: list[float] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    last: dict[str, Answer] = field(default_factory=dict)
    _left: dict[str, deque[Answer]] = field(default_factory=dict)
    _gauged: int = 0

    def __post_init__(self) -> None:
        self._left = {name: deque(answers) for name, answers in self.looks.items()}

    def run(self, operation: AnyOperation) -> None:
        """Drive the flow to its end, as the real driver does; every command is checked against the common rules."""
        flow = operation.flow()
        try:
            effect = next(flow)
            while True:
                effect = self._advance(flow, effect)
        except StopIteration:
            pass
        finally:
            flow.close()
            self._check_permissions(operation)
        assert not any(self._left.values()), f"never asked for: {self._left}"

    def _advance(self, flow: Flow, effect: Effect) -> Effect:
        try:
            answer = self._answer(effect)
        except CommandRefusedError as refusal:
            return flow.throw(refusal)
        return flow.send(answer)

    def _answer(self, effect: Effect) -> Any:
        match effect:
            case Look(name):
                assert self._left.get(name), f"an unforeseen look at {name}"
                self.asked.append(name)
                self.last[name] = self._left[name].popleft()
                return self.last[name]
            case Gauge():
                self._gauged += 1
                return self.memory[min(self._gauged, len(self.memory)) - 1]
            case Batch(commands):
                return self._send(commands)
            case Pause(seconds):
                self.pauses.append(seconds)
            case Report():
                self.reports.append(effect)
            case Lag():
                return ()
        return None

    def _send(self, commands: tuple[Command, ...]) -> list[str]:
        assert commands
        self.batches += 1
        for command in commands:
            check_command(command, self.last)
            self.sent.append(command)
        names = {command[0] for command in commands}
        if self.refuses in names:
            raise CommandRefusedError(self.refuses, "no")
        if self.loses in names:
            raise LostConnectionError
        return ["OK"] * len(commands)

    def _check_permissions(self, operation: AnyOperation) -> None:
        """What a flow needs is asked for before anything is written."""
        needed = {command[0] for command in self.sent}
        needed |= {"FT.INFO", "FT._LIST"} if self.asked else set()
        needed |= {"INFO"} if self._gauged else set()
        assert needed <= set(operation.permissions)


def check_command(command: Command, seen: Mapping[str, Answer]) -> None:
    """Documents are never deleted, and an index is dropped only by the name that it was just seen to have itself."""
    name, *arguments = command
    dropped = arguments[0] if name == "FT.DROPINDEX" else None
    if name == "EVAL":
        assert arguments[0] in (DROP_INDEX, TAKE_NAME)
        assert "'DD'" not in arguments[0].upper()
        dropped = arguments[2]
    if dropped is not None:
        index = seen[dropped]
        assert index is not None
        assert index.name == dropped, "this name is only an alias"
    if name == "FT.DROPINDEX":
        assert arguments == [dropped]


def test_the_check_of_commands_can_fail() -> None:
    """It refuses DD, a name never looked at, and an alias."""
    for command, seen in (
        (("FT.DROPINDEX", "goods", "DD"), {"goods": live("goods")}),
        (("FT.DROPINDEX", "goods"), {"goods": live("goods@1")}),
        (("EVAL", DROP_INDEX, "0", "goods"), {"goods": live("goods@1")}),
        (("FT.DROPINDEX", "goods"), {"goods": None}),
    ):
        with pytest.raises(AssertionError):
            check_command(command, seen)


@pytest.mark.parametrize("script", [DROP_INDEX, TAKE_NAME])
def test_scripts_look_before_they_drop(script: str) -> None:
    """The name is compared and the script left, before its one drop, which has no DD."""
    calls = [line.strip() for line in script.splitlines() if "redis.call" in line or line.startswith("if seen ~=")]
    assert calls[0] == "local seen = redis.call('FT.INFO', ARGV[1])[2]"
    assert calls[1] == "if seen ~= ARGV[1] then return seen end"
    assert calls[2] == "redis.call('FT.DROPINDEX', ARGV[1])"
    assert script.count("DROPINDEX") == 1


CREATE = CreateIndex(name="goods", physical="goods@2", definition=NEW)
WITH_SYNONYMS = replace(CREATE, synonyms=SYNONYMS)
ADD = AddFields(fields=(COLOR, PRICE), serves=RECORD)
DROP = DropIndex(physical="goods@1", because="replaced")
PLAIN_DROP = replace(DROP, atomic=False)
POINT = PointAlias(name="goods", physical="goods@2", before="goods@1")
UNPOINT = DropAlias(name="goods", physical="goods@1")
TAKE = TakeName(name="goods", physical="goods@2", serves=RECORD)
SLOW_TAKE = replace(TAKE, atomic=False)
AWAIT = AwaitBuild(name="goods", physical="goods@2")
VERIFY = VerifyIndex(name="goods", physical="goods@2", definition=NEW, against="goods@1")
FIRST = replace(VERIFY, against=None, finds=True)
OTHERS = replace(VERIFY, same_documents=False)
KNOWN = replace(OTHERS, known_failures=5)

CREATED: Command = (
    *("FT.CREATE", "goods@2", "ON", "HASH", "PREFIX", "1", "p:", "SCORE", "1.0", "SCHEMA"),
    *("title", "TEXT", "WEIGHT", "1.0", "color", "TAG", "SEPARATOR", ",", "price", "NUMERIC"),
)
UPDATED: tuple[Command, ...] = (
    ("FT.SYNUPDATE", "goods@2", "g1", "SKIPINITIALSCAN", "cheap", "low"),
    ("FT.SYNUPDATE", "goods@2", "g2", "SKIPINITIALSCAN", "low"),
    ("FT.SYNUPDATE", "goods@2", "g3", "cheap"),
)
ALTERED: Command = ("FT.ALTER", "goods@2", "SCHEMA", "ADD", "color", "TAG", "SEPARATOR", ",", "price", "NUMERIC")
DROPPED: Command = ("EVAL", DROP_INDEX, "0", "goods@1")
POINTED: Command = ("FT.ALIASUPDATE", "goods", "goods@2")
TAKEN: Command = ("EVAL", TAKE_NAME, "0", "goods", "goods@2")
N1, N2, PLAIN, OTHER = live("goods@1", OLD), live("goods@2"), live("goods", OLD), live("others@1", OLD)
WAS, ONE = live("goods@2", OLD), live("goods@2", replace(OLD, fields=(TITLE, COLOR)))
FAILS = live("goods@2", failures=8, last_error="no number", last_error_key="p:1")
FAILED = live("goods@1", OLD, failures=9)
SYNONYMOUS = live("goods@2", synonyms=SYNONYMS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One situation that an operation finds, what it then sends, and how it fails."""

    of: str
    work: AnyOperation
    looks: Mapping[str, Sequence[Answer]]
    sent: tuple[Command, ...] = ()
    refuses: str = ""
    fails: type[RvlstateError] | None = None
    says: str = ""


def row(of: str, work: AnyOperation, looks: Mapping[str, Sequence[Answer]], *sent: Command, **rest: Any) -> Row:
    """A row of the table."""
    return Row(of=of, work=work, looks=looks, sent=sent, **rest)


BUILT = [N2, N2]
GATE, STEP, REFUSED = GateFailedError, StepFailedError, CommandRefusedError
ROWS = (
    row("nothing done", CREATE, {"goods@2": [None]}, CREATED),
    row("nothing done, synonyms", WITH_SYNONYMS, {"goods@2": [None]}, CREATED, *UPDATED),
    row("half done", WITH_SYNONYMS, {"goods@2": [N2]}, *UPDATED),
    row("already done", CREATE, {"goods@2": [N2]}),
    row("already done, synonyms", WITH_SYNONYMS, {"goods@2": [SYNONYMOUS]}),
    row("taken", CREATE, {"goods@2": [WAS]}, fails=STEP, says="exists already with another definition"),
    row("only an alias", CREATE, {"goods@2": [OTHER]}, CREATED),
    row("refused", CREATE, {"goods@2": [None]}, CREATED, refuses="FT.CREATE", fails=REFUSED),
    row("nothing done", ADD, {"goods@2": [WAS, N2, N2, N2]}, ALTERED),
    row("half done", ADD, {"goods@2": [ONE, N2, N2, N2]}, (*ALTERED[:4], "price", "NUMERIC")),
    row("already done", ADD, {"goods@2": [N2, *BUILT, N2]}),
    row("gone", ADD, {"goods@2": [None]}, fails=STEP, says="somebody dropped it"),
    row("gone meanwhile", ADD, {"goods@2": [WAS, None]}, ALTERED, fails=STEP, says="somebody dropped it"),
    row("taken", ADD, {"goods@2": [OTHER]}, fails=STEP, says="goods@2 is gone"),
    row("refused", ADD, {"goods@2": [WAS]}, ALTERED, refuses="FT.ALTER", fails=REFUSED),
    row("nothing done", DROP, {"goods@1": [N1]}, DROPPED),
    row("nothing done", PLAIN_DROP, {"goods@1": [N1]}, ("FT.DROPINDEX", "goods@1")),
    row("already done", DROP, {"goods@1": [None]}),
    row("already done", PLAIN_DROP, {"goods@1": [None]}),
    row("taken", DROP, {"goods@1": [N2]}),
    row("taken", PLAIN_DROP, {"goods@1": [N2]}),
    row("refused", DROP, {"goods@1": [N1]}, DROPPED, refuses="EVAL", fails=REFUSED),
    row("nothing done", POINT, {"goods": [N1, N2]}, POINTED),
    row("already done", POINT, {"goods": [N2, N2]}),
    row("gone", POINT, {"goods": [None, N2]}, POINTED),
    row("taken", POINT, {"goods": [OTHER, N2]}, POINTED),
    row("taken again", POINT, {"goods": [N1, OTHER]}, POINTED, fails=GATE, says="from others@1: somebody else"),
    row("gone again", POINT, {"goods": [N1, None]}, POINTED, fails=GATE, says="It answers from no index"),
    row("hijacked before", POINT, {"goods": [PLAIN]}, fails=GATE, says="hides the alias"),
    row("hijacked meanwhile", POINT, {"goods": [N1, PLAIN]}, POINTED, fails=GATE, says="hides the alias"),
    row("refused", POINT, {"goods": [N1]}, POINTED, refuses="FT.ALIASUPDATE", fails=REFUSED),
    row("nothing done", UNPOINT, {"goods": [N1]}, ("FT.ALIASDEL", "goods")),
    row("already done", UNPOINT, {"goods": [None]}),
    row("taken", UNPOINT, {"goods": [OTHER]}),
    row("hijacked", UNPOINT, {"goods": [PLAIN]}),
    row("refused", UNPOINT, {"goods": [N1]}, ("FT.ALIASDEL", "goods"), refuses="FT.ALIASDEL", fails=REFUSED),
    row("nothing done", TAKE, {"goods": [PLAIN, N2]}, TAKEN),
    row("nothing done", SLOW_TAKE, {"goods": [PLAIN, N2]}, ("FT.DROPINDEX", "goods"), POINTED),
    row("half done", TAKE, {"goods": [None, N2]}, POINTED),
    row("half done", SLOW_TAKE, {"goods": [None, N2]}, POINTED),
    row("already done", TAKE, {"goods": [N2, N2]}),
    row("already done", SLOW_TAKE, {"goods": [N2, N2]}),
    row("taken", TAKE, {"goods": [OTHER, N2]}, POINTED),
    row("taken meanwhile", TAKE, {"goods": [PLAIN, OTHER]}, TAKEN, fails=GATE, says="from others@1"),
    row("hijacked meanwhile", SLOW_TAKE, {"goods": [None, PLAIN]}, POINTED, fails=GATE, says="hides the alias"),
    row("refused", TAKE, {"goods": [PLAIN]}, TAKEN, refuses="EVAL", fails=REFUSED),
    row("already done", AWAIT, {"goods@2": BUILT}),
    row("gone", AWAIT, {"goods@2": [None]}, fails=STEP, says="somebody dropped it"),
    row("gone meanwhile", AWAIT, {"goods@2": [N2, None]}, fails=STEP, says="somebody dropped it"),
    row("taken", AWAIT, {"goods@2": [OTHER]}, fails=STEP, says="goods@2 is gone"),
    row("already done", VERIFY, {"goods@2": [N2, N2], "goods@1": [N1, N1]}),
    row("already done, alone", replace(VERIFY, against=None), {"goods@2": [N2]}),
    row("all documents fail", FIRST, {"goods@2": [FAILS]}, fails=GATE, says="finds nothing: no document fits"),
    row("some documents fail", FIRST, {"goods@2": [replace(FAILS, statistics=Statistics(documents=1, failures=8))]}),
    row("an index that was there", replace(FIRST, finds=False), {"goods@2": [FAILS]}),
    row("failures as before", OTHERS, {"goods@2": [FAILS, FAILS], "goods@1": [FAILED, FAILED]}),
    row("copies failed", KNOWN, {"goods@2": [FAILS] * 51, "goods@1": [FAILED] * 100}, fails=GATE, says="on p:1: no"),
    row("gone", VERIFY, {"goods@2": [None]}, fails=GATE, says="not what the plan created"),
    row("taken", VERIFY, {"goods@2": [OTHER]}, fails=GATE, says="not what the plan created"),
    row("changed", VERIFY, {"goods@2": [WAS]}, fails=GATE, says="not what the plan created"),
    row("old one gone", VERIFY, {"goods@2": [N2, N2], "goods@1": [N1, None]}, fails=GATE, says="One of them is gone"),
    row("already done", RecordIndex(serves=RECORD), {}),
    row("already done", ForgetIndex(name="goods"), {}),
)


@pytest.mark.parametrize("case", ROWS, ids=lambda case: f"{case.work.operation}: {case.of}")
def test_only_what_is_missing_is_sent(case: Row) -> None:
    """Each situation leads to just these commands, and to this failure or none."""
    script = Script(looks=case.looks, refuses=case.refuses)
    if case.fails is None:
        script.run(case.work)
    else:
        with pytest.raises(case.fails) as caught:
            script.run(case.work)
        assert case.says in str(caught.value)
    assert tuple(script.sent) == case.sent
    assert script.batches == (1 if case.sent else 0)


def test_every_operation_is_tried_in_every_situation() -> None:
    """All operations have rows, and those that write have rows for what may be found; a gone name is created anew."""
    found = Counter((type(case.work), case.of) for case in ROWS)
    assert {kind for kind, _ in found} == set(get_args(AnyOperation)) - ABOUT_DOCUMENTS
    for writes in (CreateIndex, AddFields, DropIndex, PointAlias, DropAlias, TakeName):
        for of in ("nothing done", "already done", "taken", "refused"):
            assert found[writes, of], f"{writes.__name__}: {of}"
    for kind in (CreateIndex, AddFields, TakeName):
        assert found[kind, "half done"]


def test_a_takeover_interrupted_between_drop_and_alias_goes_on_with_the_alias() -> None:
    """Started again, it finds no index of that name and drops nothing."""
    first = Script(looks={"goods": [PLAIN]}, loses="FT.DROPINDEX")
    with pytest.raises(LostConnectionError):
        first.run(SLOW_TAKE)
    again = Script(looks={"goods": [None, N2]})
    again.run(SLOW_TAKE)
    assert again.sent == [POINTED]


@pytest.mark.parametrize("work", [DROP, PLAIN_DROP], ids=["atomic", "plain"])
@pytest.mark.parametrize("target", ["goods@2", "others@1"])
def test_an_alias_is_never_dropped_as_an_index(work: DropIndex, target: str) -> None:
    """FT.DROPINDEX would follow it and drop what serves."""
    script = Script(looks={"goods@1": [live(target)]})
    script.run(work)
    assert script.sent == []


def building(*figures: Mapping[str, Any]) -> list[Answer]:
    """One look at the new index after the other."""
    return [live("goods@2", **figure) for figure in figures]


CALM = {"indexing": 0, "percent": 1.0}
BUSY = {"indexing": 1, "percent": 1.0}
STALLED = {"indexing": 0, "percent": 0.5}


@pytest.mark.parametrize(
    "figures",
    [
        pytest.param((BUSY, BUSY, CALM, CALM), id="a running scan that says 100 %"),
        pytest.param((STALLED, STALLED, CALM, CALM), id="no scan, at 50 %"),
        pytest.param((CALM, BUSY, CALM, CALM), id="calm only between request and start"),
        pytest.param((CALM, STALLED, CALM, BUSY, CALM, CALM), id="calm never twice in a row before the end"),
        pytest.param(({"indexing": 3, "percent": 1.0}, CALM, CALM), id="shards still at work"),
    ],
)
def test_a_build_has_ended_when_it_is_calm_twice_in_a_row(figures: tuple[Mapping[str, Any], ...]) -> None:
    """Neither the percentage nor one look is believed; the flow asks until then and not longer."""
    script = Script(looks={"goods@2": building(*figures)})
    script.run(AWAIT)
    assert len(script.asked) == len(figures)
    assert len(script.pauses) == len(figures) - 1
    assert [report.done == report.total for report in script.reports] == [figure == CALM for figure in figures]
    assert figures[-CALM_LOOKS:] == (CALM,) * CALM_LOOKS


def test_pauses_grow_while_a_build_goes_on() -> None:
    """Short at first, never longer than a second, short again once it seems to be done."""
    script = Script(looks={"goods@2": building(*[BUSY] * 20, CALM, CALM)})
    script.run(AWAIT)
    assert script.pauses[:20] == sorted(script.pauses[:20])
    assert script.pauses[19] == 1.0
    assert script.pauses[0] == script.pauses[-1] < 0.1


def test_a_scan_that_was_aborted_fails_the_gate() -> None:
    """Though FT.INFO says that it is calm and at 100 %."""
    script = Script(looks={"goods@2": building(BUSY, {**CALM, "scan_error": "out of memory"})})
    with pytest.raises(GateFailedError, match="gave up building goods@2") as caught:
        script.run(AWAIT)
    assert "out of memory" in str(caught.value)


@pytest.mark.parametrize(("used", "ratio", "fails"), [(91, 0.9, True), (90, 0.9, False), (99, 0.0, False)])
def test_a_build_stops_before_the_server_is_full(used: int, ratio: float, fails: bool) -> None:
    """Above the ratio of maxmemory, not at it; 0 is no ratio."""
    memory = (Memory(used=10, limit=100), Memory(used=used, limit=100))
    script = Script(looks={"goods@2": building(BUSY, CALM) if fails else building(BUSY, CALM, CALM)}, memory=memory)
    work = replace(AWAIT, max_memory_ratio=ratio)
    if not fails:
        script.run(work)
        return
    with pytest.raises(GateFailedError, match="memory ran short") as caught:
        script.run(work)
    assert "91 of 100 bytes" in str(caught.value)


def test_without_maxmemory_no_ratio_is_passed() -> None:
    """Limit 0 means none."""
    script = Script(looks={"goods@2": BUILT}, memory=(Memory(used=10**12, limit=0),))
    script.run(replace(AWAIT, max_memory_ratio=0.1))
    assert script.sent == []


def counts(old: Sequence[int], new: Sequence[int]) -> dict[str, Sequence[Answer]]:
    """The old index before and after each look at the new one, which was looked at once before."""
    return {
        "goods@1": [live("goods@1", OLD, documents=number) for number in old],
        "goods@2": [live("goods@2", documents=number) for number in (0, *new)],
    }


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param((10, 10), (10,), id="the same"),
        pytest.param((10, 14), (12,), id="documents are added meanwhile"),
        pytest.param((14, 10), (12,), id="documents are deleted meanwhile"),
        pytest.param((10, 10), (11,), id="more than before"),
        pytest.param((10, 10, 12, 13), (8, 12), id="the new one catches up"),
    ],
)
def test_writers_at_work_do_not_fail_the_gate(old: tuple[int, ...], new: tuple[int, ...]) -> None:
    """The count lies between those of the old index before and after, sooner or later."""
    script = Script(looks=counts(old, new))
    script.run(VERIFY)
    assert script.asked == ["goods@2", *["goods@1", "goods@2", "goods@1"] * len(new)]
    assert script.reports[-1].figures["documents"] == new[-1]
    assert script.reports[-1].figures["documents_before"] == old[-1]


def test_lost_documents_fail_the_gate_with_figures() -> None:
    """After many looks, with the last failure and its key."""
    bad = live("goods@2", documents=7, failures=3, last_error="bad vector", last_error_key="p:1")
    looks = {"goods@1": [live("goods@1", OLD, documents=10)] * 2 * ROUNDS, "goods@2": [N2, *[bad] * ROUNDS]}
    script = Script(looks=looks)
    with pytest.raises(GateFailedError, match="would lose documents") as caught:
        script.run(VERIFY)
    text = str(caught.value)
    assert "holds 7 documents, goods@1 holds 10" in text
    assert "3 indexing failures; the last, on p:1: bad vector" in text
    assert len(script.pauses) == ROUNDS


@pytest.mark.parametrize(("failures", "holds"), [(0, True), (2, True), (3, False)])
def test_over_other_documents_only_new_failures_count(failures: int, holds: bool) -> None:
    """The counts differ then anyway; 2 documents failed before."""
    rounds = 1 if holds else ROUNDS
    old, new = live("goods@1", OLD, documents=10, failures=2), live("goods@2", documents=1, failures=failures)
    script = Script(looks={"goods@1": [old] * 2 * rounds, "goods@2": [new] * (rounds + 1)})
    run: Callable[[], None] = lambda: script.run(replace(VERIFY, same_documents=False))  # noqa: E731
    if holds:
        run()
        assert ("indexing failures" in script.reports[-1].note) == bool(failures)
    else:
        with pytest.raises(GateFailedError, match="would lose documents"):
            run()


def altered(before: Mapping[str, Any], after: Mapping[str, Any]) -> Script:
    """FT.ALTER of an index with these figures before and after."""
    return Script(looks={"goods@2": [live("goods@2", OLD, **before), *BUILT, live("goods@2", **after)]})


def test_documents_that_drop_out_fail_added_fields_with_figures() -> None:
    """One FT.ALTER was sent; the message tells how many, and the last key with its error."""
    script = altered(
        {"documents": 1200, "failures": 1},
        {"documents": 100, "failures": 9, "last_error": "not a number", "last_error_key": "p:9"},
    )
    with pytest.raises(StepFailedError, match="add color, price to goods@2") as caught:
        script.run(ADD)
    assert "1,100 documents dropped out of goods@2" in str(caught.value)
    assert "The last, p:9: not a number" in str(caught.value)
    assert script.sent == [ALTERED]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param({"documents": 10}, {"documents": 8}, id="deleted meanwhile"),
        pytest.param({"documents": 10}, {"documents": 10, "failures": 1}, id="a new document that fails"),
    ],
)
def test_fewer_documents_or_failures_alone_are_no_loss(before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Only both together say that documents dropped out."""
    script = altered(before, after)
    script.run(ADD)
    assert script.sent == [ALTERED]
