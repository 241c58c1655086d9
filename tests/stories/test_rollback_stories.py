"""Rollback on a real server: documents, definition, aliases and synonyms as before; newer writes and deletions stay."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
from kit import Shop, numeric, summaries, tag, text, vector

from rvlstate.cli.main import run
from rvlstate.errors import ChangeRefusedError, GateFailedError, StepFailedError
from rvlstate.events import Event, StepStarted
from rvlstate.plan.rollback_plan import Proposal
from rvlstate.runtime.outcome import Report

pytest_plugins = ("story_fixtures",)

DOCUMENTS = 120
ALLOWED = ("LOSES_PRECISION", "QUERY_ENCODING_CHANGES", "REWRITES_DOCUMENTS", "SEARCH_DOWNTIME")
FURTHER = "{products}:goods"
"""A further alias, in the slot of the index for clusters without a coordinator."""

FILTERED = {"filter": "@price > 0", "language": "german", "score": 0.5}
OTHER = (tag("category"), numeric("price"))


class Killed(BaseException):
    """Ends a run at once."""


def wide(number: float) -> bytes:
    """A vector in the old layout."""
    return struct.pack("<4f", number, number + 1, number + 2, number + 3)


def narrow(number: float) -> bytes:
    """The same in the new one."""
    return struct.pack("<4e", number, number + 1, number + 2, number + 3)


def before_the_change(shop: Shop, **settings: Any) -> Path:
    """Documents, an index with everything that gets lost easily, and a declared change of its vectors."""
    for number in range(DOCUMENTS):
        fields = {"title": f"title {number}", "category": "a", "price": number + 1, "embedding": wide(number)}
        shop.client.hset(f"products:{number}", mapping=fields)
    shop.client.expire("products:3", 100_000)
    shop.client.hexpire("products:4", 100_000, "embedding", "title")
    kept = shop.folder / "kept"
    index = {"aliases": [FURTHER], "definition": FILTERED, "strategy": "recreate", "backup": str(kept), **settings}
    index = {name: value for name, value in index.items() if value is not None}
    shop.configure(indexes={"products": index}, policy={"settle": "0s"})
    declare(shop, "float32")
    shop.apply()
    shop.client.execute_command("FT.SYNUPDATE", "products", "group", "boy", "child")
    return kept


def declare(shop: Shop, datatype: str) -> None:
    """The schema with vectors of a datatype, and an attribute that is called otherwise than its field."""
    shop.declare("products", text("title"), *OTHER, vector("embedding", datatype=datatype))


def change(shop: Shop) -> Report:
    """Carry the change out."""
    declare(shop, "float16")
    return shop.apply(allow=ALLOWED)


def picture(shop: Shop) -> dict[str, Any]:
    """Everything that a rollback must bring back: documents, what the index is, and what leads to it."""
    info = dict(zip(*[iter(shop.client.execute_command("FT.INFO", "products"))] * 2, strict=False))
    documents = {
        key: (shop.client.hgetall(key), shop.client.pexpiretime(key), shop.client.hpexpiretime(key, "embedding"))
        for key in sorted(shop.client.scan_iter("products:*"))
    }
    return {
        "documents": documents,
        "definition": (info[b"index_definition"], sorted(info[b"attributes"]), info[b"num_docs"]),
        "synonyms": shop.client.execute_command("FT.SYNDUMP", "products"),
        "aliases": shop.client.execute_command("FT.INFO", FURTHER)[1] == info[b"index_name"],
        "records": [(record.physical, record.definition, record.aliases) for record in shop.state().records],
        "rewrites": shop.state().rewrites,
    }


def roll_back(shop: Shop, **options: Any) -> Report:
    """Take the change back."""
    with shop.project() as project:
        return project.rollback("products", **{"on_event": shop.events.append, **options})


def ours_beside(shop: Shop) -> list[bytes]:
    """Keys that are kept beside documents."""
    return list(shop.client.scan_iter("rvlstate:mark:*"))


def figures(report: Report) -> dict[str, float]:
    """All figures of a run."""
    return {name: value for step in report.steps for name, value in step.figures.items()}


def killer(number: int) -> Any:
    """Listens, and ends the run when step `number` begins."""

    def listen(event: Event) -> None:
        if isinstance(event, StepStarted) and event.number == number:
            raise Killed

    return listen


def test_everything_is_as_before_and_the_change_is_pending_again(any_shop: Shop) -> None:
    """After completion: definition, alias, synonyms, documents with both TTLs; the next plan shows the change."""
    shop = any_shop
    before_the_change(shop)
    before = picture(shop)
    change(shop)
    assert shop.client.hget("products:1", "embedding") == narrow(1)
    declared = summaries(shop.plan())
    told = figures(roll_back(shop))
    assert (told["documents_restored"], told["documents"]) == (DOCUMENTS, DOCUMENTS)
    assert picture(shop) == before
    assert declared == []
    assert any("rewrite the documents" in line for line in summaries(shop.plan()))
    assert ours_beside(shop) == []
    declare(shop, "float32")
    shop.assert_settled()


def test_newer_writes_and_deletions_stay(shop: Shop) -> None:
    """D2, D3, D16: what was deleted stays deleted, what was written since stays, and both are told."""
    before_the_change(shop)
    change(shop)
    shop.client.delete("products:0")
    shop.client.hset("products:1", "embedding", narrow(90))
    shop.client.hset("products:2", "title", "another title")
    shop.client.hset("products:new", mapping={"title": "new", "price": 5, "embedding": narrow(91)})
    told = figures(roll_back(shop))
    assert told["documents_gone"] == 1
    assert told["documents_written_since"] == 1
    assert told["documents_restored"] == DOCUMENTS - 2
    assert not shop.client.exists("products:0")
    assert shop.client.hget("products:1", "embedding") == narrow(90)
    assert shop.client.hmget("products:2", "title", "embedding") == [b"another title", wide(2)]
    assert shop.client.hget("products:new", "embedding") == narrow(91)
    assert shop.count() == DOCUMENTS - 2


def test_the_change_can_be_carried_out_again(shop: Shop) -> None:
    """Forward, back, forward, back: each with a backup of its own."""
    kept = before_the_change(shop)
    before = picture(shop)
    for times in (1, 2):
        change(shop)
        assert shop.client.hget("products:1", "embedding") == narrow(1)
        roll_back(shop)
        declare(shop, "float32")
        assert picture(shop) == before
        assert len(list(kept.iterdir())) == times


@pytest.mark.parametrize("number", [3, 4, 5, 6, 7, 8])
def test_a_recreate_that_stopped_in_the_middle_is_taken_back(shop: Shop, number: int) -> None:
    """Ended at any step behind the drop: rollback needs no completion first."""
    before_the_change(shop)
    before = picture(shop)
    declare(shop, "float16")
    with pytest.raises(Killed):
        shop.apply(allow=ALLOWED, on_event=killer(number))
    roll_back(shop)
    declare(shop, "float32")
    assert picture(shop) == before
    shop.assert_settled()


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5, 6, 7])
def test_a_rollback_that_stopped_goes_on(shop: Shop, number: int) -> None:
    """Ended at any step: the same command ends in the same place."""
    before_the_change(shop)
    before = picture(shop)
    change(shop)
    with pytest.raises(Killed):
        roll_back(shop, on_event=killer(number))
    roll_back(shop)
    assert picture(shop) == before
    assert ours_beside(shop) == []


@pytest.mark.parametrize("number", [2, 3, 4, 5, 6, 7])
def test_a_rollback_that_stopped_can_be_given_up(shop: Shop, number: int) -> None:
    """Ended at any step: apply goes forward again, and every document is in the new layout, once."""
    before_the_change(shop)
    change(shop)
    after = picture(shop)["documents"]
    with pytest.raises(Killed):
        roll_back(shop, on_event=killer(number))
    shop.apply(allow=ALLOWED)
    assert picture(shop)["documents"] == after
    assert shop.count() == DOCUMENTS
    shop.assert_settled()


def test_an_index_that_is_no_alias_keeps_its_name(shop: Shop) -> None:
    """A physical index called as declared stays one."""
    shop.settings["policy"] = {"naming": "plain"}
    before_the_change(shop)
    before = picture(shop)
    change(shop)
    roll_back(shop)
    assert picture(shop) == before


def test_without_a_backup_it_is_refused(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 3 with the reason, before anything is changed."""
    before_the_change(shop, backup=None)
    change(shop)
    after = picture(shop)
    assert run(shop.arguments("rollback", "products", "--yes")) == 3
    assert "no folder with original values is declared" in capsys.readouterr().err
    assert run(shop.arguments("rollback", "products", "--yes", "--backup", str(shop.folder / "nothing"))) == 3
    assert "there is no backup in" in capsys.readouterr().err
    assert picture(shop) == after


