"""Checks: verdicts on findings, the flows that ask for them, and what real servers answer."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from redis.crc import key_slot
from redis.exceptions import NoPermissionError
from servers import eventually

from rvlstate.errors import GateFailedError, InterruptedRunError
from rvlstate.model.canonical import mask
from rvlstate.model.catalog import LiveIndex, Statistics
from rvlstate.model.check import Check, KnnCheck, QueryCheck
from rvlstate.model.definition import IndexDefinition
from rvlstate.model.field import Flat, Hnsw, NumericField, TagField, VectorField
from rvlstate.model.rewrite import VectorShape
from rvlstate.plan.arguments import create_arguments
from rvlstate.plan.effects import Effect, Findings, Look, Pause, Probe, Recall, Report, Sampled
from rvlstate.plan.gates import judge, recall, relocated, remembered_name, table
from rvlstate.plan.operations import AnyOperation, VerifyIndex
from rvlstate.plan.operations.take_baseline import TakeBaseline
from rvlstate.plan.operations.verify_index import KNN_ROUNDS, ROUNDS
from rvlstate.plan.replicas import Lag
from rvlstate.runtime.connect import Connection, command, connect
from rvlstate.runtime.documents.topology import is_clustered
from rvlstate.runtime.gates import GateKeeper, truth
from rvlstate.runtime.gates.copies import Copies
from rvlstate.runtime.gates.remembered import KEPT_SECONDS
from rvlstate.runtime.gates.vectors import sketch
from rvlstate.runtime.inspect import inspect_index
from rvlstate.runtime.state_keys import StateKeys
from rvlstate.runtime.stop import StopRequest

KNN = KnnCheck(knn="v", samples=4, k=2, min_overlap=0.9)
QUERY = QueryCheck(query="@color:{red}")
COSINE, L2 = "float32 x 4, cosine", "float32 x 4, l2"
Near = tuple[tuple[str, float], ...]


def sample(key: str, answers: Near, *, reference: Near = (), digest: str = "same", bits: str = "ff00ff00") -> Sampled:
    """A sampled document."""
    return Sampled(key=key, digest=digest, sketch=bits, answers=answers, reference=reference or answers)


def knn(*samples: Sampled, **more: Any) -> Findings:
    """Findings of a knn check."""
    return Findings(**{"samples": samples, "space": COSINE, "scope": "here", "documents": 100, **more})


OLD = knn(sample("p:1", (("p:1", 0.0), ("p:2", 0.25)), reference=(("p:1", 0.0), ("p:2", 0.25), ("p:3", 0.5))))


def new(*answers: tuple[str, float], **more: Any) -> Findings:
    """What another index gives for the one sampled document."""
    return knn(sample("p:1", answers, digest=more.pop("digest", "same")), **more)


class TestOverlap:
    """What counts as given too, and what does not."""

    @staticmethod
    def overlap(before: Findings, after: Findings) -> float:
        """The figure of the report."""
        return judge(KNN, before, after).figures["v overlap@2"]

    def test_the_same_answers_overlap_fully(self) -> None:
        """In whatever order they come."""
        assert self.overlap(OLD, new(("p:2", 0.25), ("p:1", 0.0))) == 1.0

    def test_a_farther_answer_is_a_miss(self) -> None:
        """One of two neighbours was replaced by something that the old index knew to be farther away."""
        assert self.overlap(OLD, new(("p:1", 0.0), ("p:3", 0.5))) == 0.5

    def test_an_answer_that_is_not_given_is_a_miss(self) -> None:
        """Fewer answers do not make the share larger."""
        assert self.overlap(OLD, new(("p:1", 0.0))) == 0.5

    def test_a_tie_is_no_miss(self) -> None:
        """Of several documents at the same distance either is right."""
        assert self.overlap(OLD, new(("p:1", 0.0), ("p:9", 0.2500001))) == 1.0

    def test_a_tie_counts_by_the_distances_before_where_the_vectors_were_rewritten(self) -> None:
        """Another datatype shifts distances: what the old index knew of both documents decides."""
        tied = knn(replace(OLD.samples[0], reference=(("p:1", 0.0), ("p:2", 0.25), ("p:3", 0.25), ("p:4", 0.9))))
        assert self.overlap(tied, new(("p:1", 0.0), ("p:3", 0.2), space="int8 x 4, cosine", digest="other")) == 1.0
        assert self.overlap(tied, new(("p:1", 0.0), ("p:4", 0.2), space="int8 x 4, cosine", digest="other")) == 0.5

    def test_more_ties_than_the_list_is_long_are_no_misses(self) -> None:
        """Where the list of the old index ends in the same distance, what is not on it may be as near."""
        crowd = knn(sample("p:1", (("p:1", 0.5), ("p:2", 0.5)), reference=tuple((f"p:{n}", 0.5) for n in range(1, 8))))
        rewritten = {"space": "float16 x 4, cosine", "digest": "other"}
        assert self.overlap(crowd, new(("p:80", 0.51), ("p:90", 0.51), **rewritten)) == 1.0

    def test_a_nearer_answer_is_no_miss(self) -> None:
        """An index that finds more than the old one did is not refused for it."""
        assert self.overlap(OLD, new(("p:1", 0.0), ("p:7", 0.125))) == 1.0

    def test_a_document_that_moved_nearer_meanwhile_is_no_miss(self) -> None:
        """The old index knew it as farther away; somebody changed its vector since."""
        assert self.overlap(OLD, new(("p:1", 0.0), ("p:3", 0.125))) == 1.0

    def test_one_tie_makes_up_for_one_answer_only(self) -> None:
        """Two answers are missing and one as near came."""
        assert self.overlap(OLD, new(("p:8", 0.0))) == 0.5

    def test_small_distances_are_told_apart_where_the_metric_has_no_scale(self) -> None:
        """Squared distances of tiny vectors are far below any fixed rounding."""
        tiny = knn(sample("p:1", (("p:1", 0.0), ("p:2", 1e-8))), space=L2)
        assert self.overlap(tiny, new(("p:1", 0.0), ("p:3", 9e-8), space=L2)) == 0.5

    def test_documents_that_are_gone_are_not_missed(self) -> None:
        """A neighbour that was deleted meanwhile cannot be found."""
        assert self.overlap(OLD, new(("p:1", 0.0), ("p:3", 0.5), gone=("p:2",))) == 1.0

    def test_every_sampled_document_counts_alike(self) -> None:
        """The overlap is the mean over the documents, and is compared with what is required."""
        before = knn(*(replace(OLD.samples[0], key=f"d:{number}") for number in range(4)))
        answers = (("p:1", 0.0), ("p:2", 0.25))
        after = knn(
            *(sample(f"d:{number}", answers) for number in range(3)), sample("d:3", (("p:3", 0.5), ("p:4", 0.9)))
        )
        verdict = judge(KNN, before, after)
        assert (verdict.figures["v overlap@2"], verdict.passed) == (0.75, False)
        assert judge(replace(KNN, min_overlap=0.75), before, after).passed

    def test_a_share_below_one_is_never_shown_as_one(self) -> None:
        """Who requires 1 must see what was found."""
        before = knn(*(replace(OLD.samples[0], key=f"d:{number}") for number in range(5000)))
        rest = tuple(sample(f"d:{number}", OLD.samples[0].answers) for number in range(1, 5000))
        verdict = judge(replace(KNN, min_overlap=1.0), before, knn(sample("d:0", (("p:1", 0.0),)), *rest))
        assert not verdict.passed
        assert "overlap 0.999900" in verdict.found

    def test_a_document_that_answers_twice_counts_once_and_is_told(self) -> None:
        """A staged copy beside its document takes the place of a neighbour, and makes up for none."""
        twice = new(("p:1", 0.0), ("p:1", 0.0))
        verdict = judge(KNN, OLD, twice)
        assert verdict.figures["v overlap@2"] == 0.5
        assert verdict.remark == "1 of 1 answers name a document twice: its staged copy and itself"
        assert self.overlap(OLD, new(("p:7", 0.125), ("p:7", 0.125))) == 0.5
        assert (
            recall(
                replace(twice, samples=(replace(twice.samples[0], reference=OLD.samples[0].reference),), exact=True), 2
            )
            == 0.5
        )


class TestChangedMeanwhile:
    """Sampled documents that somebody else changed are left out."""

    BEFORE = knn(*(sample(f"p:{number}", ((f"p:{number}", 0.0),), digest=f"old {number}") for number in range(8)))

    def after(self, **changed: dict[str, str]) -> Findings:
        """The same, but for the samples named `p_3`, which differ."""
        return knn(
            *(replace(item, **changed.get(item.key.replace(":", "_"), {})) for item in self.BEFORE.samples)  # type: ignore[arg-type]
        )

    def test_another_vector_is_left_out_and_counted(self) -> None:
        """It is told how many they were."""
        verdict = judge(KNN, self.BEFORE, self.after(p_3={"digest": "changed"}))
        assert verdict.passed
        assert "over 7 documents" in verdict.found
        assert verdict.remark == "1 sampled documents were changed or removed meanwhile and are left out"

    def test_a_document_that_vanished_is_left_out(self) -> None:
        """It is in the old findings only."""
        verdict = judge(KNN, self.BEFORE, replace(self.BEFORE, samples=self.BEFORE.samples[:6]))
        assert verdict.passed
        assert verdict.remark.startswith("2 sampled documents")

    def test_too_few_that_are_left_fail_and_say_so(self) -> None:
        """Nothing can be said of an index from less than half of the sample."""
        verdict = judge(KNN, self.BEFORE, replace(self.BEFORE, samples=self.BEFORE.samples[:3]))
        assert not verdict.passed
        assert verdict.found == "only 3 of 8 sampled documents as they were"

    def test_vectors_that_were_all_rewritten_count(self) -> None:
        """Another datatype leaves the sketch nearly as it was; what differs far more was changed by somebody else."""
        rewritten = {item.key.replace(":", "_"): {"digest": "new " + item.key} for item in self.BEFORE.samples}
        assert judge(KNN, self.BEFORE, self.after(**rewritten)).remark == ""
        rewritten["p_2"]["sketch"] = "0f0f0f0f"
        assert judge(KNN, self.BEFORE, self.after(**rewritten)).remark.startswith("1 sampled documents")

    def test_vectors_of_another_model_all_count(self) -> None:
        """Where every sketch changed, none changed more than is usual."""
        others = {
            item.key.replace(":", "_"): {"digest": "new", "sketch": bits}
            for item, bits in zip(
                self.BEFORE.samples, ("0ff00ff0", "00ff00ff", "f0f0f0f0", "33333333") * 2, strict=True
            )
        }
        assert judge(KNN, self.BEFORE, self.after(**others)).remark == ""


class TestRecall:
    """Against the true neighbours."""

    def test_the_share_of_the_true_neighbours(self) -> None:
        """One of two answers is no nearest neighbour."""
        found = knn(sample("p:1", (("p:1", 0.0), ("p:9", 0.75)), reference=OLD.samples[0].reference), exact=True)
        assert recall(found, 2) == 0.5

    def test_an_answer_as_near_as_the_last_counts(self) -> None:
        """Ties are not told apart."""
        found = knn(sample("p:1", (("p:1", 0.0), ("p:9", 0.25)), reference=OLD.samples[0].reference), exact=True)
        assert recall(found, 2) == 1.0

    def test_it_is_unknown_where_not_all_vectors_were_compared(self) -> None:
        """A wider search of the same index is no truth."""
        assert recall(OLD, 2) is None

    def test_both_figures_are_in_the_verdict(self) -> None:
        """Before and after, also where nothing is known of before."""
        exact = replace(OLD, exact=True)
        verdict = judge(KNN, exact, exact)
        assert verdict.figures == {"v overlap@2": 1.0, "v recall@2 before": 1.0, "v recall@2 after": 1.0}
        assert verdict.found == "overlap 1.000 over 1 documents; recall 1.000 before, 1.000 now"
        alone = judge(KNN, None, exact)
        assert (alone.passed, alone.figures) == (True, {"v recall@2 after": 1.0})


class TestQueries:
    """Counts that are compared."""

    @pytest.mark.parametrize(("after", "passed"), [(9, False), (10, True), (11, True), (12, True), (13, False)])
    def test_writers_may_move_the_count_while_it_is_taken(self, after: int, *, passed: bool) -> None:
        """Side by side it must lie between two looks at the old index."""
        verdict = judge(QUERY, Findings(count=10), Findings(count=after), Findings(count=12))
        assert verdict.passed is passed

    @pytest.mark.parametrize(("after", "passed"), [(6, False), (7, True), (13, True), (14, False)])
    def test_what_is_remembered_allows_for_documents_that_came_and_went(self, after: int, *, passed: bool) -> None:
        """Three documents more than then: so many may the query find more or less; it is told in words."""
        verdict = judge(QUERY, Findings(count=10, documents=100), Findings(count=after, documents=103))
        assert verdict.passed is passed
        assert verdict.required == "10 ± 3"
        assert "held 100 documents then and holds 103 now" in verdict.remark

    def test_a_query_that_finds_nothing_is_told(self) -> None:
        """It cannot fail, and a misspelt field finds nothing (measured)."""
        assert "finds nothing in either" in judge(QUERY, Findings(), Findings(), Findings()).remark

    def test_without_an_index_before_nothing_is_required(self) -> None:
        """The count is told all the same."""
        verdict = judge(QUERY, None, Findings(count=7))
        assert (verdict.passed, verdict.found) == (True, "7")
        assert verdict.figures == {"found by @color:{red}": 7.0}


def test_the_table_shows_every_check_in_columns() -> None:
    """Those that passed too, so that the whole is seen."""
    verdicts = [judge(KNN, OLD, new(("p:1", 0.0))), judge(QUERY, Findings(count=5), Findings(count=5))]
    assert table(verdicts).splitlines() == [
        "FAILED  knn v, k 2          required: overlap 0.9  found: overlap 0.500 over 1 documents",
        "passed  query @color:{red}  required: 5            found: 5",
    ]


def test_findings_follow_documents_to_their_new_keys() -> None:
    """Prefixes that moved are changed in all keys; others stay."""
    moved = relocated(OLD, (("p:", "q:"),))
    assert moved.samples[0].key == "q:1"
    assert moved.samples[0].answers == (("q:1", 0.0), ("q:2", 0.25))
    assert moved.samples[0].reference[2] == ("q:3", 0.5)
    assert relocated(OLD, (("x:", "q:"),)) == OLD


def test_what_is_kept_is_found_under_the_same_check_only() -> None:
    """A check that was edited since must not be compared with findings of another."""
    names = {remembered_name("b", check) for check in (KNN, replace(KNN, k=3), QUERY, replace(QUERY, query="*"))}
    assert len(names) == 4
    assert remembered_name("b", KNN) == remembered_name("b", replace(KNN))
    assert all(name.startswith("b/") and name.count("/") == 1 for name in names)


@pytest.mark.parametrize(
    ("datatype", "code"), [("float64", "d"), ("float32", "f"), ("float16", "e"), ("int8", "b"), ("uint8", "B")]
)
def test_a_sketch_survives_a_change_of_datatype(datatype: str, code: str) -> None:
    """One bit a component, whatever they are stored as."""
    values = [9, 1, 2, 8, 7, 0, 3, 100, 1]
    blob = struct.pack(f"<9{code}", *values)
    assert sketch(blob, VectorShape(datatype=datatype, dims=9)) == f"{0b000000010:03x}"


def test_a_sketch_of_bfloat16() -> None:
    """The upper half of a float32."""
    blob = b"".join(struct.pack("<f", value)[2:] for value in (4.0, -1.0, 2.0))
    assert sketch(blob, VectorShape(datatype="bfloat16", dims=3)) == f"{0b101:x}"


# --- flows ---

VECTOR = VectorField(name="v", identifier="v", search=Flat(), dims=4)
BEFORE = IndexDefinition(prefixes=("p:",), fields=(VECTOR, TagField(name="color", identifier="color")))
AFTER = replace(BEFORE, fields=(replace(VECTOR, search=Hnsw()), BEFORE.fields[1]))


def live(name: str, definition: IndexDefinition, documents: int = 10) -> LiveIndex:
    """An index as the server shows it."""
    return LiveIndex(name=name, definition=mask(definition), statistics=Statistics(documents=documents))


INDEXES = {"goods@1": live("goods@1", BEFORE), "goods@2": live("goods@2", AFTER)}


class Played:
    """A flow that was answered from tables; it keeps what was asked, what was told, and how it failed."""

    def __init__(
        self,
        operation: AnyOperation | TakeBaseline,
        *,
        find: Callable[[Probe, int], Findings] = lambda _probe, _number: Findings(),
        kept: dict[str, Findings] | None = None,
        indexes: dict[str, LiveIndex | None] | None = None,
    ) -> None:
        self.probes: list[Probe] = []
        self.recalled: list[str] = []
        self.reports: list[Report] = []
        self.pauses = 0
        self.error: GateFailedError | None = None
        self._find = find
        self._kept = kept or {}
        self._indexes: dict[str, LiveIndex | None] = {**INDEXES, **(indexes or {})}
        try:
            self._play(operation)
        except GateFailedError as error:
            self.error = error

    def _play(self, operation: AnyOperation | TakeBaseline) -> None:
        flow = operation.flow()
        try:
            effect = next(flow)
            while True:
                effect = flow.send(self._answer(effect))
        except StopIteration:
            return

    def _answer(self, effect: Effect) -> Any:
        match effect:
            case Look(name):
                return self._indexes.get(name)
            case Probe():
                self.probes.append(effect)
                return self._find(effect, len(self.probes))
            case Recall():
                self.recalled.append(effect.remembered)
                return self._kept.get(effect.remembered)
            case Lag():
                return ()
            case Pause():
                self.pauses += 1
            case Report():
                self.reports.append(effect)
            case _:
                pytest.fail(f"an unforeseen effect: {effect}")
        return None


VERIFY = VerifyIndex(name="goods", physical="goods@2", definition=AFTER, against="goods@1", checks=(QUERY,))
BASELINE = TakeBaseline(name="goods", physical="goods@1", definition=BEFORE, checks=(QUERY, KNN), baseline="r:base")


def counts(old: int, found: int) -> Callable[[Probe, int], Findings]:
    """What a query finds in the old index and in the new one."""
    return lambda probe, _number: Findings(count=old if probe.index == "goods@1" else found, documents=10)


def test_a_query_is_asked_of_old_new_and_old_again() -> None:
    """So that a count that moves meanwhile is no difference; the figures are reported beside those of the index."""
    played = Played(VERIFY, find=counts(5, 5))
    assert [probe.index for probe in played.probes] == ["goods@1", "goods@2", "goods@1"]
    assert played.error is None
    assert played.reports[-1].figures == {
        "documents": 10.0,
        "documents_before": 10.0,
        "indexing_failures": 0.0,
        "found by @color:{red}": 5.0,
        "found before by @color:{red}": 5.0,
    }


NEXT = (
    "look at the change and at the checks; if what it finds is right, change the checks of goods in the project file, "
    "then run apply again."
)


def test_a_difference_must_last_to_be_believed() -> None:
    """A count that is right in the end is right; one that never is fails with its figures."""
    late = Played(VERIFY, find=lambda probe, number: Findings(count=5 if probe.index == "goods@1" or number > 9 else 4))
    assert (late.error, late.pauses) == (None, 3)
    never = Played(VERIFY, find=counts(5, 4))
    assert never.pauses == ROUNDS
    assert never.error is not None
    assert str(never.error).splitlines() == [
        "goods@2 fails 1 of 1 checks",
        "  FAILED  query @color:{red}  required: 5  found: 4",
        f"  Next: {NEXT}",
    ]
    assert never.error.exit_code == 3


def test_a_failed_check_does_not_hide_the_others() -> None:
    """All are carried out, all are in the table, and their figures are told before the gate fails."""
    played = Played(replace(VERIFY, checks=(QUERY, KNN)), find=lambda probe, _number: _mixed(probe))
    assert played.error is not None
    assert "FAILED  query" in played.error.why
    assert "passed  knn v, k 2" in played.error.why
    assert played.reports[-1].figures["v overlap@2"] == 1.0


def _mixed(probe: Probe) -> Findings:
    return OLD if isinstance(probe.check, KnnCheck) else counts(5, 4)(probe, 0)


def test_neighbours_are_compared_for_the_same_documents() -> None:
    """The sample of the first look at the old index is that of all further ones."""
    poor = new(("p:1", 0.0), ("p:3", 0.5))
    played = Played(
        replace(VERIFY, checks=(KNN,)), find=lambda probe, _number: OLD if probe.index == "goods@1" else poor
    )
    assert played.error is not None
    assert len(played.probes) == 2 * KNN_ROUNDS
    assert played.probes[0].like is None
    assert all(probe.like == OLD for probe in played.probes[1:])
    assert [probe.definition.field("v") for probe in played.probes[:2]] == [
        mask(BEFORE).field("v"),
        AFTER.field("v"),
    ]


def test_a_field_that_was_renamed_is_asked_for_by_its_former_name() -> None:
    """In the old index only."""
    verify = replace(VERIFY, checks=(KNN,), renamed=(("v", "vec"),))
    played = Played(verify, find=lambda _probe, _number: OLD)
    assert [probe.check for probe in played.probes] == [replace(KNN, knn="vec"), KNN]


def test_without_an_index_before_the_figures_are_told_and_nothing_is_required() -> None:
    """A new index has nothing to be compared with."""
    played = Played(replace(VERIFY, against=None), find=counts(0, 7))
    assert played.error is None
    assert [probe.index for probe in played.probes] == ["goods@2"]
    assert "nothing to compare with" in played.reports[-1].note


def test_checks_may_be_compared_with_what_was_kept_of_an_index_that_is_gone() -> None:
    """The findings are asked for by name, and the new index is asked for the same documents."""
    verify = replace(VERIFY, against=None, baseline="r:base", checks=(KNN,), moves=(("p:", "q:"),))
    played = Played(
        verify,
        find=lambda _probe, _number: relocated(new(("p:1", 0.0), ("p:3", 0.5)), (("p:", "q:"),)),
        kept={remembered_name("r:base", KNN): OLD},
    )
    assert [probe.like for probe in played.probes] == [relocated(OLD, (("p:", "q:"),))]
    assert played.error is not None
    assert "overlap 0.500 over 1 documents" in played.error.why


def test_what_was_never_kept_is_not_required() -> None:
    """A check that came after the old index went, or findings that expired, leave nothing to compare with."""
    played = Played(replace(VERIFY, against=None, baseline="r:base"), find=counts(0, 3))
    assert played.recalled == [remembered_name("r:base", QUERY)]
    assert played.error is None
    assert "nothing is known of an index before" in played.reports[-1].note


SERVING = replace(VERIFY, after_cutover=True)


def test_after_the_cutover_a_failure_says_that_the_new_index_serves_and_how_to_go_back() -> None:
    """It is not to be removed: queries go to it."""
    played = Played(SERVING, find=counts(5, 4), indexes={"goods": INDEXES["goods@2"]})
    assert played.error is not None
    assert "goods answers from goods@2 already" in played.error.why
    assert played.error.next_step.startswith("to go back: FT.ALIASUPDATE goods goods@1.")
    assert played.error.exit_code == 3
    assert (SERVING.disposable, VERIFY.disposable) == (False, True)
    recreated = Played(
        replace(SERVING, against=None, baseline="b"),
        find=counts(5, 4),
        kept={remembered_name("b", QUERY): Findings(count=5, documents=10)},
        indexes={"goods": INDEXES["goods@2"]},
    )
    assert recreated.error is not None
    assert "rvlstate rollback goods" in recreated.error.next_step


@pytest.mark.parametrize("where", [None, INDEXES["goods@1"]])
def test_after_the_cutover_the_name_must_lead_to_the_new_index(where: LiveIndex | None) -> None:
    """Else somebody moved it, and nothing is asked of either index."""
    played = Played(SERVING, indexes={"goods": where})
    assert played.error is not None
    assert played.error.what == "goods does not lead to goods@2 after the cutover"
    assert played.probes == []


def test_a_baseline_is_measured_and_kept_under_its_name() -> None:
    """Each check under its own, with the figures told."""
    played = Played(
        BASELINE, find=lambda probe, _: replace(OLD, exact=True) if probe.check == KNN else Findings(count=3)
    )
    assert [probe.remember for probe in played.probes] == [remembered_name("r:base", check) for check in (QUERY, KNN)]
    assert played.reports[-1].figures == {"found before by @color:{red}": 3.0, "v recall@2 before": 1.0}
    assert played.reports[-1].note == "query @color:{red}: 3; knn v, k 2: 1 documents, recall 1.000"


@pytest.mark.parametrize("seen", [None, INDEXES["goods@2"], replace(INDEXES["goods@2"], name="goods@1")])
def test_a_baseline_of_an_index_that_is_gone_stays_as_it_was_kept(seen: LiveIndex | None) -> None:
    """A run that goes on after the drop measures nothing anew: neither a successor of that name nor behind it."""
    kept = {remembered_name("r:base", KNN): OLD}
    played = Played(BASELINE, indexes={"goods@1": seen}, kept=kept)
    assert played.probes == []
    assert "1 of 2 checks were measured before" in played.reports[-1].note


def test_permissions_name_what_the_checks_send() -> None:
    """And what looks at indexes needs, and takes away one that does not pass."""
    assert set(VERIFY.permissions) == {"FT.INFO", "FT.SYNDUMP", "FT._LIST", "FT.SEARCH", "FT.DROPINDEX", "ROLE"}
    assert set(BASELINE.permissions) >= {"FT.SEARCH", "FT.AGGREGATE", "FT.CURSOR", "HGET", "EXISTS", "SET", "GET"}
    assert "JSON.GET" not in BASELINE.permissions
    assert "JSON.GET" in replace(BASELINE, definition=replace(BEFORE, storage="json")).permissions
    assert "FT.SEARCH" not in replace(VERIFY, checks=()).permissions


# --- real servers ---

DIMS = 32
EMBEDDING = VectorField(name="v", identifier="v", search=Flat(), dims=DIMS)
GOODS = IndexDefinition(
    prefixes=("p:",),
    fields=(EMBEDDING, TagField(name="color", identifier="color"), NumericField(name="n", identifier="n")),
)
CHECK = KnnCheck(knn="v", samples=10, k=5)


@pytest.fixture(params=["redis_url 3", "redis_url 2", "cluster_url 3", "cluster_url 2"])
def connection(request: pytest.FixtureRequest) -> Iterator[Connection]:
    """Both kinds of server, by both protocols."""
    name, protocol = request.param.split()
    with connect(request.getfixturevalue(name), protocol=int(protocol)) as opened:
        yield opened


@pytest.fixture
def standalone(redis_url: str) -> Iterator[Connection]:
    """The standalone server."""
    with connect(redis_url) as opened:
        yield opened


def keeper(connection: Connection) -> GateKeeper:
    """The gatekeeper of a project."""
    return GateKeeper(connection, "shop", stop=StopRequest())


def vector(number: int, code: str = "f") -> bytes:
    """The vector of a document: the same for the same number, else far from all others."""
    chance = random.Random(number)
    return struct.pack(f"<{DIMS}{code}", *(chance.gauss(0, 1) for _ in range(DIMS)))


def write(connection: Connection, keys: Sequence[str | bytes], *, field: str = "v", code: str = "f") -> None:
    """Hashes with a vector, a color and a number."""
    for number, key in enumerate(keys):
        values: dict[str, Any] = {field: vector(number, code), "color": ("red", "blue")[number % 2], "n": number}
        connection.keys.hset(key, mapping=values)  # type: ignore[arg-type]


def create(connection: Connection, name: str, definition: IndexDefinition) -> IndexDefinition:
    """An index that is built; its definition as the server shows it."""
    command(connection.search, *create_arguments(name, definition))

    def is_built() -> bool:
        seen = inspect_index(connection, name)
        return seen is not None and not seen.statistics.indexing and seen.statistics.percent >= 1

    eventually(is_built)
    seen = inspect_index(connection, name)
    assert seen is not None
    return seen.definition


def probe(
    connection: Connection, name: str, definition: IndexDefinition, check: Check = CHECK, **more: Any
) -> Findings:
    """What a check finds on an index."""
    return keeper(connection).probe(Probe(check=check, index=name, definition=definition, **more))


def test_a_query_is_counted(connection: Connection) -> None:
    """By the physical name with its hash tag, and by alias."""
    write(connection, [f"p:{number}" for number in range(9)])
    definition = create(connection, "{goods}@1", GOODS)
    command(connection.search, "FT.ALIASADD", "goods", "{goods}@1")
    found = [probe(connection, name, definition, QUERY) for name in ("{goods}@1", "goods")]
    assert found == [Findings(count=5, documents=9)] * 2


def test_a_query_that_the_server_refuses_is_quoted(connection: Connection) -> None:
    """The gate fails with the server's own words."""
    definition = create(connection, "goods", GOODS)
    with pytest.raises(GateFailedError, match="Syntax error at offset") as caught:
        probe(connection, "goods", definition, QueryCheck(query="@n:[3"))
    assert caught.value.what == "the query of a check is refused: @n:[3"


