"""What the operations of a staged change ask and decide, driven by scripted passes: churn, bad rows, holds, keeping."""

from __future__ import annotations

from dataclasses import replace

import pytest
from operation_stage import BEFORE, ROW, STAGED, Stage

from rvlstate.errors import GateFailedError
from rvlstate.model.rewrite import Promotion
from rvlstate.model.state import Record, State
from rvlstate.plan.effects import Report, Tally
from rvlstate.plan.operations import (
    HoldCutover,
    KeepOld,
    PromoteDocuments,
    SettleDocuments,
    StageDocuments,
    VerifyIndex,
)

BUSY = Tally(seen=1000, written=500, seconds=1.0)
LESS = Tally(seen=1000, written=100, seconds=1.0)
AS_MANY = Tally(seen=1000, written=90, seconds=1.0)
NOTHING = Tally(seen=1000, seconds=1.0)


def test_copies_are_made_in_one_pass() -> None:
    """What is written meanwhile is caught up with once the index is built: it would be late again by then."""
    stage = Stage(tallies=[BUSY])
    stage.run(StageDocuments(name="goods", rewrite=STAGED, begun=True))
    assert [(sweep.mode, sweep.resume) for sweep in stage.sweeps] == [("stage", True)]


def test_catching_up_ends_when_nothing_is_found() -> None:
    """The first pass looks at everything, the next ones at what was named since."""
    stage = Stage(tallies=[BUSY, LESS, NOTHING])
    stage.run(StageDocuments(name="goods", rewrite=STAGED, again=True, begun=True))
    assert [(sweep.mode, sweep.hinted, sweep.resume) for sweep in stage.sweeps] == [
        ("stage", False, True),
        ("stage", True, False),
        ("stage", True, False),
    ]


def test_catching_up_ends_when_writers_keep_it_from_finding_less() -> None:
    """Passes become no shorter than what is written while they last."""
    stage = Stage(tallies=[BUSY, LESS, AS_MANY])
    stage.run(StageDocuments(name="goods", rewrite=STAGED, again=True))
    assert len(stage.sweeps) == 3


def test_too_many_bad_rows_stop_before_anything_is_led_to_the_copies() -> None:
    """The gate is in front of the build: count, key, reason."""
    stage = Stage(tallies=[Tally(seen=10, bad=2, bad_rows=(ROW,))])
    with pytest.raises(GateFailedError, match="goods: 2 of 10 documents cannot be transformed") as caught:
        stage.run(StageDocuments(name="goods", rewrite=STAGED, max_bad_rows=1))
    assert "p:1 v: 5 bytes" in caught.value.why


def test_staging_begins_the_change_once() -> None:
    """A phase that an earlier run reached is not taken back by catching up."""
    ready = replace(STAGED, phase="ready")
    begun = StageDocuments(name="goods", rewrite=STAGED).intend(State())
    assert begun.rewrite("goods") == STAGED
    assert StageDocuments(name="goods", rewrite=STAGED, again=True).intend(State(rewrites=(ready,))) == State(
        rewrites=(ready,)
    )


def test_a_filter_is_asked_of_an_index_of_its_own() -> None:
    """It is created before the copies are made."""
    filtered = replace(STAGED, before=BEFORE, after=replace(STAGED.after, filter=BEFORE.filter))
    stage = Stage()
    stage.run(StageDocuments(name="goods", rewrite=filtered, members=filtered.members))
    assert stage.sent == ["FT.CREATE goods@2~members"]
    assert [sweep.members for sweep in stage.sweeps] == ["goods@2~members"]


def test_promotion_passes_until_nothing_is_left() -> None:
    """One pass promotes, one finds what was written during it, one finds nothing."""
    stage = Stage(tallies=[Tally(seen=1000, promoted=1000), LESS, NOTHING])
    stage.run(PromoteDocuments(name="goods", rewrite=STAGED))
    assert [sweep.mode for sweep in stage.sweeps] == ["promote"] * 3
    (*_, last) = [effect for effect in stage.effects if isinstance(effect, Report)]
    assert last.note == "1,000 documents promoted; 100 late writes converted"
    assert last.figures["documents_promoted"] == 1000


