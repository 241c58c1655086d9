"""What the commands that give an order to a run in progress have in common: they show what it did to which run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rvlstate.cli.output import show_json
from rvlstate.cli.streams import write_result

if TYPE_CHECKING:
    from rvlstate.runtime.control import Ordered


def show_order(ordered: Ordered, form: str, next_step: str = "") -> None:
    """Show an order that was given, as text or as JSON; the text with `next_step` if there is one."""
    from rvlstate.views.untrusted import lines_of

    if form == "json":
        show_json(ordered.to_dict())
    else:
        write_result("".join(f"{line}\n" for line in lines_of(ordered.describe(next_step))))
