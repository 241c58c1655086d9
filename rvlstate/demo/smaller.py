"""The demo's last act: float32 becomes float16 while search answers and the application writes, and all is checked."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from rvlstate.demo.check import Verdict, memory_now, recall_now, verdict_on
from rvlstate.demo.live import Report, Worker, watched
from rvlstate.demo.stage import Stage
from rvlstate.demo.truth import Truth

IMPORT = "from rvlstate.demo.airports import embed\n"
DEPLOYED = {
    IMPORT: f"{IMPORT}from rvlstate.demo.vectors import encoded\n",
    "VectorQuery(embed(text), ": 'VectorQuery(encoded(embed(text), "FLOAT16"), ',
}
"""What the application's search has to send from the cutover on."""

SETTLE = "policy:\n  settle: 2s\n"
SCHEMAS = "schemas: [indexes/*.yaml]\n"
RECALL_LOST = 0.02
"""How much recall may go with the precision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Smaller:
    """What came of the act. Memory is what documents and the graph of their vectors take, in bytes."""

    writes: int
    queries: int
    errors: dict[str, int]
    empty: int
    encoded_anew: int
    old_after_cutover: int
    verdict: Verdict
    recall_before: float
    recall_after: float
    memory_before: int
    memory_after: int

    def expected(self) -> dict[str, bool]:
        """What must have come of it, and whether it has."""
        return {
            "documents were written": self.writes > 0,
            "both layouts were written behind the cutover": self.old_after_cutover > 0,
            "queries followed the datatype of the index": self.encoded_anew > 0,
            "no update was lost": not self.verdict.lost,
            "the index finds every document": not self.verdict.not_found,
            "nothing is left of the change": not self.verdict.left_over,
            "documents and vectors take less memory": self.memory_after < self.memory_before,
            "recall stayed": self.recall_after >= self.recall_before - RECALL_LOST,
        }


def make_smaller(stage: Stage) -> Smaller:
    """Play the act. Raises DemoFailedError when a command or a worker does not end as it must."""
    stage.heading("6. Vectors take half the bytes, while search answers and the application writes")
    stage.tell(
        "float16 instead of float32: every document has to be rewritten, and an index knows one datatype alone. "
        "So the plan makes copies beside the documents, builds the new index over them, moves the name, and only then "
        "puts each copy in the place of its document. No write waits for that, and no document is touched before."
    )
    stage.edit("indexes/airports.yaml", {"datatype: float32": "datatype: float16"})
    stage.edit("rvlstate.yaml", {SCHEMAS: f"{SCHEMAS}{SETTLE}"})
    stage.rvlstate("plan", "--out", "smaller.plan", "--detailed-exitcode", expect=2)
    truth = Truth()
    recall_before, memory_before = recall_now(stage.url, truth), memory_now(stage.url)
    wrote, asked = _apply_under_load(stage, truth)
    outcome = Smaller(
        writes=truth.writes,
        queries=asked["queries"],
        errors=asked["errors"],
        empty=asked["empty"],
        encoded_anew=asked["encoded_anew"],
        old_after_cutover=wrote["old_after_cutover"],
        verdict=verdict_on(stage.url, truth),
        recall_before=round(recall_before, 4),
        recall_after=round(recall_now(stage.url, truth), 4),
        memory_before=memory_before,
        memory_after=memory_now(stage.url),
    )
    _tell(stage, outcome)
    stage.tell("The application's own search is deployed with vectors of float16:")
    stage.edit("app/search.py", DEPLOYED)
    stage.python("app/search.py", "lake tahoe")
    return outcome


def _apply_under_load(stage: Stage, truth: Truth) -> tuple[Report, Report]:
    """Apply the plan with both workers at work; their last reports, and in `truth` all that was written."""
    stage.tell(
        "One process writes: it changes airports, removes some and brings them back. Another one asks, and compares "
        "each answer with the exact nearest neighbours. Their lines are the ones with a bar:"
    )
    journal = stage.folder / "written.jsonl"
    journal.touch()
    with ExitStack() as workers:
        writer = workers.enter_context(Worker("writer", stage.url, journal))
        querier = workers.enter_context(Worker("querier", stage.url, journal))
        with watched(stage, writer, querier):
            stage.rvlstate("apply", "smaller.plan", "--yes", skip_to="run ")
        wrote, asked = writer.stop(), querier.stop()
    truth.follow(journal)
    return wrote, asked


def _tell(stage: Stage, outcome: Smaller) -> None:
    lost, failed = len(outcome.verdict.lost), sum(outcome.errors.values())
    stage.tell(
        "Why that is safe: a copy takes the place of its document only if the document still is what the copy was "
        "made from; the server itself decides that, in the same instant. A newer write wins, and what was removed "
        "stays removed."
    )
    stage.tell(
        f"The writer noted each of its {outcome.writes:,} writes, and now every document is compared with the last "
        f"one: {lost} lost. {outcome.old_after_cutover} of them were still float32 behind the cutover, as in a rolling "
        f"deployment, and were converted. {outcome.queries:,} queries: {failed} failed, {outcome.empty} empty. "
        f"{outcome.encoded_anew} had to be sent again, in float16, once the index had become that."
    )
    stage.tell(
        f"Recall was {outcome.recall_before:.3f} and is {outcome.recall_after:.3f}; documents and the graph of "
        f"their vectors took {_mib(outcome.memory_before)} and take {_mib(outcome.memory_after)}."
    )


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"
