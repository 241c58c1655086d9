"""Views on narrow terminals: what is to be read is folded, what is to be copied stays whole."""

from __future__ import annotations

import re

import pytest
from render_cases import CASES
from run_cases import failed, summary
from view_kit import rendered_text

from rvlstate.views.history import write_history, write_run
from rvlstate.views.paper import Cell, Paper, plain_text
from rvlstate.views.plan_text import Detail


def test_a_row_that_is_wider_than_the_paper_is_folded_behind_its_first_cell() -> None:
    """Further lines hang below the second cell where that is near; the first one may be a command, and stays whole."""
    paper = Paper(width=40)
    step = (Cell(text=" 4"), Cell(text="alias categories -> categories@2"), Cell(text="needs 3"), Cell(text=""))
    paper.rows([step])
    assert plain_text(paper) == "   4  alias categories -> categories@2\n      needs 3\n"
    paper = Paper(width=40)
    paper.rows([(Cell(text="rvlstate rollback categories --backup before"), Cell(text="takes it"), Cell(text="back"))])
    assert plain_text(paper).splitlines()[0] == "  rvlstate rollback categories --backup before"


def test_a_command_behind_words_is_never_folded() -> None:
    """It goes below them where there is no room, unless a short label is all that stands in front of it."""
    paper = Paper(width=40)
    paper.offer(Cell(text="Run: "), "", "rvlstate apply --allow DELETES_INDEX --target products")
    paper.offer(Cell(text="Not managed: "), "tmp_1, tmp_2; take them in with: ", "rvlstate import tmp_1 tmp_2")
    assert plain_text(paper) == (
        "Run: rvlstate apply --allow DELETES_INDEX --target products\n"
        "Not managed: tmp_1, tmp_2; take them in\n  with:\n  rvlstate import tmp_1 tmp_2\n"
    )


@pytest.mark.parametrize("width", [40, 60])
@pytest.mark.parametrize("name", sorted(set(CASES) - {"hostile"}))
def test_a_plan_fits_a_narrow_terminal(name: str, width: int) -> None:
    """All but the first line with its URL, commands, and words that are longer than a line."""
    _, *lines = rendered_text(CASES[name](), width=width, detail=Detail(everything=True)).splitlines()
    long = [line.strip() for line in lines if len(line) > width]
    assert [line for line in long if " " in line and not re.search(r"FT\.[A-Z]|EVAL|rvlstate apply ", line)] == []


@pytest.mark.parametrize("width", [40, 60])
def test_runs_fit_a_narrow_terminal(width: int) -> None:
    """The list of them, and the report of one."""
    paper = Paper(width=width)
    write_history(paper, [summary(), summary(result="failed", error="step 3 of 7 failed: verify products@2")])
    write_run(paper, failed())
    assert [line for line in plain_text(paper).splitlines() if len(line) > width] == []
