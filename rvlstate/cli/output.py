"""Results and messages of commands, in the form and the colours that were asked for."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rvlstate.cli.options import Globals
from rvlstate.cli.streams import write_log, write_result

if TYPE_CHECKING:
    from rvlstate.events import Event
    from rvlstate.plan.plan import Plan
    from rvlstate.views.events import Level
    from rvlstate.views.paper import Paper
    from rvlstate.views.progress import ProgressView


def show(settings: Globals, write: Callable[[Paper], None]) -> None:
    """Show on stdout what a view writes on paper."""
    write_result(_rendered(settings, write, sys.stdout))


def show_aside(settings: Globals, write: Callable[[Paper], None]) -> None:
    """Show on stderr what a view writes on paper."""
    write_log(_rendered(settings, write, sys.stderr))


def show_json(data: Any) -> None:
    """Show JSON-like data on stdout, indented."""
    write_result(json.dumps(data, indent=2, ensure_ascii=True) + "\n")


def show_json_line(data: Any) -> None:
    """Show JSON-like data on stdout in one line, for a result that is one of several."""
    write_result(json.dumps(data, ensure_ascii=True) + "\n")


def note(settings: Globals, text: str) -> None:
    """Say something beside the result."""
    from rvlstate.views.untrusted import lines_of

    if settings.log_format == "json":
        from rvlstate.runtime.clock import now_iso

        level: Level = "warning" if text.startswith("warning: ") else "info"
        data = {**settings.log.data("note", now_iso(), level), "text": "\n".join(lines_of(text))}
        write_log(json.dumps(data, ensure_ascii=True) + "\n")
    elif not settings.quiet:
        write_log("".join(f"{line}\n" for line in lines_of(text)))


def progress_view(settings: Globals, plan: Plan) -> ProgressView:
    """What shows the progress of a run of this plan."""
    import time

    from rvlstate.runtime.clock import now_iso
    from rvlstate.views.narration import Narrator
    from rvlstate.views.progress import JsonProgress, LineProgress, LiveProgress, SilentProgress

    if settings.quiet:
        return SilentProgress()
    if settings.log_format == "json":
        return JsonProgress(write=write_log, now=now_iso, context=settings.log)
    commands = {step.id: step.operation.commands for step in plan.steps}
    narrator = Narrator(wordy=settings.verbose, commands=commands)
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        return LiveProgress(stream=sys.stderr, narrator=narrator, color=not settings.no_color)
    return LineProgress(write=write_log, clock=time.monotonic, narrator=narrator)


def event_view(settings: Globals) -> Callable[[Event], None]:
    """What shows events of a command that is no run of a plan: a line for each."""
    import time

    from rvlstate.runtime.clock import now_iso
    from rvlstate.views.narration import Narrator
    from rvlstate.views.progress import JsonProgress, LineProgress, SilentProgress

    if settings.quiet:
        return SilentProgress()
    if settings.log_format == "json":
        return JsonProgress(write=write_log, now=now_iso, context=settings.log)
    return LineProgress(write=write_log, clock=time.monotonic, narrator=Narrator(wordy=settings.verbose))


def _rendered(settings: Globals, write: Callable[[Paper], None], stream: Any) -> str:
    from rvlstate.views.paper import paper_for, write_out

    paper = paper_for(stream)
    write(paper)
    return write_out(paper, stream, color=not settings.no_color)
