"""Telling: a message to every address that was not told the same before, with patience, and what became of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from rvlstate.forge.failure import ForgeFailure
from rvlstate.forge.patience import Patience
from rvlstate.notify.address import Address
from rvlstate.notify.memory import Memory
from rvlstate.notify.message import NONE, Message
from rvlstate.notify.web import post

TIMEOUT = 10.0
"""Seconds for each answer."""

APPRISE_SECONDS = 30.0
"""Seconds for all that goes through apprise, with what is tried again."""

PATIENCE = Patience(longest_wait=60.0, attempts=4, longest_pause=5.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """How many addresses were told, and for each that could not be, why."""

    sent: int = 0
    failures: tuple[str, ...] = ()


def prepare(addresses: Sequence[Address]) -> None:
    """Raise UsageError before anything is looked at, where a service is asked for that nobody here can speak with."""
    for address in addresses:
        if address.service == "apprise":
            from rvlstate.notify.through_apprise import check

            check(address)


def tell(
    message: Message,
    addresses: Sequence[Address],
    memory: Memory,
    *,
    patience: Patience = PATIENCE,
    timeout: float = TIMEOUT,
    apprise_seconds: float = APPRISE_SECONDS,
) -> Told:
    """Send a message to each address that is to hear it; one that fails keeps no other from it."""
    sent, failures, until = 0, [], time.monotonic() + apprise_seconds
    for address in addresses:
        if not _is_news(message, memory.last(address)):
            continue
        trying = replace(patience, name=address.label)
        try:
            trying.run(_sending(message, address, timeout, until))
        except ForgeFailure as failure:
            failures.append(f"{address.label} was not sent. {_reason(address, failure)}")
        else:
            sent += 1
            memory.note(address, message.told)
    return Told(sent=sent, failures=tuple(failures))


def _is_news(message: Message, last: str | None) -> bool:
    """Whether an address is to be told: what it knows already is none, nor that nothing is wrong if it never was."""
    return message.told != (last or NONE)


def _sending(message: Message, address: Address, timeout: float, until: float) -> Callable[[], None]:
    match address.service:
        case "slack":
            return lambda: post(address, message.slack, timeout)
        case "webhook":
            return lambda: post(address, message.data, timeout)
        case "apprise":
            from rvlstate.notify.through_apprise import send

            return lambda: send(address, message.title, message.body, until - time.monotonic())


def _reason(address: Address, failure: ForgeFailure) -> str:
    if address.service == "apprise":
        return failure.message[:1].upper() + failure.message[1:] + "."
    text = failure.describe()
    return text if text.endswith((".", "...")) else f"{text}."
