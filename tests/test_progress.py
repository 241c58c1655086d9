"""Progress: events as JSON, as lines of a log, and as a bar on a terminal."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import get_args

import pytest
from view_kit import Terminal

from rvlstate import events
from rvlstate.runtime.meter import Meter
from rvlstate.views.events import event_line, event_name
from rvlstate.views.narration import Narrator
from rvlstate.views.progress import JsonProgress, LineProgress, LiveProgress, SilentProgress, standing

EVENTS: tuple[events.Event, ...] = (
    events.LockAwaited(holder="Held by apply of me.\nLock id: 7"),
    events.RunStarted(run="r1", project="shop", plan="sha256:1", steps=2, resumes="r0"),
    events.StepStarted(
        step="a/1", index="a", operation="await_build", summary="wait until a@2 is built", number=1, total=2
    ),
    events.StepProgressed(step="a/1", note="500 documents indexed", done=500, total=1000),
    events.OrderReceived(order="pause", by="ann@host", text="paused by ann@host"),
    events.CommandRetried(step="a/1", reason="redis://u:pw@h lost", delay=0.25),
    events.StepFinished(step="a/1", seconds=12.5, note="1,000 documents", figures={"documents": 1000.0}),
    events.StepStarted(step="a/2", index="a", operation="point_alias", summary="alias a -> a@2", number=2, total=2),
    events.StepFailed(step="a/2", error="no", cleanup="a@2 was removed again"),
    events.StepSkipped(step="b/1", because="a/2"),
    events.RunFinished(run="r1", result="failed", seconds=13.0),
    events.WatchStarted(index="a", mode="write"),
    events.LateWritesFound(index="a", converted=2, removed=1, bad=0, seconds=0.2),
    events.ReplicaNotAwaited(step="a/1", replica="h:1", text="replica h:1 went offline before it had built a@2"),
)


def test_the_sample_holds_every_kind_of_event() -> None:
    """A new event needs its line in this test."""
    assert {type(event) for event in EVENTS} == set(get_args(events.Event))


def test_event_names_are_stable() -> None:
    """Scripts that read the log rely on these."""
    assert [event_name(kind) for kind in get_args(events.Event)] == [
        *("lock_awaited", "run_started", "step_started", "step_progressed", "step_finished", "step_failed"),
        *("step_skipped", "command_retried", "replica_not_awaited", "order_received", "run_finished"),
        *("watch_started", "late_writes_found"),
    ]


def test_the_json_log_is_one_object_a_line() -> None:
    """Every event is written at once with its name, its time and its own fields."""
    written: list[str] = []
    with JsonProgress(write=written.append, now=lambda: "2026-05-15T10:00:00Z") as progress:
        for event in EVENTS:
            progress(event)
    lines = [json.loads(line) for line in written]
    assert all(line.endswith("\n") and line.count("\n") == 1 for line in written)
    assert [line["event"] for line in lines] == [event_name(type(event)) for event in EVENTS]
    assert lines[6] == {
        "event": "step_finished",
        "time": "2026-05-15T10:00:00Z",
        "level": "info",
        "project": "shop",
        "run": "r1",
        "step": "a/1",
        "seconds": 12.5,
        "note": "1,000 documents",
        "figures": {"documents": 1000.0},
    }


def test_text_of_others_cannot_break_a_line_of_the_json_log() -> None:
    """Line breaks and controls are escaped by JSON itself."""
    event = events.StepStarted(step="a\n/1", index="a", operation="x", summary="\x1b[31m\u2028", number=1, total=1)
    assert event_line(event, "t").isascii()
    assert event_line(event, "t").count("\n") == 1


def test_a_log_tells_steps_and_throttles_progress() -> None:
    """A step's beginning at once, progress every ten seconds, its end if it took a second; retries only if wordy."""
    now = 0.0
    written: list[str] = []
    progress = LineProgress(write=written.append, clock=lambda: now, narrator=Narrator())
    for event in EVENTS[:3]:
        progress(event)
    for second in range(31):
        now = float(second)
        progress(replace(EVENTS[3], note=f"{second} s"))  # type: ignore[arg-type]
    for event in EVENTS[4:]:
        progress(event)
    assert "".join(written) == (
        "waiting for the lock\n"
        "    Held by apply of me.\n"
        "    Lock id: 7\n"
        "run r1 of project shop: 2 steps, going on from the interrupted run r0\n"
        "1/2  wait until a@2 is built\n"
        "1/2      50%  10 s\n"
        "1/2      50%  20 s\n"
        "1/2      50%  30 s\n"
        "paused by ann@host\n"
        "1/2  wait until a@2 is built  12.5 s  1,000 documents\n"
        "2/2  alias a -> a@2\n"
        "2/2  alias a -> a@2  failed\n"
        "    a@2 was removed again\n"
        "b/1  skipped, because this failed: alias a -> a@2\n"
        "watching a: documents in the old layout are converted\n"
        "a: 2 late writes brought into the new layout, 1 copy removed, in 0.20 s\n"
        "warning: replica h:1 went offline before it had built a@2\n"
    )