def test_the_command_says_first_what_newer_writes_mean(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    """Figures of the backup and of a sample, downtime, then what came."""
    before_the_change(shop)
    change(shop)
    shop.client.hset("products:1", "embedding", narrow(90))
    assert run(shop.arguments("rollback", "products", "--yes")) == 0
    told = " ".join(capsys.readouterr().out.split())
    for words in (
        f"{DOCUMENTS} originals in",
        f"Of {DOCUMENTS} sampled documents {DOCUMENTS - 1} hold what was written",
        "1 were written since",
        "answers nothing from the drop",
        f"{DOCUMENTS - 1} restored",
        "1 left with newer writes (products:1)",
        "pending again",
    ):
        assert words in told


def test_a_damaged_backup_is_told_and_the_rest_comes_back(shop: Shop) -> None:
    """A frame whose bytes were changed: its documents stay as they are."""
    kept = before_the_change(shop, batch_size=50)
    change(shop)
    (segment,) = sorted(kept.rglob("*.segment"))
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 0xFF
    segment.write_bytes(data)
    with shop.project() as project:
        proposal = project.propose_rollback("products")
    assert isinstance(proposal, Proposal)
    assert proposal.damaged > 0
    told = figures(roll_back(shop))
    assert told["documents_restored"] == DOCUMENTS - proposal.damaged
    assert told["backup_rows_damaged"] == proposal.damaged


def test_what_has_nothing_to_be_taken_back_is_refused(shop: Shop) -> None:
    """After a rollback, and before anything was written."""
    before_the_change(shop)
    change(shop)
    roll_back(shop)
    with pytest.raises(ChangeRefusedError, match="cannot be carried out") as refused:
        roll_back(shop)
    assert "as it was before the change" in str(refused.value)


def test_a_backup_that_cannot_be_written_stops_before_the_drop(shop: Shop) -> None:
    """A file where the folder should be: the old index serves, nothing is rewritten."""
    kept = before_the_change(shop)
    before = picture(shop)
    kept.write_text("not a folder")
    with pytest.raises((GateFailedError, StepFailedError)):
        change(shop)
    found = picture(shop)
    assert (found["documents"], found["definition"]) == (before["documents"], before["definition"])
