"""Orders to a run in progress: who they are for, what they do, and what is left of them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from conftest import NewServer
from keys_clients import ADA, BOB, open_keys, open_kind
from servers import connected, eventually

from rvlstate.errors import InterruptedRunError, PermissionMissingError, StateError
from rvlstate.events import Event, OrderReceived
from rvlstate.runtime import listen
from rvlstate.runtime.connect import connect
from rvlstate.runtime.control import abort, parse_orders, pause, read_orders, resume, throttle
from rvlstate.runtime.journal import Journal
from rvlstate.runtime.listen import Listener
from rvlstate.runtime.lock import Lease, acquire, unlock
from rvlstate.runtime.scripts import KeysClient
from rvlstate.runtime.state_keys import StateKeys
from rvlstate.runtime.stop import StopRequest
from rvlstate.runtime.translate import translated

OBEYED_WITHIN = 2.0
KEYS = StateKeys("shop")


@pytest.fixture(autouse=True)
def _hurry(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs look at their orders more often than usual, but for the test of how long that takes."""
    if "unhurried" not in request.fixturenames:
        monkeypatch.setattr(listen, "LOOK_SECONDS", 0.03)


@pytest.fixture
def unhurried() -> None:
    """As often as usual."""


@pytest.fixture(params=["standalone-3", "cluster-2"])
def client(request: pytest.FixtureRequest) -> Iterator[KeysClient]:
    """A client of the emptied server, of every kind."""
    with open_kind(request.param, request) as opened:
        yield opened


@pytest.fixture
def plain(redis_url: str) -> Iterator[KeysClient]:
    """A client of the emptied standalone server, where the kind of server cannot matter."""
    with open_keys(redis_url) as opened:
        yield opened


class Work:
    """A run that does nothing but ask, again and again, whether it may go on."""

    def __init__(self, client: KeysClient, lease: Lease, stop: StopRequest) -> None:
        self.lease = lease
        self.stop = stop
        self.beats = 0
        self.error: Exception | None = None
        self.told: list[Event] = []
        self.listener = Listener(client, "shop", lease=lease, stop=stop, on_event=self.told.append)
        self.thread = threading.Thread(target=self._work)

    def _work(self) -> None:
        try:
            while True:
                self.stop.pause(0.01)
                self.lease.check()
                self.beats += 1
        except Exception as error:  # noqa: BLE001  # whatever ended it is what the test asks about
            self.error = error

    def goes_on(self) -> bool:
        """Whether it does something within a moment."""
        before = self.beats
        time.sleep(0.15)
        return self.beats > before

    @property
    def orders(self) -> list[tuple[str, str]]:
        """The orders that it told of."""
        return [(event.order, event.text) for event in self.told if isinstance(event, OrderReceived)]


@contextmanager
def working(client: KeysClient, *, operation: str = "apply", lease_seconds: float = 30.0) -> Iterator[Work]:
    """A run in progress, with its report."""
    with acquire(client, "shop", operation=operation, identity=ADA, lease_seconds=lease_seconds) as lease:
        Journal(client, "shop").start("run-1", operation=operation, lock_id=lease.id, identity=ADA, steps=1)
        work = Work(client, lease, StopRequest())
        with work.listener:
            work.thread.start()
            try:
                yield work
            finally:
                work.stop.ask("the end of the test")
                work.thread.join()


def test_a_run_is_paused_and_goes_on(client: KeysClient) -> None:
    """Pause stops it at its next safe place, resume lets it go on; both are confirmed, told, and say which run."""
    with working(client) as work:
        paused = pause(client, "shop", BOB)
        assert paused.obeyed
        assert (paused.run, paused.lock.who, paused.lock.host) == ("run-1", "ada", "runner-1")
        eventually(lambda: not work.goes_on())
        assert work.lease.held
        assert read_orders(client, "shop", work.lease.id).paused_by == "bob@laptop"
        resumed = resume(client, "shop", BOB)
        assert resumed.obeyed
        eventually(work.goes_on)
        assert work.orders == [("pause", "paused by bob@laptop"), ("resume", "resumed by bob@laptop")]
    assert paused.describe().splitlines()[0].startswith("Paused: apply run-1 of ada on runner-1 (pid 41), since 2")
    assert "rvlstate resume lets it go on" in paused.describe()
    assert resumed.describe().startswith("Resumed: apply run-1")


