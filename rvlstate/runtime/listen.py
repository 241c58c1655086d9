"""The listener: a thread of a run that reads the orders given to it, and has the run hold, go on, slow down or stop."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from rvlstate.errors import StateError
from rvlstate.events import OnEvent, OrderReceived
from rvlstate.runtime.control import ORDERS_KEPT_SECONDS, Orders, rate_words, read_orders
from rvlstate.runtime.lease import Lease
from rvlstate.runtime.scripts import KeysClient, run_script
from rvlstate.runtime.state_keys import StateKeys
from rvlstate.runtime.stop import StopRequest

if TYPE_CHECKING:
    from typing_extensions import Self  # in the standard library from 3.11 on

LOOK_SECONDS = 0.5
"""Between two looks at the orders: with the longest batch this stays below the promised 2 s."""

RENEW_SECONDS = ORDERS_KEPT_SECONDS / 6
JOIN_SECONDS = 5.0
"""How long the end of a run waits for a look that is stuck in a call to a dead server; the thread is a daemon."""


class Listener:
    """Obeys the orders to the run that holds a lease; a context manager that removes them when the run ends.

    A server that does not answer changes nothing; a lease that is lost lets a run that is held go on, so that it
    notices.
    """

    def __init__(self, client: KeysClient, project: str, *, lease: Lease, stop: StopRequest, on_event: OnEvent) -> None:
        self._client = client
        self._keys = StateKeys(project)
        self._lease = lease
        self._stop = stop
        self._on_event = on_event
        self._orders = Orders()
        self._renewed = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._listen, name=f"rvlstate-orders-{project}", daemon=True)

    @property
    def rate(self) -> float:
        """The documents a second that an order allows, 0 for no limit."""
        return self._orders.rate

    @property
    def rate_by(self) -> str:
        """Who gave that order."""
        return self._orders.rate_by

    def __enter__(self) -> Self:
        self._look()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join(timeout=JOIN_SECONDS)
        self._stop.let_go()
        if self._orders.last:
            with suppress(RedisError):  # they expire
                run_script(self._client, "obey", [self._keys.control], self._lease.id, "", 0)

    def _listen(self) -> None:
        while not self._ended.wait(LOOK_SECONDS):
            self._look()

    def _look(self) -> None:
        if not self._lease.held:
            self._stop.let_go()  # whoever waits goes on, and finds the lease lost before the next write
            return
        with suppress(RedisError, StateError):  # the orders that are known go on to hold
            orders = read_orders(self._client, self._keys.project, self._lease.id)
            if orders.last and orders.last != self._orders.last:
                self._obey(orders)
            elif orders.last and (orders.obeyed != orders.number or self._is_old()):
                self._confirm(orders)

    def _obey(self, orders: Orders) -> None:
        self._orders = orders
        if orders.paused_by:
            self._stop.hold(orders.paused_by)
        else:
            self._stop.let_go()
        if orders.abort_by:
            self._stop.ask(f"the order of {orders.abort_by} (rvlstate abort)")
        self._on_event(OrderReceived(order=orders.last_order, by=orders.last_by, text=_words(orders)))
        self._confirm(orders)

    def _is_old(self) -> bool:
        return time.monotonic() - self._renewed > RENEW_SECONDS

    def _confirm(self, orders: Orders) -> None:
        self._renewed = time.monotonic()
        arguments = (self._lease.id, orders.number, ORDERS_KEPT_SECONDS * 1000)
        run_script(self._client, "obey", [self._keys.control], *arguments)


def _words(orders: Orders) -> str:
    """What the last order means now, for a line of the log."""
    if orders.abort_by:
        return f"told to stop by {orders.abort_by}"
    if orders.last_order == "throttle" and orders.rate:
        return f"limited to {rate_words(orders.rate)} by {orders.last_by}"
    if orders.last_order == "throttle":
        return f"limit taken away by {orders.last_by}"
    return f"paused by {orders.paused_by}" if orders.paused_by else f"resumed by {orders.last_by}"
