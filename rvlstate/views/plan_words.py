"""The sentences below a plan that all views share: totals, what is not managed, what is held back, what to run next."""

from __future__ import annotations

import shlex
from collections import Counter
from dataclasses import dataclass

from rvlstate.model.address import REVISION
from rvlstate.plan.plan import Action, IndexPlan, Plan
from rvlstate.views.change_lines import CLASS_WORDS
from rvlstate.views.quantities import count, number
from rvlstate.views.untrusted import printable

NAMES_SHOWN = 8
RUN = "Run: "
VERBS: tuple[tuple[Action, str], ...] = (
    ("create", "to create"),
    ("update", "to update"),
    ("delete", "to delete"),
    ("adopt", "to record"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a reader may do next: how rvlstate was called, hazards that policy or flags allow, the file of the plan.

    `server` is the address as it may be shown, "" if it is not known. `postpone`: the plan leaves cutovers to later.
    """

    program: tuple[str, ...] = ("rvlstate",)
    allowed: tuple[str, ...] = ()
    plan_file: str = ""
    server: str = ""
    postpone: bool = False

    def command(self, *words: str) -> str:
        """A command line that can be pasted into a shell."""
        return shlex.join((*self.program, *words))


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A label with what it says, and the command to run."""

    label: str
    text: str = ""
    command: str = ""
    style: str = ""


def totals(plan: Plan) -> str:
    """`1 index to create, 2 to update (1 in place, 1 shadow); 14 unchanged.`."""
    waits = under_way(plan)
    counts = Counter(index.action for index in plan.indexes if not is_held_back(index) and index.name not in waits)
    parts = [f"{number(counts[action])} {verb}{_classes(plan, action)}" for action, verb in VERBS if counts[action]]
    held_back = sum(is_held_back(index) for index in plan.indexes)
    parts += [f"{number(held_back)} held back"] if held_back else []
    parts += [f"{number(len(waits))} under way"] if waits else []
    unchanged = f"{count(counts['no-op'], 'index', 'indexes')} unchanged"
    return (
        "; ".join(part for part in (", ".join(parts), unchanged if counts["no-op"] or not parts else "") if part) + "."
    )


def is_held_back(index: IndexPlan) -> bool:
    """Whether the plan has no steps for an index that needs some."""
    return bool(index.refused)


def under_way(plan: Plan) -> frozenset[str]:
    """The indexes that are being changed in phases, with nothing to be done about them now."""
    busy = {step.index for step in plan.steps}
    return frozenset(
        index.name
        for index in plan.indexes
        if index.action == "update" and not index.refused and index.name not in busy
    )


def is_settled(plan: Plan) -> bool:
    """Whether live is as declared, with nothing under way."""
    return plan.empty and not under_way(plan)


def _classes(plan: Plan, action: Action) -> str:
    if action != "update":
        return ""
    waits = under_way(plan)
    found = Counter(
        index.classification
        for index in plan.indexes
        if index.action == action and not is_held_back(index) and index.name not in waits
    )
    words = [f"{number(found[key])} {word}" for key, word in CLASS_WORDS.items() if found[key]]  # type: ignore[index]
    return f" ({', '.join(words)})" if words else ""


def not_allowed(plan: Plan, allowed: tuple[str, ...]) -> tuple[str, ...]:
    """The hazard codes of a plan that nobody has agreed to yet."""
    return tuple(sorted({hazard.code for hazard in plan.hazards} - set(allowed)))


def next_words(plan: Plan, offer: Offer) -> tuple[Words, ...]:
    """What is not managed, what is held back, what is not allowed yet, and the command to run."""
    unmanaged = [unmanaged_words(plan.unmanaged, offer)] if plan.unmanaged else []
    return (*unmanaged, *_held_back(plan), *_next(plan, offer))


def unmanaged_words(names: tuple[str, ...], offer: Offer) -> Words:
    """Indexes of others, and how to take them in; a revision cannot be named, but --all knows the alias that it has."""
    shown = ", ".join(names[:NAMES_SHOWN]) + (f" and {len(names) - NAMES_SHOWN} more" if names[NAMES_SHOWN:] else "")
    nameable = len(names) <= NAMES_SHOWN and not any(REVISION.match(name) for name in names)
    command = offer.command("import", *(names if nameable else ("--all",)))
    return Words(
        label="Not managed: ", text=f"{shown}; take {'them' if names[1:] else 'it'} in with: ", command=command
    )


def _held_back(plan: Plan) -> list[Words]:
    refused = [index.name for index in plan.indexes if index.refused]
    waiting = [index.name for index in plan.indexes if index.held]
    return [
        Words(label=label, text=f"{', '.join(names)} (see above)", style=style)
        for label, names, style in (("Refused: ", refused, "bold red"), ("Waiting: ", waiting, "bold yellow"))
        if names
    ]


def _next(plan: Plan, offer: Offer) -> list[Words]:
    held_back = {index.name for index in plan.indexes if is_held_back(index)}
    if not plan.steps:
        return []
    if held_back:
        return _rest(plan, offer, held_back)
    missing = not_allowed(plan, offer.allowed)
    targets = [word for name in plan.targets for word in ("--target", name)]
    flags = [word for code in missing for word in ("--allow", code)]
    label = "Allowed by applying the file: " if offer.plan_file else "Not allowed yet: "
    postponed = ["--postpone-cutover"] if offer.postpone else []
    words = (offer.plan_file,) if offer.plan_file else (*targets, *postponed, *flags)
    run = Words(label=RUN, command=offer.command("apply", *words), style="bold")
    return [Words(label=label, text=", ".join(missing), style="bold yellow"), run] if missing else [run]


def _rest(plan: Plan, offer: Offer, held_back: set[str]) -> list[Words]:
    """Apply refuses a plan in which anything is held back; the rest can be asked for by name."""
    done = held_back | under_way(plan)
    rest = [index for index in plan.indexes if index.name not in done and index.action != "no-op"]
    if not rest:
        return []
    codes = sorted({hazard.code for index in rest for hazard in index.hazards} - set(offer.allowed))
    words = [word for index in rest for word in ("--target", index.name)]
    words += [word for code in codes for word in ("--allow", code)]
    return [Words(label="The rest alone: ", command=offer.command("apply", *words), style="bold")]


def worth_telling(index: IndexPlan) -> bool:
    """Whether there is more to say about an index than that it is unchanged."""
    return index.action != "no-op" or bool(index.changes or index.drift or index.notes or is_held_back(index))


def server_words(plan: Plan, offer: Offer) -> str:
    """`on redis://host:6379 (Redis 8.2.3, search 2.10.5)`."""
    kind = ", cluster" if plan.server.cluster else ""
    about = f"Redis {plan.server.redis}, search {plan.server.search}{kind}"
    return printable(f"on {offer.server} ({about})" if offer.server else f"on {about}")
