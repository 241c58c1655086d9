"""The exception tree, drawn; each error says what, where, why and what to do next, and carries its exit code.

RvlstateError                     1   anything that rvlstate raises on purpose
+-- UsageError                   64   the command line is wrong
+-- SpecError                     1   a file of the project is wrong (file, line, key)
|   +-- NoSchemasError            1   the project declares no index at all
|   +-- NotYetError               3   valid, but carried out by a later version
+-- ServerError                   1   the server cannot be used
|   +-- ServerUnreachableError    1   no connection, or LOADING
|   +-- CapabilityMissingError    3   the server lacks something that the project needs
|   +-- PermissionMissingError    3   the user of the connection may not run a command
|   +-- ReplyNotUnderstoodError   1   a reply that this version cannot read
|   +-- CommandRefusedError       1   the server refused a command that the plan needs
|   +-- EmbeddedServerError       1   the embedded server cannot be started or stopped
+-- StateError                    1   the recorded state is missing, damaged or newer
+-- PlanError                     1   no plan can be made or used
|   +-- DependencyCycleError      1   depends_on or names go round in a circle
|   +-- PlanStaleError            3   the world moved since the plan was made
|   +-- PlanDiffersError          3   a plan that is not what its inputs lead to
|   +-- PlanFileError             1   a plan file that cannot be read
|   +-- HazardsNotAllowedError    3   the plan has consequences that nobody has agreed to
|   +-- ChangeRefusedError        3   a change that cannot or must not be made
|   +-- PlannerBugError           1   the plan would not lead to the declared set: a bug of ours
+-- LockHeldError                 4   another apply holds the lock
+-- LockLostError                 1   the lease went to somebody else; nothing was written after that
+-- StepFailedError               1   a step failed; what was done stays done
+-- GateFailedError               3   a check in front of a cutover failed; the old index serves
+-- InterruptedRunError           1   stopped on request between two steps
+-- ForgeError                    1   GitHub or GitLab cannot be reached, does not know the token, or refused
"""

from __future__ import annotations

from typing import ClassVar


class RvlstateError(Exception):
    """Anything that rvlstate raises on purpose: one sentence what, then why, then what to do next."""

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, where: str = "", why: str = "", next_step: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.why = why
        self.next_step = next_step

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        lines = [head, *(f"  {line}" for line in self.why.splitlines())]
        if self.next_step:
            lines.append(f"  Next: {self.next_step}")
        return "\n".join(lines)


class UsageError(RvlstateError):
    """The command line asks for something that does not exist."""

    exit_code = 64


class SpecError(RvlstateError):
    """A file of the project is wrong; `file`, `line` (1-based, 0 if unknown) and `key` say where."""

    def __init__(
        self, what: str, *, file: str, line: int = 0, key: str = "", why: str = "", next_step: str = ""
    ) -> None:
        self.file = file
        self.line = line
        self.key = key
        super().__init__(what, where=f"{file}:{line}" if line else file, why=why, next_step=next_step)


class NoSchemasError(SpecError):
    """The project declares no index at all, or a pattern matches no file; never taken for "delete everything"."""


class NotYetError(SpecError):
    """A valid key or change whose feature comes with a later version; refused rather than ignored."""

    exit_code = 3


class ServerError(RvlstateError):
    """The server cannot be used as it is."""


class ServerUnreachableError(ServerError):
    """No connection could be made, it was lost, or the server is still loading its data."""


class CapabilityMissingError(ServerError):
    """The server lacks a capability that the declared set needs."""

    exit_code = 3


class PermissionMissingError(ServerError):
    """The user may not run `commands`, or not reach `keys` (patterns); found before anything was written."""

    exit_code = 3

    def __init__(
        self, user: str, commands: tuple[str, ...], *, keys: tuple[str, ...] = (), next_step: str = ""
    ) -> None:
        self.user = user
        self.commands = commands
        self.keys = keys
        rules = (*(f"+{command.lower()}" for command in commands), *(f"~{key}" for key in keys))
        denied = [f"may not run {', '.join(commands)}"] if commands else []
        denied += [f"may not reach the keys {' '.join(keys)}"] if keys else []
        super().__init__(
            f'user "{user}" {" and ".join(denied)}',
            why="That is needed here; nothing was written. rvlstate acl prints all rights that a user needs.",
            next_step=next_step or f"ask for: ACL SETUSER {user} {' '.join(rules)}",
        )


class ReplyNotUnderstoodError(ServerError):
    """A reply about `subject` that this version cannot read; never skipped, since that would lose an attribute."""

    def __init__(self, subject: str, what: str, reply: object) -> None:
        self.subject = subject
        self.reply = reply
        super().__init__(
            f"{subject}: {what}",
            why=f"The server replied: {repr(reply)[:400]}",
            next_step="report this reply; rvlstate does not guess, because a guess would be written back.",
        )


