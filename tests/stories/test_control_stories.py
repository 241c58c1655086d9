"""Stories of runs that are watched, paused, slowed down and stopped from another terminal."""

from __future__ import annotations

import json
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from cli_kit import Outcome, outcome
from kit import FIELDS, Shop, managed, text, vector
from observe import PROJECT
from servers import eventually

from rvlstate.errors import InterruptedRunError
from rvlstate.events import Event, OrderReceived, StepProgressed, StepStarted
from rvlstate.runtime import control, listen
from rvlstate.runtime.identity import identify
from rvlstate.runtime.journal import Journal
from rvlstate.runtime.state_keys import StateKeys

pytest_plugins = ("story_fixtures",)

KEYS = StateKeys(PROJECT)
REWEIGHTED = (text("title", weight=2.0), *FIELDS[1:])


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs look at their orders more often than usual."""
    monkeypatch.setattr(listen, "LOOK_SECONDS", 0.03)


@dataclass(slots=True)
class Terminal:
    """Another terminal, beside the one on which apply runs."""

    shop: Shop
    capture: pytest.CaptureFixture[str]

    def run(self, *words: str) -> Outcome:
        """Run a command on the project."""
        self.capture.readouterr()
        return outcome(self.capture, *self.shop.arguments(*words))

    def data(self, *words: str) -> Any:
        """The result of a command, as JSON."""
        done = self.run(*words, "--format", "json")
        assert done.code == 0, done.err
        return done.data


@pytest.fixture
def terminal(shop: Shop, capsys: pytest.CaptureFixture[str]) -> Terminal:
    """Another terminal."""
    return Terminal(shop, capsys)


@dataclass(slots=True)
class Once:
    """Listens to a run, and acts when its first step of a kind begins."""

    operation: str
    act: Callable[[], object]
    events: list[Event] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        """Take an event."""
        self.events.append(event)
        if isinstance(event, StepStarted) and event.operation == self.operation:
            self.act()

    @property
    def orders(self) -> list[str]:
        """The orders that the run told of."""
        return [event.text for event in self.events if isinstance(event, OrderReceived)]


def test_a_run_is_paused_seen_and_resumed(shop: Shop, terminal: Terminal) -> None:
    """While it waits for a build: the status says paused by whom and what to do; it goes on to the declared set."""
    managed(shop)
    shop.declare("products", *REWEIGHTED)
    seen: list[Outcome] = []
    later = threading.Thread(target=lambda: _look_and_resume(terminal, seen))

    def pause() -> None:
        seen.append(terminal.run("pause"))
        later.start()

    listener = Once("await_build", pause)
    shop.apply(allow=("NAME_BECOMES_ALIAS",), on_event=listener)
    later.join()
    paused, status, data, resumed = seen
    assert (paused.code, resumed.code) == (0, 0)
    assert paused.out.startswith("Paused: apply ")
    assert "at: wait until products@2 is built" in paused.out
    assert "\nPaused\n" in status.out
    assert "it keeps the lock." in status.out
    assert "wait until products@2 is built" in status.out
    assert "Next: rvlstate resume lets the run go on; rvlstate abort stops it" in status.out
    work = data.data["work"]
    assert work["run"]["result"] == "running"
    assert work["orders"]["paused_by"] == work["orders"]["last_by"] != ""
    assert work["step"]["summary"] == "wait until products@2 is built"
    assert resumed.out.startswith("Resumed: apply ")
    assert [words.split()[0] for words in listener.orders] == ["paused", "resumed"]
    assert shop.client.exists(KEYS.control) == 0
    shop.assert_settled()
    with shop.project() as project:
        told = [event.kind for event in Journal(project.connection.keys, PROJECT).read_events(limit=1000)]
    assert [kind for kind in told if kind.startswith("order_")] == ["order_pause", "order_resume"]


def _look_and_resume(terminal: Terminal, seen: list[Outcome]) -> None:
    seen += [terminal.run("status"), terminal.run("status", "--format", "json"), terminal.run("resume")]


@pytest.mark.parametrize("operation", ["create_index", "await_build", "point_alias"])
def test_a_run_is_aborted_and_gone_on_with(shop: Shop, terminal: Terminal, operation: str) -> None:
    """Wherever it is, it stops by name and leaves what apply goes on with; search answers all the while."""
    managed(shop)
    before = shop.count()
    shop.declare("products", *REWEIGHTED)
    listener = Once(operation, lambda: _order_and_let_it_come(shop, "abort"))
    with pytest.raises(InterruptedRunError, match=r"stopped on the order of .+@.+ \(rvlstate abort\)"):
        shop.apply(allow=("NAME_BECOMES_ALIAS",), on_event=listener)
    assert shop.count() == before
    status = terminal.run("status")
    assert "Interrupted: apply " in status.out
    assert "(rvlstate abort)" in status.out
    assert "run rvlstate apply, it goes on where that stopped" in " ".join(status.out.split())
    assert shop.client.exists(KEYS.control, KEYS.lock) == 0
    shop.apply(allow=("NAME_BECOMES_ALIAS",))
    shop.assert_settled()


def _order_and_let_it_come(shop: Shop, order: str) -> None:
    """Give an order from the thread of the run itself, which cannot obey before this returns."""
    with shop.project() as project:
        given = getattr(control, order)(project.connection.keys, PROJECT, identify(), wait=0.5)
    assert given.now.number == 1


def test_a_paused_run_can_be_aborted(shop: Shop, terminal: Terminal) -> None:
    """Nobody has to resume it first, and whoever aborts sees it end."""
    managed(shop)
    shop.declare("products", *REWEIGHTED)
    ended: list[Outcome] = []
    later = threading.Thread(target=lambda: ended.append(terminal.run("abort")))

    def pause_then_abort() -> None:
        _order_and_let_it_come(shop, "pause")
        later.start()

    with pytest.raises(InterruptedRunError):
        shop.apply(allow=("NAME_BECOMES_ALIAS",), on_event=Once("await_build", pause_then_abort))
    later.join()
    assert ended[0].out.startswith("Stopped: apply ")
    assert "Next: an apply was interrupted: run rvlstate apply, it goes on where that stopped" in ended[0].out


@pytest.mark.parametrize("words", [("pause",), ("resume",), ("throttle", "500"), ("throttle", "off"), ("abort",)])
def test_without_a_run_an_order_is_an_error(shop: Shop, terminal: Terminal, words: tuple[str, ...]) -> None:
    """Exit 1, what it is about, and nothing is left behind."""
    managed(shop)
    done = terminal.run(*words)
    assert done.code == 1
    assert f"there is no run in progress to {words[0]}" in done.err
    assert shop.client.exists(KEYS.control) == 0


@pytest.mark.parametrize("rate", ["fast", "0", "-1", "nan", "inf"])
def test_a_rate_is_documents_a_second(shop: Shop, terminal: Terminal, rate: str) -> None:
    """Everything else is a mistake on the command line."""
    done = terminal.run("throttle", "--", rate)
    assert done.code == 64
    assert "is no rate: give documents a second, such as 500, or off" in done.err


def test_a_throttled_run_says_so(shop: Shop, terminal: Terminal) -> None:
    """The limit and who set it are in the status, in text and JSON; the run itself tells it."""
    managed(shop)
    shop.declare("products", *REWEIGHTED)
    seen: list[Outcome] = []

    def throttle() -> None:
        seen.extend((terminal.run("throttle", "500"), terminal.run("status")))
        seen.append(terminal.run("throttle", "off", "--format", "json"))

    listener = Once("await_build", throttle)
    shop.apply(allow=("NAME_BECOMES_ALIAS",), on_event=listener)
    limited, status, lifted = seen
    assert limited.out.startswith("Limited to 500 documents a second: apply ")
    assert "Limited to 500 documents a second by " in status.out
    assert (lifted.data["order"], lifted.data["obeyed"], lifted.data["now"]["rate"]) == ("throttle", True, 0.0)
    assert listener.orders[0].startswith("limited to 500 documents a second by ")


def test_a_run_is_followed_from_another_terminal(shop: Shop, terminal: Terminal) -> None:
    """`status --follow` shows the run until its end, and the report then has its progress and its estimates."""
    managed(shop)
    shop.declare("products", *REWEIGHTED)
    followed: list[Outcome] = []
    following = threading.Thread(target=lambda: followed.append(terminal.run("status", "--follow", "--format", "json")))
    seen_running = threading.Event()

    def follow() -> None:
        following.start()
        seen_running.wait(1.5)

    report = shop.apply(allow=("NAME_BECOMES_ALIAS",), on_event=Once("await_build", follow))
    following.join(timeout=60)
    lines = [json.loads(line) for line in followed[0].out.splitlines()]
    assert lines[0]["work"]["run"]["id"] == report.run
    assert lines[-1]["lock"] is None
    data = terminal.data("history", report.run)
    (index,) = data["indexes"]
    assert index["index"] == "products"
    assert index["estimated"]["documents"] == index["actual"]["documents"]
    assert "Estimated by the plan, and what came" in terminal.run("history", report.run).out


HALVED = (text("title"), vector("embedding", algorithm="flat", datatype="float16"))
BATCH, DOCUMENTS = 10, 160
SLOWLY: dict[str, Any] = {"strategy": "recreate", "batch_size": BATCH, "max_docs_per_second": 200}


def rewritten(shop: Shop) -> None:
    """Declare a change that rewrites all documents, at a rate that leaves time to look."""
    for number in range(DOCUMENTS):
        blob = struct.pack("4f", number, 1, 2, 3)
        shop.client.hset(f"products:{number}", mapping={"title": f"shoe {number}", "embedding": blob})
    shop.declare("products", text("title"), vector("embedding", algorithm="flat"))
    shop.apply()
    shop.declare("products", *HALVED)
    shop.configure(
        indexes={"products": {**SLOWLY, "fields": {"embedding": {"transform": "cast"}}}}, policy={"settle": "0s"}
    )


def hazards_of(shop: Shop) -> tuple[str, ...]:
    """What the plan needs to be allowed."""
    return tuple(hazard.code for hazard in shop.plan().hazards)


def halved(shop: Shop) -> int:
    """How many documents are in the new layout."""
    return sum(shop.client.hstrlen(f"products:{number}", "embedding") == 8 for number in range(DOCUMENTS))


@dataclass(slots=True)
class WhileRewriting:
    """Listens to a run, and acts beside it once documents are being rewritten."""

    act: Callable[[], object]
    events: list[Event] = field(default_factory=list)
    beside: threading.Thread | None = None

    def __call__(self, event: Event) -> None:
        """Take an event."""
        self.events.append(event)
        if isinstance(event, StepProgressed) and event.phase == "rewriting" and event.done and self.beside is None:
            self.beside = threading.Thread(target=self.act)
            self.beside.start()

    def ended(self) -> None:
        """Wait for what was begun beside the run."""
        assert self.beside is not None, "documents were never rewritten"
        self.beside.join()

    @property
    def reasons(self) -> set[str]:
        """Why the run was slow."""
        return {event.why for event in self.events if isinstance(event, StepProgressed) and event.why}


def test_a_rewrite_is_paused_between_two_batches(shop: Shop, terminal: Terminal) -> None:
    """Scenario 42: not a document is written until it goes on; the status says how far it is, how fast, and why."""
    rewritten(shop)
    seen: list[Outcome] = []
    counted: list[int] = []

    def act() -> None:
        seen.append(terminal.run("pause"))
        time.sleep(2 * BATCH / SLOWLY["max_docs_per_second"])  # what was under way
        counted.append(halved(shop))
        time.sleep(0.5)  # ten batches, if it did not wait
        counted.append(halved(shop))
        seen.extend((terminal.run("status"), terminal.run("throttle", "50"), terminal.run("resume")))
        eventually(lambda: " documents/s" in terminal.run("status").out)
        seen.extend((terminal.run("status"), terminal.run("throttle", "off")))

    listener = WhileRewriting(act)
    shop.apply(allow=hazards_of(shop), on_event=listener)
    listener.ended()
    assert [outcome.code for outcome in seen] == [0] * 6
    _, paused, limited, _, running, lifted = seen
    assert 0 < counted[0] == counted[1] < DOCUMENTS
    assert "Paused by " in paused.out
    assert limited.out.startswith("Limited to 50 documents a second: ")
    assert "% " in running.out
    assert "limited to 50 documents a second by " in running.out
    assert lifted.out.startswith("No limit by an order any more: ")
    assert "limited to 200 documents a second" in listener.reasons
    assert halved(shop) == DOCUMENTS
    shop.assert_settled()


def test_a_rewrite_is_aborted_between_two_batches(shop: Shop, terminal: Terminal) -> None:
    """Scenario 42: it stops in the middle, the status says how far it got, and apply goes on from there."""
    rewritten(shop)
    allow = hazards_of(shop)

    def act() -> None:
        time.sleep(0.3)  # some batches
        terminal.run("abort")

    listener = WhileRewriting(act)
    with pytest.raises(InterruptedRunError, match="rvlstate abort"):
        shop.apply(allow=allow, on_event=listener)
    listener.ended()
    assert 0 < halved(shop) < DOCUMENTS
    status = terminal.run("status")
    assert "rebuilding" in status.out
    assert "Until then there is no search on products." in " ".join(status.out.split())
    assert "it stopped at: " in status.out
    assert "% " in status.out
    shop.configure(
        indexes={"products": {"strategy": "recreate", "fields": {"embedding": {"transform": "cast"}}}},
    )
    shop.apply(allow=allow)
    assert halved(shop) == DOCUMENTS
    shop.assert_settled()
