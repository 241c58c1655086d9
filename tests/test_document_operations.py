"""What the operations about documents ask and decide, driven by scripted passes: quiet, busy, bad rows, filters."""

from __future__ import annotations

from dataclasses import replace

import pytest
from operation_stage import BACKFILL, BEFORE, RECREATE, ROW, Stage

from rvlstate.errors import GateFailedError
from rvlstate.model.state import Intent, State
from rvlstate.plan.effects import Batch, Pause, Restore, Tally, Tidy
from rvlstate.plan.operations import (
    DropIndex,
    FinishRollback,
    GiveUpRewrite,
    RehearseRewrite,
    RestoreDocuments,
    RewriteDocuments,
    SettleDocuments,
)
from rvlstate.plan.operations.rewrite_documents import MOST_PASSES


def test_a_rehearsal_creates_the_definition_nowhere_and_drops_it() -> None:
    """Section 4: everything that can fail is tried before the drop; nothing of it is left."""
    stage = Stage()
    stage.run(RehearseRewrite(name="goods", rewrite=RECREATE))
    assert stage.sent == ["FT.CREATE goods@2~rehearsal", "FT.DROPINDEX goods@2~rehearsal"]
    assert [sweep.mode for sweep in stage.sweeps] == ["rehearse"]
    assert stage.indexes == set()


def test_a_rehearsal_drops_what_a_killed_one_left() -> None:
    """The scratch index is made anew, so that the server accepts it."""
    stage = Stage(indexes={"goods@2~rehearsal"})
    stage.run(RehearseRewrite(name="goods", rewrite=RECREATE))
    assert stage.sent[0] == "FT.DROPINDEX goods@2~rehearsal"


def test_a_rehearsal_of_a_backfill_creates_no_index() -> None:
    """The index stays as it is; only documents are tried."""
    stage = Stage()
    stage.run(RehearseRewrite(name="goods", rewrite=BACKFILL))
    assert stage.sent == []


def test_a_rehearsal_begins_the_change_when_it_is_done() -> None:
    """From then on the state knows the change; the scratch index is known only while it may exist."""
    operation = RehearseRewrite(name="goods", rewrite=RECREATE)
    intended = operation.intend(State())
    assert [intent.physical for intent in intended.intents] == ["goods@2~rehearsal"]
    done = operation.record(intended)
    assert (done.rewrite("goods"), done.intents) == (RECREATE, ())


def test_a_drop_for_a_recreate_is_remembered() -> None:
    """Whoever goes on knows that the old index is gone by our own hand."""
    state = State().with_rewrite(RECREATE)
    dropped = DropIndex(physical="goods@1", because="recreated", recreates="goods").record(state).rewrite("goods")
    assert dropped is not None
    assert dropped.dropped


def test_an_undisturbed_pass_is_enough() -> None:
    """Search is down meanwhile: what nobody has touched need not be looked at twice before it is back."""
    stage = Stage(tallies=[Tally(seen=10, written=10)])
    stage.run(RewriteDocuments(name="goods", rewrite=RECREATE))
    assert [sweep.resume for sweep in stage.sweeps] == [False]


@pytest.mark.parametrize("met", [Tally(seen=10, written=9, moved_on=1), Tally(seen=10, written=9, gone=1)])
def test_with_writers_passes_go_on_until_one_finds_nothing(met: Tally) -> None:
    """Documents that changed or went while the pass was at them tell of writers."""
    stage = Stage(tallies=[met, Tally(seen=10, written=2), Tally(seen=10, done=10)])
    stage.run(RewriteDocuments(name="goods", rewrite=RECREATE))
    assert len(stage.sweeps) == 3


def test_a_pass_that_goes_on_is_followed_by_a_whole_one() -> None:
    """It may have begun behind documents that were written since; only the first may resume."""
    stage = Stage(tallies=[Tally(seen=1), Tally(seen=10)])
    stage.run(RewriteDocuments(name="goods", rewrite=RECREATE, begun=True))
    assert [sweep.resume for sweep in stage.sweeps] == [True, False]


def test_writers_do_not_keep_the_passes_going_for_ever() -> None:
    """What they leave is settled when the index serves again."""
    stage = Stage(tallies=[Tally(seen=100, written=50, moved_on=1)])
    stage.run(RewriteDocuments(name="goods", rewrite=RECREATE))
    assert len(stage.sweeps) == MOST_PASSES


def test_next_to_nothing_is_enough() -> None:
    """One of a thousand is left to the passes after the index serves."""
    stage = Stage(tallies=[Tally(seen=1000, written=990, moved_on=10), Tally(seen=1000, written=1)])
    stage.run(RewriteDocuments(name="goods", rewrite=RECREATE))
    assert len(stage.sweeps) == 2