@pytest.mark.parametrize("check", [CHECK, QUERY], ids=["knn", "query"])
def test_an_index_that_is_gone_is_told(connection: Connection, check: Check) -> None:
    """Somebody dropped it while it was checked."""
    with pytest.raises(GateFailedError, match="it is gone"):
        probe(connection, "goods", GOODS, check)


def test_an_exact_index_has_full_recall_and_overlap(connection: Connection) -> None:
    """FLAT compares all vectors, as the ground truth does, cluster or not."""
    write(connection, [f"p:{number}" for number in range(200)])
    definition = create(connection, "{goods}@1", GOODS)
    found = probe(connection, "{goods}@1", definition)
    assert found.exact
    assert len(found.samples) == 10
    assert recall(found, 5) == 1.0
    for item in found.samples:
        assert item.answers[0][0] == item.key
        assert item.answers[0][1] == pytest.approx(0.0, abs=1e-6)
        assert [distance for _, distance in item.answers] == pytest.approx(
            [distance for _, distance in item.reference[:5]], abs=1e-5
        )
    verdict = judge(CHECK, found, probe(connection, "{goods}@1", definition, like=found))
    assert verdict.figures == {"v overlap@5": 1.0, "v recall@5 before": 1.0, "v recall@5 after": 1.0}


