"""Trying again: what passes by itself with pauses that grow, and a rate limit for as long as the forge asks."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from rvlstate.forge.failure import ForgeFailure

T = TypeVar("T")
ATTEMPTS = 5
UNSAID_WAIT = 60.0
"""Seconds after a rate limit that says nothing, as GitHub's pages ask for."""


def ignore(text: str) -> None:
    """Tell nobody."""


@dataclass(slots=True, kw_only=True)
class Patience:
    """How often and how long to try; `longest_wait` is for all waits together that the forge asks for, in seconds.

    `tell` is told of every wait that a person would notice; `sleep` and `now` are the clock.
    """

    name: str = "the forge"
    longest_wait: float = 120.0
    pause: float = 1.0
    longest_pause: float = 10.0
    attempts: int = ATTEMPTS
    tell: Callable[[str], None] = ignore
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], float] = time.time
    waited: float = field(default=0.0, init=False)

    def run(self, call: Callable[[], T]) -> T:
        """What `call` returns. Raises the last ForgeFailure: one that does not pass, or that asks for too long a wait.

        `call` is run again from its beginning; it has to look first if it must not do a thing twice.
        """
        trying = Retrying(
            stop=stop_after_attempt(self.attempts),
            wait=self._wait,
            retry=retry_if_exception(self._is_worth_it),
            before_sleep=self._before_sleep,
            sleep=self.sleep,
            reraise=True,
        )
        return trying(call)

    def create(self, find: Callable[[], T | None], make: Callable[[], T]) -> T:
        """What `make` makes, once: after a connection that was lost, `find` tells whether it was made all the same.

        Raises ForgeFailure as `run` does.
        """
        again = False

        def attempt() -> T:
            nonlocal again
            made = find() if again else None
            again = True
            return make() if made is None else made

        return self.run(attempt)

    def asked_wait(self, failure: ForgeFailure) -> float:
        """Seconds that the forge asks to wait: Retry-After, else until the limit is reset, else a minute.

        GitHub tells the reset of the hour's limit with every answer; it counts only where that limit is used up.
        """
        after = failure.headers.get("retry-after", "").strip()
        if after:
            return max(0.0, _seconds(after, self.now()))
        reset = _either(failure, "ratelimit-reset")
        used_up = _either(failure, "ratelimit-remaining") in ("", "0")
        return max(0.0, float(reset) - self.now() + 1) if used_up and reset.isdecimal() else UNSAID_WAIT

    def _is_worth_it(self, error: BaseException) -> bool:
        if not isinstance(error, ForgeFailure):
            return False
        if error.asks_to_wait:
            return self.waited + self.asked_wait(error) <= self.longest_wait
        return error.transient

    def _wait(self, state: RetryCallState) -> float:
        failure = _failure(state)
        jitter = wait_random_exponential(multiplier=self.pause, max=self.longest_pause)(state)
        if not failure.asks_to_wait:
            return jitter
        # Jobs that were told the same moment would all come back in it.
        return self.asked_wait(failure) + min(jitter, self.pause)

    def _before_sleep(self, state: RetryCallState) -> None:
        failure, seconds = _failure(state), state.next_action.sleep if state.next_action else 0.0
        if failure.asks_to_wait:
            self.waited += seconds
            what = "limits the rate of requests" if failure.rate_limited else "asks to come back later"
            self.tell(f"{self.name} {what}; waiting {seconds:.0f} s. {failure.describe()}")
        else:
            self.tell(f"trying again in {seconds:.1f} s: {self.name}: {failure.describe()}")


def _failure(state: RetryCallState) -> ForgeFailure:
    error = state.outcome.exception() if state.outcome else None
    if not isinstance(error, ForgeFailure):
        raise TypeError("only failures of a forge are tried again")
    return error


def _either(failure: ForgeFailure, name: str) -> str:
    """A header as GitHub or as GitLab calls it, "" if there is none."""
    return failure.headers.get(f"x-{name}") or failure.headers.get(name) or ""


def _seconds(text: str, now: float) -> float:
    """Of a Retry-After header: a number, or a date of HTTP; anything else counts as a minute."""
    if text.isdecimal():
        return float(text)
    try:
        return parsedate_to_datetime(text).timestamp() - now
    except (ValueError, OverflowError):
        return UNSAID_WAIT