def test_a_wordy_log_has_commands_and_retries() -> None:
    """-v adds the Redis commands of each step, and what was tried again, without credentials."""
    written: list[str] = []
    narrator = Narrator(wordy=True, commands={"a/2": ("FT.ALIASUPDATE a a@2",)})
    progress = LineProgress(write=written.append, clock=lambda: 0.0, narrator=narrator)
    for event in EVENTS:
        progress(event)
    text = "".join(written)
    assert "     > FT.ALIASUPDATE a a@2\n" in text
    assert "      again in 0.25 s: redis://***@h lost\n" in text


def test_a_terminal_gets_a_bar_and_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps that ended stay as lines; the cursor is shown again even if the run breaks off."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    terminal = Terminal()

    def run() -> None:
        with LiveProgress(stream=terminal, narrator=Narrator()) as progress:
            for event in EVENTS:
                progress(event)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()
    text = terminal.getvalue()
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    assert "wait until a@2 is built  12.5 s  1,000 documents" in plain
    assert "b/1  skipped" in plain


def test_silence_is_silent() -> None:
    """-q: every event is taken and nothing is written."""
    with SilentProgress() as progress:
        for event in EVENTS:
            progress(event)


REWRITING = events.StepProgressed(
    step="a/1",
    note="22,500 documents rewritten",
    done=22_500,
    total=50_000,
    phase="rewriting",
    documents_per_second=1200.4,
    eta_seconds=22.9,
    why="memory at 87% of maxmemory",
)


def test_progress_has_stable_names() -> None:
    """Scripts that watch the log rely on these."""
    assert json.loads(event_line(REWRITING, "t")) == {
        "event": "step_progressed",
        "time": "t",
        "level": "debug",
        "project": "",
        "run": "",
        "step": "a/1",
        "note": "22,500 documents rewritten",
        "done": 22_500,
        "total": 50_000,
        "phase": "rewriting",
        "documents_per_second": 1200.4,
        "eta_seconds": 22.9,
        "why": "memory at 87% of maxmemory",
        "figures": {},
    }


def test_progress_in_words() -> None:
    """Share, phase, note, why it is slow, rate and time left, and nothing that is not known."""
    assert standing(REWRITING).line == (
        "45%  rewriting: 22,500 documents rewritten  (memory at 87% of maxmemory)  1,200 documents/s  23 s left"
    )
    assert standing(events.StepProgressed(step="a", note="waiting")).line == "waiting"
    twice = events.StepProgressed(
        step="a", note="rewriting, paused by ann@host", phase="rewriting", why="paused by ann"
    )
    assert standing(twice).line == "rewriting, paused by ann@host"
    assert standing(events.StepProgressed(step="a", note="\x1b[2J", why="\x07", done=3, total=2)).line == (
        "100%  \\x1b[2J  (\\x07)"
    )


def test_the_json_log_has_progress_once_a_second() -> None:
    """A sweep tells of every batch; a log gets one of them a second, but a new phase or cause at once."""
    now = 0.0
    written: list[str] = []
    progress = JsonProgress(write=written.append, now=lambda: "t", clock=lambda: now)
    for tick in range(31):
        now = tick / 10
        progress(REWRITING)
    progress(replace(REWRITING, why=""))
    progress(replace(REWRITING, why="", phase="settling"))
    progress(replace(REWRITING, why="", phase="settling", step="b/1"))
    assert len(written) == 4 + 3