@pytest.mark.parametrize("metric", ["cosine", "l2", "ip"])
def test_distances_are_those_of_the_server(standalone: Connection, metric: str) -> None:
    """True neighbours and answers agree in every metric."""
    definition = replace(GOODS, fields=(replace(EMBEDDING, distance_metric=metric),))
    write(standalone, [f"p:{number}" for number in range(60)])
    found = probe(standalone, "goods", create(standalone, "goods", definition))
    assert recall(found, 5) == 1.0
    for item in found.samples:
        assert [distance for _, distance in item.answers] == pytest.approx(
            [distance for _, distance in item.reference[:5]], rel=1e-4, abs=1e-5
        )


def test_the_sample_lies_evenly_over_the_index_and_is_the_same_again(connection: Connection) -> None:
    """Two looks at an index that nobody writes to sample the same documents, from its beginning to its end."""
    keys = [f"p:{number}" for number in range(100)]
    definition = create(connection, "goods", GOODS)
    write(connection, keys)
    found = probe(connection, "goods", definition)
    assert [item.key for item in found.samples] == [f"p:{number}" for number in range(5, 100, 10)]
    assert probe(connection, "goods", definition) == found


def test_documents_without_a_vector_are_passed_over(connection: Connection) -> None:
    """One in twenty has one: those are found all the same, each once."""
    definition = create(connection, "goods", GOODS)
    for number in range(200):
        values: dict[str, Any] = {"v": vector(number)} if number % 20 == 0 else {"color": "red"}
        connection.keys.hset(f"p:{number}", mapping=values)  # type: ignore[arg-type]
    found = probe(connection, "goods", definition)
    sampled = [int(item.key.removeprefix("p:")) for item in found.samples]
    assert len(set(sampled)) == len(sampled) >= 8
    assert all(number % 20 == 0 for number in sampled)


