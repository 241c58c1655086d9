"""What the tests of views share: renders that are kept, and a stream that says it is a terminal.

After a change of a view, write the renders in cases/render anew with `RVLSTATE_RENDER=write pytest tests/test_views.py`
and read the difference.
"""

from __future__ import annotations

import os
from io import StringIO
from pathlib import Path

from hypothesis import settings

from rvlstate.plan.plan import Plan
from rvlstate.views.paper import Paper, plain_text
from rvlstate.views.plan_text import Detail, write_plan
from rvlstate.views.plan_words import Offer

RENDERS = Path(__file__).parent / "cases" / "render"
OFFER = Offer(allowed=("POSSIBLE_RENAME",), server="redis://redis.example:6379")
WIDTH = 100
patient = settings(deadline=None, max_examples=50)  # other work on the machine makes single examples slow


class Terminal(StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Yes."""
        return True


def rendered_text(plan: Plan, *, width: int = WIDTH, detail: Detail | None = None, offer: Offer = OFFER) -> str:
    """The text view of a plan without colours."""
    paper = Paper(width=width)
    write_plan(paper, plan, offer, detail or Detail())
    return plain_text(paper)


def compare(file: Path, text: str) -> None:
    """Compare a text with the file that is kept, or write the file."""
    if os.environ.get("RVLSTATE_RENDER") == "write":
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")
