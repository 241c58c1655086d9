"""Steering: what a command wants of the planner, said by the declared set that it is given; and where it is refused.

| command                  | the declared set, with                              |
|--------------------------|-----------------------------------------------------|
| apply                    | nothing changed                                     |
| apply --postpone-cutover | `cutover: manual` for every index                   |
| cutover NAME             | `cutover: auto` for this index; nothing else is done |
| complete NAME            | `retain_old: 0s`; nothing else is done               |
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from rvlstate.errors import ChangeRefusedError, UsageError
from rvlstate.model.canonical import canonicalise
from rvlstate.model.desired import Desired
from rvlstate.model.rewrite import Rewrite
from rvlstate.model.state import State
from rvlstate.plan.build import build_plan
from rvlstate.plan.operations import GiveUpRewrite
from rvlstate.plan.phases import lost_words, present
from rvlstate.plan.plan import Basis, Plan, Step
from rvlstate.plan.situation import World

Command = Literal["apply", "cutover", "complete"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """What a command is for: the declared set as the planner is to see it, and the one index that it is about.

    `name` is "" for whatever the set and the targets say. `basis`: the set is that of the schema files, or what was
    last applied.
    """

    command: Command = "apply"
    desired: Desired
    name: str = ""
    basis: Basis = "declared"

    def plan(
        self,
        world: World,
        targets: tuple[str, ...] = (),
        *,
        begun: bool = False,
        created_at: str = "",
        version: str = "",
    ) -> Plan:
        """The plan of this moment. Raises what `build_plan` does, and ChangeRefusedError where it makes no sense."""
        if not self.name:
            plan = build_plan(self.desired, world, targets=targets, begun=begun, created_at=created_at, version=version)
            return replace(plan, basis=self.basis)
        rewrite = _begun(self, world)
        _refuse_wrong_phase(self.command, rewrite)
        whole = build_plan(self.desired, world, targets=(self.name,), created_at=created_at, version=version)
        plan = _alone(whole, self.name)
        if any(_gives_up(step) for step in plan.steps):
            raise _declared_otherwise(self.command, rewrite)
        return plan

    def holding(self, names: frozenset[str]) -> Errand:
        """The same where these indexes were left in front of their cutover, whatever is declared by now."""
        return replace(self, desired=_with_cutover("manual", self.desired, names))

    def left(self, world: World, targets: tuple[str, ...] = ()) -> Plan:
        """What is still to be done once it was carried out, as `plan` would say without refusing anything."""
        if not self.name:
            return build_plan(self.desired, world, targets=targets, begun=True)
        return _alone(build_plan(self.desired, world, targets=(self.name,)), self.name)


def _gives_up(step: Step) -> bool:
    """Whether a step ends a change that did not come to its end; one that did is only tidied up."""
    return isinstance(step.operation, GiveUpRewrite) and not step.operation.rewrite.settled


def applying(desired: Desired, *, postpone: bool = False) -> Errand:
    """What is declared is to be so; `postpone`: every new index waits for its cutover."""
    if not postpone:
        return Errand(desired=desired)
    return Errand(desired=_with_cutover("manual", desired, frozenset(wanted.name for wanted in desired.indexes)))


def cutting_over(desired: Desired, name: str) -> Errand:
    """The name is to be led to the new index that is ready for it."""
    return Errand(command="cutover", desired=_with_cutover("auto", desired, frozenset({name})), name=name)


def completing(desired: Desired, name: str) -> Errand:
    """The old index is to be given up, and the change brought to its end."""
    return Errand(
        command="complete", desired=replace(desired, policy=replace(desired.policy, retain_old=0.0)), name=name
    )


def _with_cutover(cutover: Literal["auto", "manual"], desired: Desired, names: frozenset[str]) -> Desired:
    indexes = tuple(replace(wanted, cutover=cutover) if wanted.name in names else wanted for wanted in desired.indexes)
    return replace(desired, indexes=indexes)


def require_managed(name: str, state: State) -> None:
    """Raise UsageError for a name that the state does not know."""
    known = sorted({*(record.name for record in state.records), *(rewrite.name for rewrite in state.rewrites)})
    if name not in known:
        raise UsageError(
            f"{name} is not managed by this project",
            next_step=f"choose from: {', '.join(known) or 'nothing is managed yet'}",
        )


def _begun(errand: Errand, world: World) -> Rewrite:
    """The change that is under way, as it is declared still. Raises UsageError, ChangeRefusedError."""
    name, begun = errand.name, world.state.rewrite(errand.name)
    require_managed(name, world.state)
    if begun is None:
        raise _refused(errand.command, name, _standing(name, world), "rvlstate plan shows what would be done.")
    if not begun.phased:
        raise _refused(
            errand.command,
            name,
            f"its documents are being changed by strategy {begun.strategy}, which has no phases to step through",
            "rvlstate apply goes on with it.",
        )
    wanted, rewrite = errand.desired.index(name), present(begun, world)
    if wanted is None:
        raise _refused(
            errand.command,
            name,
            "no schema declares it any more, so nobody can tell whether the change that was begun is still wanted",
            f"restore its schema file, or take the change back with rvlstate rollback {name}.",
        )
    if rewrite.is_lost:
        raise _refused(errand.command, name, lost_words(rewrite), "rvlstate status says how it stands.")
    if canonicalise(wanted.definition) != rewrite.after:
        raise _declared_otherwise(errand.command, rewrite)
    return rewrite


def _standing(name: str, world: World) -> str:
    answers = world.catalog.resolve(name)
    return f"no change of it is under way; {name} answers from {answers}" if answers else "nothing answers to its name"


def _refuse_wrong_phase(command: Command, rewrite: Rewrite) -> None:
    name, first = rewrite.name, rewrite.serves_first
    match command, rewrite.phase:
        case "cutover", "staging":
            raise _refused(command, name, f"{first} is not ready for it yet", "rvlstate apply builds and verifies it.")
        case "cutover", "serving" | "promoting":
            steps = f"rvlstate complete {name} brings the change to its end"
            back = "" if rewrite.phase == "promoting" else f", rvlstate rollback {name} takes it back"
            raise _refused(command, name, f"it was made already: {name} answers from {first}", f"{steps}{back}.")
        case "complete", "staging":
            raise _refused(
                command, name, f"{first} is not ready, and nothing is cut over yet", "rvlstate apply goes on with it."
            )
        case "complete", "ready":
            raise _refused(
                command, name, f"{first} is ready, and nothing is cut over yet", f"first rvlstate cutover {name}."
            )


def _declared_otherwise(command: Command, rewrite: Rewrite) -> ChangeRefusedError:
    name = rewrite.name
    return _refused(
        command,
        name,
        "another change is declared now than the one that was begun",
        f"declare that one again, or take it back with rvlstate rollback {name} and apply what is declared.",
    )


def _refused(command: Command, name: str, reason: str, next_step: str) -> ChangeRefusedError:
    what = {"cutover": "there is no cutover to be made", "complete": "there is nothing to complete", "apply": ""}
    return ChangeRefusedError((f"{name}: {reason}.",), what=what[command], next_step=next_step)


def _alone(plan: Plan, name: str) -> Plan:
    """A plan for one index: what it depends on is left as it is."""
    steps = tuple(step for step in plan.steps if step.index == name)
    ids = {step.id for step in steps}
    return replace(
        plan,
        indexes=tuple(index for index in plan.indexes if index.name == name),
        steps=tuple(replace(step, needs=tuple(needed for needed in step.needs if needed in ids)) for step in steps),
    )