def test_an_index_without_any_vector_leaves_nothing_to_compare(standalone: Connection) -> None:
    """Nothing can be lost there."""
    standalone.keys.hset("p:1", mapping={"color": "red"})
    definition = create(standalone, "goods", GOODS)
    found = probe(standalone, "goods", definition)
    verdict = judge(CHECK, found, probe(standalone, "goods", definition, like=found))
    assert (verdict.passed, verdict.remark) == (True, "no document of the index before has a vector in v")


@pytest.mark.parametrize("name", ["embedding", "we-ird. f$ield", "ünï vec", "a_b:c,d{e}", "@x", "1st"])
def test_names_of_fields_are_spelt_as_queries_want_them(connection: Connection, name: str) -> None:
    """Whatever punctuation they have."""
    field = replace(EMBEDDING, name=name, identifier=name)
    write(connection, [f"p:{number}" for number in range(30)], field=name)
    definition = create(connection, "goods", replace(GOODS, fields=(field,)))
    found = probe(connection, "goods", definition, replace(CHECK, knn=name))
    assert (len(found.samples), recall(found, 5)) == (10, 1.0)


def test_a_field_is_read_where_it_is_and_asked_for_by_its_attribute(connection: Connection) -> None:
    """A hash field indexed AS something else."""
    field = replace(EMBEDDING, name="vec", identifier="v")
    write(connection, [f"p:{number}" for number in range(30)])
    definition = create(connection, "goods", replace(GOODS, fields=(field,)))
    assert recall(probe(connection, "goods", definition, replace(CHECK, knn="vec")), 5) == 1.0