class CommandRefusedError(ServerError):
    """The server refused `command`; `reply` is its own text."""

    def __init__(self, command: str, reply: str) -> None:
        self.command = command
        self.reply = reply
        super().__init__(f"the server refused {command}", why=f"It replied: {reply}")


class EmbeddedServerError(ServerError):
    """The embedded server of a project cannot be started, reached or stopped."""


class StateError(RvlstateError):
    """The recorded state is missing where it should be, damaged, or written by a newer version."""


class PlanError(RvlstateError):
    """No plan can be made or used."""


class DependencyCycleError(PlanError):
    """`depends_on` or names go round in a circle; `cycle` lists the names in order, first repeated last."""

    def __init__(self, cycle: tuple[str, ...]) -> None:
        self.cycle = cycle
        super().__init__(
            f"the declared indexes depend on each other in a circle: {' -> '.join(cycle)}",
            next_step="remove one of these depends_on entries.",
        )


class PlanStaleError(PlanError):
    """The world moved since the plan was made; `differences` says what, one sentence each."""

    exit_code = 3

    def __init__(self, differences: tuple[str, ...], *, next_step: str = "make a new plan and review it.") -> None:
        self.differences = differences
        super().__init__("the plan is stale", why="\n".join(differences), next_step=next_step)


class PlanDiffersError(PlanError):
    """A plan that was given is not what planning again leads to; `difference` is the first thing in which it differs.

    `made_by` and `version` are the versions of rvlstate that made it, and that plans again.
    """

    exit_code = 3

    def __init__(self, difference: str, *, made_by: str = "", version: str = "") -> None:
        self.difference = difference
        other = made_by and version and made_by != version
        maker = f", or rvlstate {made_by} made it, which plans otherwise than {version}" if other else ""
        super().__init__(
            "the plan is not what is planned again from the same schema files, state and server",
            why=f"{difference}\nIt was changed by hand after it was made{maker}. Nothing was written.",
            next_step="plan again and review that: rvlstate plan --out FILE",
        )


class PlanFileError(PlanError):
    """A plan file that cannot be read, or that was changed after it was written."""


REVIEWED = "   (or apply a plan file that was reviewed)"


class HazardsNotAllowedError(PlanError):
    """The plan has consequences that nobody has agreed to; `codes` are their hazard codes, `command` what to repeat."""

    exit_code = 3

    def __init__(self, codes: tuple[str, ...], lines: tuple[str, ...], *, command: str = "apply") -> None:
        self.codes = codes
        flags = " ".join(f"--allow {code}" for code in codes)
        super().__init__(
            f"the plan has consequences that were not allowed: {', '.join(codes)}",
            why="\n".join(lines),
            next_step=f"rvlstate {command} {flags}{REVIEWED if command == 'apply' else ''}",
        )


class ChangeRefusedError(PlanError):
    """The plan holds a change that cannot or must not be made; `reasons` has one sentence for each."""

    exit_code = 3

    def __init__(
        self, reasons: tuple[str, ...], *, next_step: str = "", what: str = "the plan cannot be carried out"
    ) -> None:
        self.reasons = reasons
        super().__init__(what, why="\n".join(reasons), next_step=next_step)


class PlannerBugError(PlanError):
    """The plan would not lead to the declared set; found before anything was written."""


class LockHeldError(RvlstateError):
    """Another apply holds the lock; `holder` describes it."""

    exit_code = 4

    def __init__(self, holder: str, lock_id: str, *, next_step: str) -> None:
        self.holder = holder
        self.lock_id = lock_id
        super().__init__("the state is locked", why=holder, next_step=next_step)


class LockLostError(RvlstateError):
    """The lease went to somebody else, or was taken away; nothing was written after that."""


class StepFailedError(RvlstateError):
    """Step `step` failed; what was done before stays done, and running again goes on from there.

    `position` is "3 of 7" once it is known which steps were finished.
    """

    def __init__(self, step: str, *, why: str, next_step: str, position: str = "") -> None:
        self.step = step
        self.position = position
        at = f"step {position}" if position else "a step"
        super().__init__(f"{at} failed: {step}", why=why, next_step=next_step)


class GateFailedError(RvlstateError):
    """A check in front of a cutover failed; the new index was removed and the old one still serves.

    `failed_checks` counts those of the project's own checks that failed, 0 where it was another gate.
    """

    exit_code = 3

    def __init__(self, what: str, *, why: str = "", next_step: str = "", failed_checks: int = 0) -> None:
        super().__init__(what, why=why, next_step=next_step)
        self.failed_checks = failed_checks


class InterruptedRunError(RvlstateError):
    """Stopped on request (SIGINT, SIGTERM) between two steps; the lock is released, running again goes on."""


class ForgeError(RvlstateError):
    """GitHub or GitLab cannot be reached, does not know the token or the pull request, or refused what was asked."""
