"""What a flow may ask of the world, and the small building blocks of flows. A flow does no I/O itself.

A flow is a generator: it yields an effect and is sent the answer; `CommandRefusedError` is thrown in for a refusal.
Any flow may be abandoned at any yield and started again: it looks at what is, and does only what is missing.

| effect  | answer                                                              |
|---------|---------------------------------------------------------------------|
| Look    | LiveIndex that answers to the name (itself or by alias), or None     |
| Gauge   | Memory: what the server uses and may use                            |
| Lag     | tuple of Behind: the replicas that have not built an index yet       |
| Batch   | list of replies, one for each command, sent in one round trip        |
| Pause   | None, after some seconds                                             |
| Report  | None; progress for whoever watches                                   |
| Sweep   | Tally: one pass over all documents of a rewrite                      |
| Tidy    | None; what a rewrite kept beside the documents is gone               |
| Probe   | Findings of a check on one index                                     |
| Recall  | Findings that were kept when that index was still there, or None     |
| Restore | Restored: original values put back from a backup                     |
| RunHook | HookEnded: a command of the user's, run to its end                   |
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from rvlstate.model.catalog import LiveIndex
from rvlstate.model.check import Check
from rvlstate.model.definition import IndexDefinition
from rvlstate.model.rewrite import Rewrite
from rvlstate.plan.replicas import Lag


@dataclass(frozen=True, slots=True)
class Look:
    """Ask for the index that answers to a name."""

    name: str


@dataclass(frozen=True, slots=True)
class Gauge:
    """Ask for the memory of the server (of its fullest node, on a cluster)."""


@dataclass(frozen=True, slots=True)
class Memory:
    """The answer to Gauge, in bytes; `limit` 0 means none."""

    used: int
    limit: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Send commands in one round trip."""

    commands: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Report:
    """Tell how far a step is: `done` of `total` (0: unknown), a note, figures; `left`: seconds that it still waits."""

    note: str
    done: int = 0
    total: int = 0
    figures: dict[str, float] = field(default_factory=dict)
    left: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How documents are gone through: documents a batch, documents a second at most (0: no limit)."""

    batch_size: int = 500
    max_docs_per_second: int = 0


FULL_SPEED = Pace()
"""No limit but what the server bears."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BadRow:
    """A document that cannot be transformed, and why; `detail` holds the traceback of the user's own code."""

    key: str
    field: str
    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What one pass over the documents found and did; all are counts of documents, but for bytes and seconds.

    `written` were brought into the desired layout (staging: a copy of them), `done` were in it already, `moved_on`
    changed between reading and writing (the next pass sees them), `gone` vanished meanwhile, `foreign` are keys of
    another type under the prefix, `excluded` are left out by the index's filter, `bad` cannot be transformed, and
    `bad_rows` are the first of them. `promoted` are staged copies that took the place of their document, `dropped` are
    copies that went since their document is gone or newer; `hints` are the notifications that came since the pass
    before, and `unhinted` those `written` that none of them had named. `ambiguous` hold two values of a renamed field.
    """

    seen: int = 0
    written: int = 0
    done: int = 0
    moved_on: int = 0
    gone: int = 0
    foreign: int = 0
    excluded: int = 0
    bad: int = 0
    promoted: int = 0
    dropped: int = 0
    hints: int = 0
    unhinted: int = 0
    ambiguous: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    saturated: int = 0
    seconds: float = 0.0
    bad_rows: tuple[BadRow, ...] = ()

    @property
    def unsettled(self) -> int:
        """How many documents a further pass may have to look at again."""
        return self.written + self.moved_on + self.promoted


Mode: TypeAlias = Literal["rehearse", "write", "stage", "promote", "retire", "unstage"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """Go once over all documents of a rewrite.

    `mode`: "rehearse" reads and transforms and writes nothing (the user's own code on `user_rows` documents only),
    "write" brings each document into the desired layout where it is. Of a staged rewrite, "stage" makes a copy in the
    desired layout of each document that is not in it, "promote" has the copies take the place of their documents and
    brings what was written since into the desired layout where it is, "retire" removes documents whose copies under a
    new prefix have replaced them, and "unstage" removes the copies that are still as they were made. `hinted`: only
    what notifications named since the last pass, where the server sends any. `resume` begins where an interrupted pass
    stopped, if that place can still be found. `members` is an index that tells which documents the index's filter lets
    in, "" for all. `backup` is the folder that gets the original values first, "" for none. `aside`: it tells nothing.
    """

    rewrite: Rewrite
    mode: Mode
    pace: Pace = FULL_SPEED
    members: str = ""
    backup: str = ""
    resume: bool = False
    hinted: bool = False
    max_bad_rows: int = 0
    user_rows: int = 100
    aside: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tidy:
    """Remove what a rewrite kept beside the documents, staged copies included, and about its progress."""

    rewrite: Rewrite


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """A sampled document and what is nearest to its own vector, nearest first, each key with its distance.

    `answers` are what the index gives for k, `reference` is a longer list: of the true neighbours where
    `Findings.exact` says so, else of what the index gives for more than k. `digest` is of the vector that was asked
    for; `sketch` (hex) has a bit a component, whether it is above the mean: a change of datatype leaves most of them.
    """

    key: str
    digest: str
    sketch: str
    answers: tuple[tuple[str, float], ...] = ()
    reference: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a check found on one index: how many documents a query counts, or the neighbours of sampled documents.

    `documents` is how many the index held then. `space` tells how vectors are compared, ending in the metric, and
    `scope` which documents are. `gone` are those neighbours of `Probe.like` that are gone. `note`: why nothing was.
    """

    count: int = 0
    documents: int = 0
    samples: tuple[Sampled, ...] = ()
    exact: bool = False
    space: str = ""
    scope: str = ""
    gone: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """Carry out a check on one index, for the documents of `like` if given, else for a sample of its own.

    `remember` names where the findings are kept for when the index is gone (see `Recall`), "" for nowhere. `stage` is
    the prefix of staged copies in that index: findings tell of them by the keys of their documents.
    """

    check: Check
    index: str
    definition: IndexDefinition
    like: Findings | None = None
    remember: str = ""
    stage: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recall:
    """Ask for the findings that were kept under a name: `BASELINE/CHECK`; all of a baseline are forgotten together."""

    remembered: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What putting original values back found and did; counts of documents, but for rows and seconds.

    `restored` hold again what was there before, `as_before` did so already, `newer` were written since by somebody else
    and are left alone (`newer_keys` are the first of them), `gone` exist no more. `rows` were read, `damaged` not.
    """

    rows: int = 0
    restored: int = 0
    as_before: int = 0
    newer: int = 0
    gone: int = 0
    damaged: int = 0
    seconds: float = 0.0
    newer_keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Restore:
    """Put the original values in the folder `backup` (that of this very rewrite) back into the documents."""

    rewrite: Rewrite
    backup: str
    pace: Pace = FULL_SPEED


@dataclass(frozen=True, slots=True, kw_only=True)
class HookEnded:
    """How a command of the user's ended: its exit code (negative: the signal), its last lines, and how long it took.

    `problem` says why it could not be run at all, "" where it was.
    """

    code: int = 0
    lines: tuple[str, ...] = ()
    seconds: float = 0.0
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHook:
    """Run a command of the user's in the folder of the project; its output is told line by line.

    `before` and `after` are the indexes that the name `index` leads to before and after its cutover, "" for none.
    """

    index: str
    hook: Literal["before_cutover", "after_cutover"]
    argv: tuple[str, ...]
    before: str = ""
    after: str = ""


Effect: TypeAlias = Look | Gauge | Batch | Pause | Report | Sweep | Tidy | Probe | Recall | Restore | RunHook | Lag
Flow: TypeAlias = Generator[Effect, Any, None]
Asking: TypeAlias = Generator[Effect, Any, Any]


def look(name: str) -> Generator[Effect, Any, LiveIndex | None]:
    """The index that answers to `name`, or None."""
    answer: LiveIndex | None = yield Look(name)
    return answer


def send(*command: str) -> Generator[Effect, Any, Any]:
    """The reply to one command."""
    replies: list[Any] = yield Batch((command,))
    return replies[0]