def test_keys_may_be_any_bytes(connection: Connection) -> None:
    """They are asked for, compared and remembered as they are."""
    write(connection, [b"p:\xff\xfe" + bytes([number]) for number in range(30)])
    definition = create(connection, "goods", GOODS)
    found = probe(connection, "goods", definition, remember="base/knn")
    assert (len(found.samples), recall(found, 5)) == (10, 1.0)
    assert keeper(connection).recall("base/knn") == found


def test_the_filter_of_an_index_holds_for_the_truth_too(connection: Connection) -> None:
    """Documents that the index leaves out are no neighbours."""
    write(connection, [f"p:{number}" for number in range(80)])
    definition = create(connection, "goods", replace(GOODS, filter="@n >= 40"))
    found = probe(connection, "goods", definition)
    assert (found.documents, recall(found, 5)) == (40, 1.0)
    shown = {key for item in found.samples for key, _ in (*item.answers, *item.reference)}
    assert all(int(key.removeprefix("p:")) >= 40 for key in shown)


def test_documents_that_the_new_index_leaves_out_are_not_missed(connection: Connection) -> None:
    """Another filter covers other documents: those that are still covered must be found."""
    write(connection, [f"p:{number}" for number in range(80)])
    old = probe(connection, "{goods}@1", create(connection, "{goods}@1", GOODS))
    definition = create(connection, "{goods}@2", replace(GOODS, filter="@n >= 40"))
    after = probe(connection, "{goods}@2", definition, like=old)
    assert after.gone
    assert judge(CHECK, old, after).figures["v overlap@5"] == 1.0


