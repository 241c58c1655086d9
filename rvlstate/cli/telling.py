"""Telling of drift beside the result: notifications and the issue, with what could not be told on stderr."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rvlstate.cli.options import Globals
from rvlstate.cli.output import note
from rvlstate.errors import RvlstateError

if TYPE_CHECKING:
    from rvlstate.forge.target import ForgeName, Target
    from rvlstate.notify.address import Address
    from rvlstate.notify.memory import Memory
    from rvlstate.notify.message import Message
    from rvlstate.plan.drift import Drift
    from rvlstate.views.plan_words import Offer


def notifications(urls: tuple[str, ...]) -> tuple[Address, ...]:
    """The addresses to be told. Raises UsageError, which shows none of them."""
    if not urls:
        return ()
    from rvlstate.notify.address import addresses_of
    from rvlstate.notify.send import prepare

    found = addresses_of(urls)
    prepare(found)
    return found


def issue_target(repository: str, forge: ForgeName | None) -> Target:
    """Where the issue is kept. Raises UsageError, ForgeError."""
    from rvlstate.forge.environment import find_target
    from rvlstate.forge.target import Wishes

    return find_target(os.environ, Wishes(forge=forge, repository=repository, issues=True))


@dataclass(slots=True, kw_only=True)
class Telling:
    """Whom to tell of a look at drift; `name` is that of the project with its environment."""

    settings: Globals
    project: str
    environment: str
    offer: Offer
    addresses: tuple[Address, ...]
    target: Target | None
    file: Path | None
    name: str
    memory: Memory | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Read what was told last."""
        if self.addresses:
            from rvlstate.notify.memory import Memory

            self.memory = Memory(self.file, self.name)

    def looked(self, look: Callable[[], Drift]) -> Drift:
        """What `look` returns; where it fails, that is told, and raised again."""
        try:
            return look()
        except RvlstateError as error:
            if self.addresses:
                from rvlstate.notify.message import about_failure

                self._send(about_failure(error, self.project, self.offer, self.environment))
            raise

    @contextmanager
    def even_so(self, drift: Drift) -> Iterator[None]:
        """Tell what was found also where what else is done with it fails, such as a file on a full disk."""
        try:
            yield
        except RvlstateError:
            self.tell(drift)
            raise

    def tell(self, drift: Drift) -> bool:
        """Tell what was found; whether anybody could not be told. An apply at work is no news."""
        if drift.in_progress:
            return False
        failed = False
        if self.addresses:
            from rvlstate.notify.message import about_drift

            failed = self._send(about_drift(drift, self.offer, self.environment))
        return self._keep_issue(drift) or failed

    def _send(self, message: Message) -> bool:
        from rvlstate.notify.send import tell

        if self.memory is None:
            return False
        told = tell(message, self.addresses, self.memory)
        for warning in self.memory.warnings:
            self._warn(warning)
        self.memory.warnings.clear()
        for failure in told.failures:
            self._warn(failure)
        return bool(told.failures)

    def _keep_issue(self, drift: Drift) -> bool:
        if self.target is None:
            return False
        from rvlstate.forge.drift_issue import keep_issue
        from rvlstate.forge.patience import Patience

        patience = Patience(name=self.target.name, tell=lambda text: note(self.settings, text))
        try:
            kept = keep_issue(drift, self.offer, self.target, self.environment, patience)
        except RvlstateError as error:
            self._warn(f"the issue was not kept. {error}")
            return True
        for line in kept.describe():
            note(self.settings, line)
        return False

    def _warn(self, text: str) -> None:
        """Say that something was not told, whatever else is quiet: nobody would miss a message that never came."""
        from dataclasses import replace

        note(replace(self.settings, quiet=False), f"warning: {text}")