def test_the_filter_of_a_dropped_index_is_kept_by_one_of_ours() -> None:
    """It is made once, asked in each pass, and holds the fields of the filter only."""
    stage = Stage()
    stage.run(RewriteDocuments(name="goods", rewrite=RECREATE, members=RECREATE.members))
    assert stage.sent == ["FT.CREATE goods@2~members"]
    assert {sweep.members for sweep in stage.sweeps} == {"goods@2~members"}
    (create,) = [batch.commands[0] for batch in stage.effects if isinstance(batch, Batch)]
    assert "FILTER @rvlstate_0 > 0 " in " ".join(create)
    assert "price AS rvlstate_0 NUMERIC" in " ".join(create)
    assert not {"title", "v"} & set(create)


def test_settling_takes_as_long_as_asked_for() -> None:
    """Quiet passes and pauses count; a late write begins anew."""
    quiet = Tally(seen=10, done=10, seconds=1.0)
    stage = Stage(tallies=[quiet, replace(quiet, written=1), quiet])
    stage.run(SettleDocuments(name="goods", rewrite=RECREATE, seconds=5.0))
    paused = sum(effect.seconds for effect in stage.effects if isinstance(effect, Pause))
    after_the_late_write = len(stage.sweeps) - 2
    assert after_the_late_write * 1.0 + paused >= 5.0
    assert stage.tidied


def test_settling_for_no_time_is_one_pass() -> None:
    """`settle: 0s` asks for one pass that finds nothing."""
    stage = Stage()
    stage.run(SettleDocuments(name="goods", rewrite=RECREATE, seconds=0.0))
    assert (len(stage.sweeps), stage.tidied) == (1, True)


def test_settling_gives_up_on_writers_that_never_stop() -> None:
    """The figures are told, nothing is tidied, and the change stays begun: apply goes on."""
    stage = Stage(tallies=[Tally(seen=10, written=3, seconds=1.0)])
    with pytest.raises(GateFailedError, match="still write documents of goods in the old layout") as caught:
        stage.run(SettleDocuments(name="goods", rewrite=RECREATE, seconds=1.0))
    assert "3 of them" in caught.value.why
    assert not stage.tidied


def test_settling_fails_on_documents_that_were_left() -> None:
    """More than allowed: named with key, reason and the user's own traceback."""
    stage = Stage(tallies=[Tally(seen=10, bad=2, bad_rows=(ROW,))])
    with pytest.raises(GateFailedError, match="goods: 2 of 10 documents cannot be transformed") as caught:
        stage.run(SettleDocuments(name="goods", rewrite=RECREATE, max_bad_rows=1))
    assert "p:1 v: 5 bytes" in caught.value.why
    assert "Traceback" in caught.value.why
    assert not stage.tidied


def test_settling_lets_allowed_bad_rows_be() -> None:
    """They are counted, and the change is complete."""
    stage = Stage(tallies=[Tally(seen=10, bad=2, bad_rows=(ROW,))])
    stage.run(SettleDocuments(name="goods", rewrite=RECREATE, seconds=0.0, max_bad_rows=2))
    assert stage.tidied


def test_a_change_without_documents_is_only_completed() -> None:
    """Recreating an index over the same documents needs no pass."""
    stage = Stage()
    stage.run(SettleDocuments(name="goods", rewrite=replace(RECREATE, fields=()), seconds=5.0))
    assert (stage.sweeps, stage.tidied) == ([], True)


def test_a_complete_change_leaves_nothing_in_the_state() -> None:
    """Neither the change nor what was known of the index that is gone."""
    old = Intent(physical="goods@1", name="goods", definition=BEFORE)
    state = State().with_rewrite(RECREATE).with_intent(old)
    assert SettleDocuments(name="goods", rewrite=RECREATE).record(state) == State()


def test_giving_up_only_tidies() -> None:
    """The documents stay as they are."""
    stage = Stage()
    operation = GiveUpRewrite(name="goods", rewrite=RECREATE)
    stage.run(operation)
    assert ([type(effect) for effect in stage.effects], stage.sent) == ([Tidy], [])
    assert operation.record(State().with_rewrite(RECREATE)) == State()


def test_restoring_drops_the_new_index_first() -> None:
    """Rewriting under a vector index would build it document by document; from here on the change counts as begun."""
    stage = Stage(indexes={"goods@2"})
    operation = RestoreDocuments(
        name="goods",
        rewrite=RECREATE,
        backup="kept",
        pace=RewriteDocuments(name="", rewrite=RECREATE).pace,
        drops=("goods@2",),
    )
    stage.run(operation)
    restores = [number for number, effect in enumerate(stage.effects) if isinstance(effect, Restore)]
    drops = [number for number, effect in enumerate(stage.effects) if isinstance(effect, Batch)]
    assert stage.sent == ["FT.DROPINDEX goods@2"]
    assert max(drops) < min(restores)
    begun = operation.intend(State()).rewrite("goods")
    assert begun is not None
    assert begun.dropped


def test_a_finished_rollback_leaves_nothing_begun() -> None:
    """Neither in the state nor beside the documents."""
    stage = Stage()
    operation = FinishRollback(name="goods", rewrite=RECREATE)
    stage.run(operation)
    assert stage.tidied
    assert operation.record(State().with_rewrite(RECREATE)).rewrite("goods") is None