def put(connection: Connection, key: str, document: Any) -> None:
    """A JSON document."""
    command(connection.keys, "JSON.SET", key, "$", json.dumps(document))


def test_json_documents(connection: Connection) -> None:
    """Numbers in a document become the vector that the index made of them."""
    field = replace(EMBEDDING, identifier="$.deep.v", datatype="float64")
    definition = create(connection, "goods", IndexDefinition(storage="json", prefixes=("p:",), fields=(field,)))
    for number in range(40):
        put(connection, f"p:{number}", {"deep": {"v": list(struct.unpack(f"<{DIMS}f", vector(number)))}})
    put(connection, "p:other", {"deep": {"v": None}})
    put(connection, "p:none", {})
    found = probe(connection, "goods", definition)
    assert (found.exact, len(found.samples), recall(found, 5)) == (True, 10, 1.0)


@pytest.mark.parametrize("path", ["$.parts[*].v", "$.parts[*]"])
def test_several_vectors_a_document_are_not_compared_and_that_is_told(connection: Connection, path: str) -> None:
    """There is no one vector to ask for."""
    field = replace(EMBEDDING, identifier=path)
    definition = create(connection, "goods", IndexDefinition(storage="json", prefixes=("p:",), fields=(field,)))
    values = [list(struct.unpack(f"<{DIMS}f", vector(number))) for number in range(2)]
    put(connection, "p:1", {"parts": [{"v": item} for item in values] if path.endswith("v") else values})
    found = probe(connection, "goods", definition)
    verdict = judge(CHECK, found, found)
    assert verdict.passed
    assert verdict.remark == "documents hold several vectors in v, which this check cannot compare"


def test_a_field_that_the_old_index_lacks_leaves_nothing_to_compare(standalone: Connection) -> None:
    """A vector that came with the change has no neighbours before; its recall is told all the same."""
    write(standalone, [f"p:{number}" for number in range(30)])
    old = probe(standalone, "old", create(standalone, "old", replace(GOODS, fields=GOODS.fields[1:])))
    verdict = judge(CHECK, old, probe(standalone, "new", create(standalone, "new", GOODS), like=old))
    assert (verdict.passed, verdict.remark) == (True, "old has no vector field v")
    assert verdict.figures == {"v recall@5 after": 1.0}


@pytest.mark.requires("float16_vectors")
def test_a_rewritten_datatype_is_compared_document_by_document(standalone: Connection) -> None:
    """The documents hold float16 by then: nobody is taken for a writer, and the neighbours stay."""
    keys = [f"p:{number}" for number in range(120)]
    write(standalone, keys)
    old = probe(standalone, "old", create(standalone, "old", GOODS))
    command(standalone.search, "FT.DROPINDEX", "old")
    write(standalone, keys, code="e")
    standalone.keys.hset(old.samples[3].key, "v", vector(5000, "e"))
    target = replace(GOODS, fields=(replace(EMBEDDING, datatype="float16"), *GOODS.fields[1:]))
    after = probe(standalone, "new", create(standalone, "new", target), like=old)
    verdict = judge(CHECK, old, after)
    assert "over 9 documents" in verdict.found
    assert verdict.figures["v overlap@5"] >= 0.95
    assert verdict.figures["v recall@5 after"] == 1.0