def test_the_bar_shows_rate_time_left_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """What holds a run back stands beside its bar."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "240")
    terminal = Terminal()
    with LiveProgress(stream=terminal, narrator=Narrator()) as progress:
        for event in (*EVENTS[:3], REWRITING):
            progress(event)
        progress._progress.refresh()
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue())
    assert "1,200 documents/s  23 s left" in plain
    assert "rewriting: 22,500 documents rewritten  (memory at 87% of maxmemory)" in plain


class Ticking:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """The time."""
        return self.now


def metered(speeds: list[float], *, batch: float = 1.0, total: int = 100_000) -> events.StepProgressed:
    """What is told at the end of a step that goes at these speeds, documents a second, for one batch time each."""
    clock = Ticking()
    meter = Meter(clock)
    done = 0.0
    event = meter.tell("a/1", "", done=0, total=total)
    for speed in speeds:
        clock.now += batch
        done += speed * batch
        event = meter.tell("a/1", "", done=round(done), total=total)
    return event


def test_rate_and_time_left_are_what_was_observed() -> None:
    """At an even speed both are exact from the first second on; before that nobody can tell."""
    event = metered([500.0] * 20)
    assert event.documents_per_second == 500
    assert event.eta_seconds == pytest.approx(90_000 / 500)
    assert metered([500.0]).documents_per_second == 500
    assert (metered([]).documents_per_second, metered([]).eta_seconds) == (0, None)
    assert metered([500.0] * 3, total=0).eta_seconds is None
    assert metered([500.0] * 3, total=1000).eta_seconds is None  # more came than were counted


def test_the_rate_is_smoothed_and_follows() -> None:
    """A burst hardly moves it, a lasting change does within some seconds."""
    assert 500 < metered([500.0] * 20 + [1500.0]).documents_per_second < 650
    assert metered([500.0] * 20 + [50.0] * 30).documents_per_second < 65
    assert metered([50.0] * 5, batch=10.0).documents_per_second == 50


def test_a_pause_does_not_count_as_slowness() -> None:
    """After a silence the rate goes on from where it was; a next pass is measured anew."""
    clock = Ticking()
    meter = Meter(clock)
    for second in range(10):
        clock.now += 1
        meter.tell("a/1", "", done=second * 500, total=10_000)
    clock.now += 3600
    event = meter.tell("a/1", "", done=10 * 500, total=10_000)
    assert event.documents_per_second == 500
    assert meter.tell("a/1", "", done=0, total=10_000).eta_seconds is None


def test_telling_during_a_pause_does_not_slow_the_rate() -> None:
    """Who is told again and again that the run is paused sees the rate of before, and the first second after counts."""
    clock = Ticking()
    meter = Meter(clock)
    for second in range(10):
        clock.now += 1
        meter.tell("a/1", "", done=second * 500, total=10_000)
    for _ in range(100):
        clock.now += 0.2
        event = meter.tell("a/1", "", done=9 * 500, total=10_000, why="paused by ann@host")
    assert (event.documents_per_second, event.eta_seconds) == (500, 11)
    for second in range(10, 15):
        clock.now += 1
        event = meter.tell("a/1", "", done=second * 500, total=10_000)
    assert event.documents_per_second == 500


def test_builds_are_metered_by_their_share() -> None:
    """Where `done` counts the share in thousandths, the rate is still of documents and the time left of the share."""
    clock = Ticking()
    meter = Meter(clock)
    for second in range(11):
        clock.now += 1
        event = meter.tell("a/1", "", done=second * 50, total=1000, documents=second * 2000.0)
    assert (event.documents_per_second, event.eta_seconds) == (2000, 10)


def test_a_meter_says_what_is_worth_telling() -> None:
    """Five times a second, and at once when phase or cause change, or for the last word."""
    clock = Ticking()
    meter = Meter(clock)
    told = []
    for tick in range(100):
        clock.now = 100 + tick / 100
        told.append(meter.due("rewriting"))
    assert 4 <= sum(told) <= 6
    assert not meter.due("rewriting")
    assert meter.due("rewriting", "paused by ann@host")
    assert meter.due("settling", "paused by ann@host")
    assert meter.due("settling", "paused by ann@host", last=True)
