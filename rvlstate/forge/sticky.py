"""One comment for each project and environment: found by its marker, replaced by the next plan, never appended to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from rvlstate.forge.body import is_marked, normalised
from rvlstate.forge.client import Client, Issue, Remark
from rvlstate.forge.failure import ForgeFailure
from rvlstate.forge.patience import Patience

Placing: TypeAlias = Literal["created", "updated", "unchanged", "absent"]
UNKNOWN = frozenset({400, 403, 404})
"""Answers to "who am I" of a forge that does not tell this kind of token."""

GONE = frozenset({404, 410})
"""Answers about a comment that somebody has deleted, or that this token may not change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """What became of the comment: its address ("" if there is none), and what a person should know besides."""

    action: Placing
    url: str = ""
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sticky:
    """The comment with a marker on one pull request. `user` is whom the token acts for, "" to ask the forge."""

    client: Client
    patience: Patience
    mark: str
    user: str = ""

    def place(self, body: str, *, create: bool) -> Placed:
        """Have the comment say `body`; one that is missing is written only if `create`. Raises ForgeFailure."""
        mine, others = self._sort(self.patience.run(self.client.remarks))
        notices = tuple(
            f"a comment of somebody else has our marker and was left alone: {remark.url or remark.id}"
            for remark in others
        )
        if not mine:
            made = self._create(body) if create else None
            return Placed(action="created" if made else "absent", url=made.url if made else "", notices=notices)
        first, *rest = mine
        notices += self._remove(rest)
        if normalised(first.body) == normalised(body):
            return Placed(action="unchanged", url=first.url, notices=notices)
        if self._update(first, body):
            return Placed(action="updated", url=first.url, notices=notices)
        made = self._create(body) if create else None
        return Placed(action="created" if made else "absent", url=made.url if made else "", notices=notices)

    def _sort(self, remarks: list[Remark]) -> tuple[list[Remark], list[Remark]]:
        """The comments with our marker: those by ourselves, oldest first, and those by others."""
        marked = sorted((item for item in remarks if is_marked(item.body, self.mark)), key=lambda item: item.id)
        if not marked:
            return [], []
        me = self.user or who_am_i(self.client, self.patience)
        mine = [remark for remark in marked if is_by(remark, me)]
        return mine, [remark for remark in marked if remark not in mine]

    def _create(self, body: str) -> Remark:
        """Write the comment; after a connection that was lost, first see whether it was written all the same."""
        return self.patience.create(self._first_of_ours, lambda: self.client.create(body))

    def _first_of_ours(self) -> Remark | None:
        return next(iter(self._sort(self.client.remarks())[0]), None)

    def _update(self, remark: Remark, body: str) -> bool:
        """Replace a comment's text; False if somebody deleted it since it was read."""
        try:
            self.patience.run(lambda: self.client.update(remark, body))
        except ForgeFailure as failure:
            if failure.status in GONE and not self._is_there(remark):
                return False
            raise
        return True

    def _is_there(self, remark: Remark) -> bool:
        return any(found.id == remark.id for found in self.patience.run(self.client.remarks))

    def _remove(self, doubles: list[Remark]) -> tuple[str, ...]:
        """Remove further comments of our own, which two jobs at once may have made."""
        return tuple(told for told in map(self._remove_one, doubles) if told)

    def _remove_one(self, double: Remark) -> str:
        try:
            self.patience.run(lambda: self.client.delete(double))
        except ForgeFailure as failure:
            if failure.status in GONE and not self._is_there(double):
                return ""
            return f"a second comment of our own stays: {double.url or double.id}. {failure.describe()}"
        return ""


def who_am_i(client: Client, patience: Patience) -> str:
    """Whom the token acts for, "" where the forge does not tell this kind of token."""
    try:
        return patience.run(client.me)
    except ForgeFailure as failure:
        if failure.status in UNKNOWN and not failure.rate_limited:
            return ""
        raise


def is_by(written: Remark | Issue, me: str) -> bool:
    """Whether we wrote it. Where the forge does not say who we are, an app did: no person can write as one."""
    if not me:
        return written.bot
    return written.author == me or (written.bot and written.author == f"{me}[bot]")