def test_writers_are_left_out(connection: Connection) -> None:
    """A sampled document with a new vector, one that was deleted, and a neighbour that was."""
    write(connection, [f"p:{number}" for number in range(100)])
    definition = create(connection, "goods", GOODS)
    old = probe(connection, "goods", definition)
    # One that is a neighbour of others would be missed by them: what it was is not known.
    alone = [item for item in old.samples if sum(item.key in dict(other.answers) for other in old.samples) == 1]
    changed, removed = alone[:2]
    rest = [item for item in old.samples if item not in alone[:2]]
    neighbour = next(key for item in rest for key, _ in item.answers if key not in {other.key for other in old.samples})
    connection.keys.hset(changed.key, "v", vector(9999))
    connection.keys.delete(removed.key)
    connection.keys.delete(neighbour)
    after = probe(connection, "goods", definition, like=old)
    assert {item.key for item in after.samples} == {item.key for item in rest}
    assert neighbour in after.gone
    verdict = judge(CHECK, old, after)
    assert verdict.figures["v overlap@5"] == 1.0
    assert verdict.remark.startswith("2 sampled documents")


def test_duplicates_are_ties(standalone: Connection) -> None:
    """Twenty documents for each vector: which of them are given is chance, and none is missed."""
    for number in range(200):
        standalone.keys.hset(f"p:{number}", mapping={"v": vector(number % 10), "n": number})
    old = probe(standalone, "old", create(standalone, "old", GOODS))
    graph = replace(GOODS, fields=(replace(EMBEDDING, search=Hnsw()), *GOODS.fields[1:]))
    after = probe(standalone, "new", create(standalone, "new", graph), like=old)
    assert judge(CHECK, old, after).figures == {"v overlap@5": 1.0, "v recall@5 before": 1.0, "v recall@5 after": 1.0}