@pytest.mark.usefixtures("unhurried")
def test_an_order_is_obeyed_within_two_seconds(plain: KeysClient) -> None:
    """From the order to its confirmation, with the run in the middle of a wait of an hour."""
    with working(plain) as work:
        waiting = threading.Thread(target=lambda: swallow(work.stop), daemon=True)
        waiting.start()
        began = time.monotonic()
        ordered = abort(plain, "shop", BOB, wait=0)
        waiting.join()
        assert time.monotonic() - began < OBEYED_WITHIN
        assert not ordered.obeyed


def swallow(stop: StopRequest) -> None:
    """Wait for an hour, or until somebody asks to stop."""
    with pytest.raises(InterruptedRunError):
        stop.pause(3600)


def test_a_run_is_aborted_by_name(client: KeysClient) -> None:
    """Abort ends it as SIGTERM does, and the error says who asked; one that is paused ends as well."""
    with working(client) as work:
        pause(client, "shop", BOB)
        abort(client, "shop", BOB, wait=0)
        work.thread.join()
    assert isinstance(work.error, InterruptedRunError)
    assert str(work.error).startswith("stopped on the order of bob@laptop (rvlstate abort)")
    assert "rvlstate apply goes on" in work.error.next_step
    assert work.orders[-1] == ("abort", "told to stop by bob@laptop")


def test_whoever_aborts_sees_the_run_end(plain: KeysClient) -> None:
    """Abort waits until the lock is free and then says "stopped"."""
    with working(plain) as work:

        def end() -> None:
            work.thread.join()
            work.lease.release()

        ending = threading.Thread(target=end)
        ending.start()
        ordered = abort(plain, "shop", BOB, wait=10)
        ending.join()
    assert ordered.ended
    assert ordered.describe().startswith("Stopped: apply run-1 of ada")
    assert "has not confirmed" not in ordered.describe()


def test_a_limit_is_set_and_taken_away(client: KeysClient) -> None:
    """Throttle sets the documents a second for whoever paces the run; 0 takes the limit away."""
    with working(client) as work:
        assert work.listener.rate == 0
        limited = throttle(client, "shop", BOB, 500)
        assert (work.listener.rate, work.listener.rate_by) == (500, "bob@laptop")
        lifted = throttle(client, "shop", BOB, 0)
        assert work.listener.rate == 0
        assert work.orders == [
            ("throttle", "limited to 500 documents a second by bob@laptop"),
            ("throttle", "limit taken away by bob@laptop"),
        ]
    assert limited.describe().startswith("Limited to 500 documents a second: apply run-1")
    assert lifted.describe().startswith("No limit by an order any more: apply run-1")


def test_a_limit_outlives_a_pause(plain: KeysClient) -> None:
    """Orders of different kinds do not take each other back."""
    with working(plain) as work:
        throttle(plain, "shop", BOB, 0.5)
        pause(plain, "shop", ADA)
        resume(plain, "shop", ADA)
        assert work.listener.rate == 0.5


def test_what_holds_already_is_said(plain: KeysClient) -> None:
    """Pausing twice names the first who did; resuming what is not paused says so; neither is an error."""
    with working(plain):
        assert resume(plain, "shop", BOB).describe().startswith("Was not paused: apply")
        pause(plain, "shop", ADA)
        again = pause(plain, "shop", BOB)
        assert again.describe().startswith("Was paused already, by ada@runner-1 at 2")
        assert again.now.paused_by == "ada@runner-1"