def test_promotion_leaves_steady_writers_to_settling() -> None:
    """A writer that never stops must not hold up what follows."""
    stage = Stage(tallies=[Tally(seen=1000, promoted=1000), LESS, AS_MANY])
    stage.run(PromoteDocuments(name="goods", rewrite=STAGED))
    assert len(stage.sweeps) == 3


def test_promotion_is_the_end_of_the_way_back() -> None:
    """Written before the first document is touched."""
    state = PromoteDocuments(name="goods", rewrite=STAGED).intend(State(rewrites=(replace(STAGED, phase="serving"),)))
    begun = state.rewrite("goods")
    assert begun is not None
    assert begun.phase == "promoting"


def test_a_hold_asks_nothing_and_is_written_down() -> None:
    """The command that goes on is told."""
    stage = Stage()
    stage.run(HoldCutover(name="goods", rewrite=STAGED))
    (told,) = stage.effects
    assert isinstance(told, Report)
    assert "rvlstate cutover goods" in told.note
    begun = HoldCutover(name="goods", rewrite=STAGED).record(State(rewrites=(STAGED,))).rewrite("goods")
    assert begun is not None
    assert begun.phase == "ready"


def test_the_old_index_is_kept_as_long_as_asked() -> None:
    """Passes and pauses add up to the time; copies are kept up to date meanwhile."""
    stage = Stage(tallies=[Tally(seen=10, seconds=0.5)])
    stage.run(KeepOld(name="goods", rewrite=STAGED, seconds=3.0))
    assert [sweep.mode for sweep in stage.sweeps] == ["stage"] * 2
    assert [sweep.hinted for sweep in stage.sweeps] == [False, True]
    assert all(sweep.aside for sweep in stage.sweeps)
    told = [effect for effect in stage.effects if isinstance(effect, Report)]
    assert [report.left for report in told] == [2.5, 1.0]


@pytest.mark.parametrize(
    ("promotion", "modes"),
    [("rename", ["promote"]), ("new_prefix", ["promote", "retire"]), ("write_back", ["write"])],
)
def test_settling_ends_what_each_promotion_leaves(promotion: Promotion, modes: list[str]) -> None:
    """Copies that are left take their place, old keys go at the end, behind a second index only documents count."""
    stage = Stage()
    settle = SettleDocuments(name="goods", rewrite=replace(STAGED, promotion=promotion), seconds=0.0)
    stage.run(settle)
    assert [sweep.mode for sweep in stage.sweeps] == modes
    assert stage.tidied


def test_the_gate_allows_for_what_moves_while_it_looks() -> None:
    """Counts are compared as far as one pass of catching up found them to move."""
    counts = VerifyIndex(
        name="goods",
        physical="goods@2",
        definition=BEFORE,
        against="goods@1",
        staged=STAGED,
    )
    few = Stage(tallies=[NOTHING], indexes={"goods@1", "goods@2"}, documents={"goods@1": 10, "goods@2": 8})
    with pytest.raises(GateFailedError, match="would lose documents"):
        few.run(counts)
    moving = Stage(tallies=[Tally(seen=10, written=2)], indexes=few.indexes, documents=few.documents)
    moving.run(counts)
    assert [sweep.mode for sweep in moving.sweeps] == ["stage"]


def test_a_cutover_makes_a_staged_change_serve() -> None:
    """With the very write that records what serves."""
    served = Record(name="goods", physical="goods@2", definition=STAGED.after)
    begun = State(rewrites=(replace(STAGED, phase="ready"),)).served(served).rewrite("goods")
    assert begun is not None
    assert begun.phase == "serving"