def test_the_truth_is_asked_for_only_where_it_can_be_afforded(
    standalone: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond that the index itself is asked for more neighbours, and no recall is told."""
    monkeypatch.setattr(truth, "MOST_DOCUMENTS", 50)
    write(standalone, [f"p:{number}" for number in range(60)])
    definition = create(standalone, "goods", GOODS)
    found = probe(standalone, "goods", definition)
    assert (found.exact, recall(found, 5)) == (False, None)
    assert {len(item.reference) for item in found.samples} == {20}
    assert judge(CHECK, found, probe(standalone, "goods", definition, like=found)).figures == {"v overlap@5": 1.0}


def test_no_cursor_is_left_behind(standalone: Connection) -> None:
    """All vectors are read through a cursor, which ends when they are."""
    write(standalone, [f"p:{number}" for number in range(1200)])
    probe(standalone, "goods", create(standalone, "goods", GOODS))
    shown: Any = command(standalone.search, "FT.INFO", "goods")
    assert shown["cursor_stats"]["index_total"] == 0


def test_zero_vectors_are_not_asked_for_where_they_have_no_angle(standalone: Connection) -> None:
    """They have no distance to anything under cosine."""
    write(standalone, ["p:1"])
    for number in range(5):
        standalone.keys.hset(f"p:zero{number}", "v", bytes(4 * DIMS))
    found = probe(standalone, "goods", create(standalone, "goods", GOODS))
    assert [item.key for item in found.samples] == ["p:1"]


def test_documents_that_may_not_be_read_are_an_error(standalone: Connection, redis_url: str) -> None:
    """They are not taken for documents without a vector, which would let everything pass."""
    write(standalone, ["p:1"])
    definition = create(standalone, "goods", GOODS)
    command(standalone.search, "ACL SETUSER", "blind", "reset", "on", ">pw", "~*", "+@all", "-hget")
    try:
        with connect(redis_url.replace("://", "://blind:pw@")) as limited, pytest.raises(NoPermissionError):
            probe(limited, "goods", definition)
    finally:
        command(standalone.search, "ACL DELUSER", "blind")


def test_a_key_of_another_type_has_no_vector(connection: Connection) -> None:
    """A key that became something else since is a document that is gone."""
    write(connection, [f"p:{number}" for number in range(40)])
    definition = create(connection, "goods", GOODS)
    old = probe(connection, "goods", definition)
    connection.keys.delete(old.samples[0].key)
    connection.keys.set(old.samples[0].key, "text")
    after = probe(connection, "goods", definition, like=old)
    assert [item.key for item in after.samples] == [item.key for item in old.samples[1:]]


def test_a_stop_is_obeyed_between_two_questions(standalone: Connection) -> None:
    """A run that is asked to stop does not ask for all neighbours first."""
    write(standalone, ["p:1"])
    definition = create(standalone, "goods", GOODS)
    stop = StopRequest()
    stop.ask("SIGTERM")
    with pytest.raises(InterruptedRunError):
        GateKeeper(standalone, "shop", stop=stop).probe(Probe(check=CHECK, index="goods", definition=definition))


def test_findings_are_kept_for_seven_days_in_one_key_of_the_project(connection: Connection) -> None:
    """Beside those of other checks of the baseline, and forgotten with them."""
    write(connection, [f"p:{number}" for number in range(20)])
    definition = create(connection, "goods", GOODS)
    counted = probe(connection, "goods", definition, QUERY, remember="r1:base/count")
    near = probe(connection, "goods", definition, remember="r1:base/near")
    gates, key = keeper(connection), StateKeys("shop").run("r1:base")
    assert (gates.recall("r1:base/count"), gates.recall("r1:base/near")) == (counted, near)
    assert gates.recall("r1:base/other") is None
    assert gates.recall("r2:base/count") is None
    assert connection.keys.type(key) == "string"
    assert KEPT_SECONDS - 60 < int(connection.keys.ttl(key)) <= KEPT_SECONDS
    gates.forget("r1:base")
    assert gates.recall("r1:base/count") is None
    assert not connection.keys.exists(key)


# --- indexes that hold staged copies ---

STAGE = "rvlstate:stage:shop.r1:"
HALF = replace(GOODS, fields=(replace(EMBEDDING, datatype="float16"), *GOODS.fields[1:]))
KEYS = [f"p:{number}" for number in range(120)]


def copy_of(connection: Connection, key: str) -> str:
    """Where the staged copy of a document lies."""
    return Copies(stage=STAGE, clustered=is_clustered(connection)).places(key)[0]


def stage_all(connection: Connection, keys: Sequence[str], code: str = "e") -> None:
    """A copy of each document with its vector in another datatype."""
    for number, key in enumerate(keys):
        copied = copy_of(connection, key)
        command(connection.keys, "COPY", key, copied)
        connection.keys.hset(copied, "v", vector(number, code))


def keys_of(findings: Findings) -> set[str]:
    """Every key that findings tell of."""
    return {
        *(item.key for item in findings.samples),
        *(key for item in findings.samples for key, _ in (*item.answers, *item.reference)),
        *findings.gone,
    }


@pytest.mark.parametrize("declared", [(STAGE, "p:"), ("p:",)], ids=["both prefixes", "the declared one"])
@pytest.mark.requires("float16_vectors")
def test_an_index_over_copies_and_documents_is_compared_by_the_keys_of_documents(
    connection: Connection, declared: tuple[str, ...]
) -> None:
    """Before a promotion all answers are copies; after half of one they are both, and the same documents overlap."""
    write(connection, KEYS)
    old = probe(connection, "{goods}@1", create(connection, "{goods}@1", GOODS))
    stage_all(connection, KEYS)
    create(connection, "{goods}@2", replace(HALF, prefixes=(STAGE, "p:")))
    definition = replace(HALF, prefixes=declared)
    for promoted in ([], KEYS[::2]):
        for key in promoted:
            connection.keys.rename(copy_of(connection, key), key)
        after = probe(connection, "{goods}@2", definition, like=old, stage=STAGE)
        assert [item.key for item in after.samples] == [item.key for item in old.samples]
        assert keys_of(after) <= set(KEYS)
        assert (after.scope, after.documents, after.gone) == (old.scope, len(KEYS), ())
        verdict = judge(CHECK, old, after)
        assert verdict.figures["v overlap@5"] >= 0.95
        assert (verdict.figures["v recall@5 after"], verdict.remark) == (1.0, "")


def test_an_index_over_copies_alone_is_compared_with_the_one_over_documents(connection: Connection) -> None:
    """It covers the documents that the copies were made of, so that their true neighbours need not be found again."""
    write(connection, KEYS)
    old = probe(connection, "{goods}@1", create(connection, "{goods}@1", GOODS))
    stage_all(connection, KEYS, "f")
    interim = replace(GOODS, prefixes=(STAGE,))
    shown = create(connection, "{goods}@2", interim)
    for definition in (interim, shown):
        after = probe(connection, "{goods}@2", definition, like=old, stage=STAGE)
        assert (after.scope, [item.reference for item in after.samples]) == (
            old.scope,
            [item.reference for item in old.samples],
        )
        assert judge(CHECK, old, after).figures["v overlap@5"] == 1.0
    alone = probe(connection, "{goods}@2", interim, stage=STAGE)
    assert keys_of(alone) <= set(KEYS)
    assert judge(CHECK, alone, probe(connection, "{goods}@1", GOODS, like=alone)).figures["v overlap@5"] == 1.0


def test_the_vector_of_a_copy_counts_before_that_of_its_document(connection: Connection) -> None:
    """A document with the same dims and datatype is in the index by its copy only; a copy without a vector has none."""
    write(connection, KEYS[:30])
    stage_all(connection, KEYS[:30], "f")
    old = probe(connection, "goods", create(connection, "goods", replace(GOODS, prefixes=(STAGE,))), stage=STAGE)
    changed, bare, uncopied = (item.key for item in old.samples[:3])
    connection.keys.hset(changed, "v", vector(7777))
    connection.keys.hdel(copy_of(connection, bare), "v")
    connection.keys.delete(copy_of(connection, uncopied))
    again = probe(connection, "goods", GOODS, like=old, stage=STAGE)
    digests = {item.key: item.digest for item in again.samples}
    assert digests[changed] == old.samples[0].digest
    assert bare not in digests
    assert uncopied in digests


def test_a_neighbour_is_gone_only_where_neither_copy_nor_document_is_left(connection: Connection) -> None:
    """One whose document went is still an answer by its copy; one whose copy went is missed, not excused."""
    write(connection, KEYS)
    stage_all(connection, KEYS, "f")
    create(connection, "goods", replace(GOODS, prefixes=(STAGE,)))
    old = probe(connection, "goods", GOODS, stage=STAGE)
    sampled = {item.key for item in old.samples}
    first, second, third = sorted({key for item in old.samples for key, _ in item.answers} - sampled)[:3]
    connection.keys.delete(first)
    connection.keys.delete(copy_of(connection, second))
    connection.keys.delete(third)
    connection.keys.delete(copy_of(connection, third))
    after = probe(connection, "goods", GOODS, like=old, stage=STAGE)
    answered = {key for item in after.samples for key, _ in item.answers}
    assert first in answered
    assert second not in answered
    assert after.gone == (third,)


def test_a_document_that_answers_beside_its_copy_is_seen_in_the_verdict(standalone: Connection) -> None:
    """Both layouts fit the index here, as they must not: the answers hold half the documents, and the gate fails."""
    write(standalone, KEYS)
    old = probe(standalone, "old", create(standalone, "old", GOODS))
    stage_all(standalone, KEYS, "f")
    create(standalone, "new", replace(GOODS, prefixes=(STAGE, "p:")))
    after = probe(standalone, "new", GOODS, like=old, stage=STAGE)
    verdict = judge(CHECK, old, after)
    assert not verdict.passed
    assert verdict.remark == "10 of 10 answers name a document twice: its staged copy and itself"


def test_staged_json_documents(connection: Connection) -> None:
    """A change of storage: the copies are JSON, and the hashes beside them have no vector for this index."""
    write(connection, KEYS[:40])
    old = probe(connection, "{goods}@1", create(connection, "{goods}@1", GOODS))
    for number, key in enumerate(KEYS[:40]):
        put(connection, copy_of(connection, key), {"v": list(struct.unpack(f"<{DIMS}f", vector(number)))})
    field = replace(EMBEDDING, identifier="$.v")
    target = IndexDefinition(storage="json", prefixes=(STAGE, "p:"), fields=(field,))
    create(connection, "{goods}@2", target)
    after = probe(connection, "{goods}@2", target, like=old, stage=STAGE)
    assert [item.key for item in after.samples] == [item.key for item in old.samples]
    assert judge(CHECK, old, after).figures["v overlap@5"] == 1.0


@pytest.mark.parametrize("key", ["p:{a}:1", "p:1}:{x", f"{STAGE}x", f"{STAGE}{{0}}:p:1"])
@pytest.mark.parametrize("clustered", [True, False])
def test_the_document_of_a_copy_is_told_whatever_its_key_is(key: str, *, clustered: bool) -> None:
    """Braces and even a staged prefix in the key of a document are its own."""
    copies = Copies(stage=STAGE, clustered=clustered)
    copied, itself = copies.places(key)
    assert (copies.document(copied), itself) == (key, key)
    assert not clustered or key_slot(copied.encode()) == key_slot(key.encode())