def test_there_must_be_a_run(client: KeysClient) -> None:
    """Without a run an order is an error, and nothing is left behind for the next one."""
    for order in (pause, resume, abort):
        with pytest.raises(StateError, match=f"no run in progress to {order.__name__}") as caught:
            order(client, "shop", BOB)
        assert caught.value.exit_code == 1
    with pytest.raises(StateError, match="no run in progress to throttle"):
        throttle(client, "shop", BOB, 5)
    assert client.exists(KEYS.control) == 0


def test_orders_end_with_their_run(plain: KeysClient) -> None:
    """The next run does not find what its predecessor was told, whether that ended well or was killed."""
    with working(plain):
        pause(plain, "shop", BOB)
    assert plain.exists(KEYS.control) == 0
    with acquire(plain, "shop", operation="apply", identity=ADA):
        pause(plain, "shop", BOB, wait=0)  # nobody listens: as if killed before it could
    assert 0 < int(plain.pttl(KEYS.control)) <= 3_600_000
    with working(plain) as work:
        assert work.goes_on()
        assert work.orders == []
        throttle(plain, "shop", BOB, 9)
        assert read_orders(plain, "shop", work.lease.id).paused_by == ""


def test_an_order_that_comes_before_the_run_listens_is_obeyed(plain: KeysClient) -> None:
    """While a run still plans, it holds the lock already: what is ordered then holds from the beginning."""
    with acquire(plain, "shop", operation="apply", identity=ADA) as lease:
        ordered = pause(plain, "shop", BOB, wait=0)
        assert "has not confirmed this yet" in ordered.describe()
        stop = StopRequest()
        with Listener(plain, "shop", lease=lease, stop=stop, on_event=lambda _: None):
            assert stop.held_by == "bob@laptop"


def test_some_operations_take_no_orders(plain: KeysClient) -> None:
    """An import ends by itself: an order to it is an error that says so."""
    with (
        acquire(plain, "shop", operation="import", identity=ADA),
        pytest.raises(StateError, match="import takes no orders to pause"),
    ):
        pause(plain, "shop", BOB)
    assert plain.exists(KEYS.control) == 0


def test_a_paused_run_keeps_its_lease(plain: KeysClient) -> None:
    """A pause of many leases costs the run nothing."""
    with working(plain, lease_seconds=0.3) as work:
        pause(plain, "shop", BOB)
        time.sleep(0.7)
        assert work.lease.held
        resume(plain, "shop", BOB)
        eventually(work.goes_on)


def test_a_paused_run_whose_lock_was_taken_away_ends(plain: KeysClient) -> None:
    """It would wait for ever otherwise: nobody can order anything to a run without a lock."""
    with working(plain, lease_seconds=0.5) as work:
        pause(plain, "shop", BOB)
        unlock(plain, "shop", work.lease.id)
        work.thread.join()
    assert type(work.error).__name__ == "LockLostError"


