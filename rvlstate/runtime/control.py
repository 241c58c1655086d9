"""Orders to a run in progress (pause, resume, throttle, abort): how they are given, kept, read and confirmed.

An order is bound to the lock of the run that it is for, so that none is left behind for the next one.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from rvlstate.errors import StateError
from rvlstate.runtime.clock import iso_utc
from rvlstate.runtime.identity import Identity, presentable
from rvlstate.runtime.journal import EVENTS_KEPT, Journal
from rvlstate.runtime.lock_info import DEAF, LockInfo, parse_lock
from rvlstate.runtime.scripts import KeysClient, keys_as_expected, parse_record, run_script
from rvlstate.runtime.state_keys import StateKeys

OrderKind: TypeAlias = Literal["pause", "resume", "throttle", "abort"]

ORDERS_KEPT_SECONDS = 3600
"""How long orders last unless the run that they are for renews them: those to one that was killed go by themselves."""

CONFIRM_SECONDS = 3.0
"""How long a giver of orders waits until they are obeyed, which takes up to 2 s."""

LOOK_AGAIN_SECONDS = 0.05
ENDS_WELL = ("resume", "abort")
"""Orders that were obeyed if the run has ended since."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What a run was ordered: who paused it ("" if nobody) and since when, its limit (0: none), who stopped it.

    `last` names the last order, `number` counts them, and `obeyed` is the last that the run has taken note of.
    """

    lock_id: str = ""
    paused_by: str = ""
    paused_at: str = ""
    rate: float = 0.0
    rate_by: str = ""
    abort_by: str = ""
    last: str = ""
    last_order: str = ""
    last_by: str = ""
    number: int = 0
    obeyed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """An order that was given: to which run (`run` is "" before it has begun), what held before it and what holds now.

    `obeyed` tells whether the run confirmed it; `ended` whether the run ended before it did.
    """

    order: OrderKind
    by: str
    run: str
    lock: LockInfo
    before: Orders
    now: Orders
    obeyed: bool = False
    ended: bool = False

    def describe(self, next_step: str = "") -> str:
        """Lines for a person: what was done, to which run, and what can be done next, or `next_step` instead."""
        lock = self.lock
        name = f"{lock.operation} {self.run}".strip()
        at = f", at: {lock.step}" if lock.step else ""
        who = f"{name} of {lock.who} on {lock.host} (pid {lock.pid}), since {lock.since}{at}"
        lines = [f"{self._done()} {who}", self._unconfirmed(), f"Next: {next_step or self._next_step()}"]
        return "\n".join(line for line in lines if line)

    def to_dict(self) -> dict[str, Any]:
        """JSON-like data."""
        return asdict(self)

    def _done(self) -> str:
        match self.order:
            case "pause" if self.before.paused_by:
                return f"Was paused already, by {self.before.paused_by} at {self.before.paused_at}:"
            case "pause":
                return "Paused:" if self.obeyed else "Asked to pause:"
            case "resume" if not self.before.paused_by:
                return "Was not paused:"
            case "resume":
                return "Resumed:" if self.obeyed else "Asked to go on:"
            case "throttle" if self.now.rate:
                return f"Limited to {rate_words(self.now.rate)}:"
            case "throttle":
                return "No limit by an order any more:"
            case "abort":
                return "Stopped:" if self.ended else "Told to stop:"

    def _unconfirmed(self) -> str:
        if self.obeyed:
            return ""
        if self.ended:
            return "The run has ended meanwhile."
        return "It has not confirmed this yet: it obeys at its next safe place, or has lost touch with the server."

    def _next_step(self) -> str:
        match self.order:
            case "pause":
                return "rvlstate resume lets it go on; rvlstate abort stops it. It keeps the lock meanwhile."
            case "resume":
                return "rvlstate status --follow shows how far it is."
            case "throttle" if self.now.rate:
                return "rvlstate throttle off takes this away; max_docs_per_second, where it is lower, holds as well."
            case "throttle":
                return "max_docs_per_second of the project file still holds."
            case "abort" if self.ended:
                return "rvlstate status shows where things stand, and the command that goes on."
            case "abort":
                return "rvlstate status --follow shows when it has ended, and then how to go on."


def pause(client: KeysClient, project: str, identity: Identity, *, wait: float = CONFIRM_SECONDS) -> Ordered:
    """Order the run in progress to wait at its next safe place. Raises StateError when there is none."""
    return _give(client, project, "pause", identity, wait=wait)


def resume(client: KeysClient, project: str, identity: Identity, *, wait: float = CONFIRM_SECONDS) -> Ordered:
    """Order a paused run to go on. Raises StateError when no run is in progress."""
    return _give(client, project, "resume", identity, wait=wait)


def throttle(
    client: KeysClient, project: str, identity: Identity, rate: float, *, wait: float = CONFIRM_SECONDS
) -> Ordered:
    """Limit the run in progress to `rate` documents a second, 0 for no limit. Raises StateError when there is none."""
    return _give(client, project, "throttle", identity, wait=wait, rate=f"{rate:g}" if rate else "")


def abort(client: KeysClient, project: str, identity: Identity, *, wait: float = CONFIRM_SECONDS) -> Ordered:
    """Order the run in progress to stop as SIGTERM does. Raises StateError when there is none."""
    return _give(client, project, "abort", identity, wait=wait)


def read_orders(client: KeysClient, project: str, lock_id: str) -> Orders:
    """What the run that holds the lock `lock_id` was ordered; needs no more than the right to read."""
    keys = StateKeys(project)
    with keys_as_expected(f"the orders of {project}"):
        text: Any = client.get(keys.control)
    return parse_orders(text, lock_id)


def parse_orders(text: str | None, lock_id: str) -> Orders:
    """Orders from their record; none if they are for another run, or if somebody else wrote the record."""
    try:
        fields = parse_record(text)
    except (ValueError, TypeError):
        return Orders()
    if fields.get("lock_id") != lock_id:
        return Orders()
    return Orders(
        lock_id=lock_id,
        paused_at=iso_utc(_number(fields.get("paused_at"))),
        rate=_rate(fields.get("rate")),
        number=_number(fields.get("number")),
        obeyed=_number(fields.get("obeyed")),
        **{
            name: presentable(fields.get(name, ""))
            for name in ("paused_by", "rate_by", "abort_by", "last", "last_order", "last_by")
        },
    )


def rate_words(rate: float) -> str:
    """`500 documents a second`."""
    return f"{rate:,.10g} document{'' if rate == 1 else 's'} a second"


def _give(
    client: KeysClient, project: str, order: OrderKind, identity: Identity, *, wait: float, rate: str = ""
) -> Ordered:
    keys, by = StateKeys(project), f"{identity.who}@{identity.host}"
    running = next((run.id for run in Journal(client, project).list_runs(5) if run.result == "running"), "")
    with keys_as_expected(f"the orders of {project}"):
        status, *reply = run_script(
            client,
            "order",
            [keys.control, keys.lock, keys.events],
            *(order, by, rate, ORDERS_KEPT_SECONDS * 1000, running, EVENTS_KEPT),
            *(f",{','.join(DEAF)},", uuid.uuid4().hex),
        )
    if status == "none":
        raise _nobody(project, order)
    lock = parse_lock(reply[1], reply[0])
    if status == "deaf":
        raise _deaf(lock, order)
    before, now = (parse_orders(text, lock.id) for text in reply[2:4])
    given = Ordered(order=order, by=by, run=running, lock=lock, before=before, now=now)
    return _confirmed(client, keys, given, wait)


def _confirmed(client: KeysClient, keys: StateKeys, given: Ordered, wait: float) -> Ordered:
    """The order with what became of it; one to stop counts as obeyed once the run has ended."""
    ended, obeyed = False, False
    for _ in _looks(wait):
        lock: Any = client.get(keys.lock)
        ended = not lock or parse_lock(lock, -1).id != given.lock.id
        obeyed = not ended and read_orders(client, keys.project, given.lock.id).obeyed >= given.now.number
        if ended or (obeyed and given.order != "abort"):
            break
    return Ordered(
        order=given.order,
        by=given.by,
        run=given.run,
        lock=given.lock,
        before=given.before,
        now=given.now,
        obeyed=obeyed or (ended and given.order in ENDS_WELL),
        ended=ended,
    )


def _looks(wait: float, clock: Callable[[], float] = time.monotonic) -> Any:
    """Once, and then again and again for `wait` seconds."""
    until = clock() + wait
    yield
    while clock() < until:
        time.sleep(LOOK_AGAIN_SECONDS)
        yield


def _nobody(project: str, order: OrderKind) -> StateError:
    return StateError(
        f"there is no run in progress to {order}",
        where=project,
        why="Nobody holds the lock of this project; nothing was left behind for a later run.",
        next_step="rvlstate status shows where it stands; rvlstate apply goes on with a run that was interrupted.",
    )


def _deaf(lock: LockInfo, order: OrderKind) -> StateError:
    return StateError(
        f"{lock.operation} takes no orders to {order}",
        why=f"{lock.describe()}\nIt goes through no documents and ends within moments.",
        next_step="wait for it.",
    )


def _rate(text: str | None) -> float:
    try:
        rate = float(text or 0)
    except ValueError:
        return 0.0
    return rate if 0 < rate < float("inf") else 0.0


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() else 0