def test_orders_are_renewed_while_the_run_lasts(plain: KeysClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pause that lasts longer than orders are kept goes on to hold."""
    monkeypatch.setattr(listen, "RENEW_SECONDS", 0.2)
    with working(plain):
        pause(plain, "shop", BOB)
        plain.pexpire(KEYS.control, 10_000)
        eventually(lambda: int(plain.pttl(KEYS.control)) > 3_000_000)


def test_orders_that_vanish_go_on_to_hold(plain: KeysClient) -> None:
    """A control key that was deleted or evicted resumes nothing, and the next order is obeyed all the same."""
    with working(plain) as work:
        pause(plain, "shop", BOB)
        plain.delete(KEYS.control)
        time.sleep(3 * listen.LOOK_SECONDS)
        assert work.stop.held_by
        assert resume(plain, "shop", BOB).obeyed
        assert not work.stop.held_by


@pytest.mark.parametrize("text", ["", "nonsense", "[1]", '{"lock_id": 7}', '{"lock_id": "l", "rate": "x"}'])
def test_a_damaged_control_key_orders_nothing(plain: KeysClient, text: str) -> None:
    """What somebody else wrote there neither stops a run nor keeps orders from being given."""
    assert parse_orders(text, "l").paused_by == ""
    with working(plain) as work:
        plain.set(KEYS.control, text)
        assert work.goes_on()
        assert pause(plain, "shop", BOB).obeyed


def test_a_key_of_another_type_is_an_error_that_says_so(plain: KeysClient) -> None:
    """The run goes on, and whoever orders something learns what is in the way."""
    with working(plain) as work:
        plain.rpush(KEYS.control, "x")
        assert work.goes_on()
        with pytest.raises(StateError, match="something that rvlstate did not write"):
            pause(plain, "shop", BOB)
        plain.delete(KEYS.control)


def test_orders_are_told_in_the_stream(client: KeysClient) -> None:
    """Who ordered what to which run can be read afterwards."""
    with working(client):
        throttle(client, "shop", BOB, 500)
    told = [event for event in Journal(client, "shop").read_events() if event.kind.startswith("order_")]
    assert [(event.run, event.kind, dict(event.data)) for event in told] == [
        ("run-1", "order_throttle", {"by": "bob@laptop", "rate": "500"})
    ]


def test_who_may_not_write_may_not_order(redis_url: str, plain: KeysClient) -> None:
    """An order needs the right to write: a reader gets a permission error, and the run goes on."""
    reader = redis_url.replace("://", "://reader:pw@")
    admin: KeysClient = plain
    admin.execute_command("ACL", "SETUSER", "reader", "on", ">pw", "%R~*", "+@all")  # type: ignore[no-untyped-call]
    try:
        with working(plain) as work:
            with connect(reader) as connection, pytest.raises(PermissionMissingError), translated(connection):
                pause(connection.keys, "shop", BOB)
            admin.execute_command("ACL", "SETUSER", "reader", "~*", "-@all", "+@read", "+ping", "+hello")  # type: ignore[no-untyped-call]
            with connect(reader) as connection, pytest.raises(PermissionMissingError) as caught, translated(connection):
                abort(connection.keys, "shop", BOB)
            assert "EVAL" in str(caught.value)
            assert work.goes_on()
    finally:
        admin.execute_command("ACL", "DELUSER", "reader")  # type: ignore[no-untyped-call]


def test_a_run_on_a_full_server_can_be_ordered(new_server: NewServer) -> None:
    """When memory is full, that is when somebody wants to pause or stop a run."""
    server = new_server()
    with open_keys(server.url) as client, connected(server) as admin, working(client) as work:
        admin.config_set("maxmemory", "1mb")
        try:
            assert pause(client, "shop", BOB).obeyed
            assert resume(client, "shop", BOB).obeyed
            assert work.stop.held_by == ""
        finally:
            admin.config_set("maxmemory", "0")


def test_an_order_is_data(plain: KeysClient) -> None:
    """Scripts read what became of an order as JSON."""
    with working(plain):
        data = json.loads(json.dumps(throttle(plain, "shop", BOB, 250).to_dict()))
    assert (data["order"], data["by"], data["run"], data["obeyed"]) == ("throttle", "bob@laptop", "run-1", True)
    assert (data["now"]["rate"], data["lock"]["who"]) == (250.0, "ada")


def test_a_stop_request_survives_a_signal_in_its_own_wait() -> None:
    """The handler runs in the thread that waits, and may hold the same lock: neither waits for the other."""
    stop = StopRequest()
    with stop._changed:
        stop.ask("SIGTERM")
    with pytest.raises(InterruptedRunError, match="stopped on SIGTERM"):
        stop.pause(60)
    stop.ask("another reason")
    assert stop.reason == "SIGTERM"
