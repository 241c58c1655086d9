"""The change of documents of one declared index: new, gone on with, or given up; and what forbids it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from rvlstate.diff.facts import Comparison, Fact
from rvlstate.model.canonical import canonicalise
from rvlstate.model.definition import IndexDefinition
from rvlstate.model.desired import Desired, Policy
from rvlstate.model.rewrite import Rewrite
from rvlstate.plan import judge, phases
from rvlstate.plan.documents import DocumentWork, document_work
from rvlstate.plan.members import blinded
from rvlstate.plan.promotion import unstageable
from rvlstate.plan.remedies import Remedy, overlap
from rvlstate.plan.situation import Situation, World, situate_all, taken_up

Judged = tuple[tuple[Fact, Remedy], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewriting:
    """One declared index, compared and judged, with the change of its documents.

    `rewrite` is what is to be done to them (None: nothing), `begun` tells that an earlier run began it, `given_up` is
    one that was begun and is no longer wanted; `refusals` say why nothing can be done.
    """

    situation: Situation
    comparison: Comparison
    judged: Judged
    rewrite: Rewrite | None = None
    begun: bool = False
    given_up: Rewrite | None = None
    refusals: tuple[str, ...] = ()


def rewriting_of(situation: Situation, world: World, policy: Policy) -> Rewriting:
    """Compare a declared index with what is there, and find out what its documents need."""
    pending = situation.pending
    if pending is None:
        anew = _fresh(situation, world, policy)
        return replace(anew, refusals=(*anew.refusals, *_begun_under_another_name(situation, world)))
    if pending.settled:
        anew = _fresh(replace(situation, pending=None), world, policy)
        return replace(anew, given_up=pending)
    if pending.strategy == "backfill":
        return _backfill_begun(situation, pending, world, policy)
    if pending.phased:
        return _phases_begun(situation, phases.present(pending, world), world, policy)
    found = _judge(situation)
    work = _work(found, situation, world)
    recreates = judge.classify(found[1]) == "recreate"
    if recreates and not work.refusals and _same(work, pending):
        return Rewriting(
            situation=situation, comparison=found[0], judged=found[1], rewrite=_towards(pending, situation), begun=True
        )
    if pending.dropped and pending.touches_documents:
        return Rewriting(
            situation=situation,
            comparison=found[0],
            judged=found[1],
            refusals=(
                (
                    f"{situation.wanted.name}: its documents are being rewritten for another declaration (begun by an "
                    "earlier apply, and not complete): declare that one again and apply, or go back with "
                    f"rvlstate rollback {situation.wanted.name}"
                ),
            ),
        )
    anew = _fresh(replace(situation, pending=None), world, policy)
    return replace(anew, given_up=pending)


def _phases_begun(situation: Situation, pending: Rewrite, world: World, policy: Policy) -> Rewriting:
    """A change that goes through phases: the same one still, or given up while nothing was led to it yet."""
    comparison, judged = _judge(situation)
    work = _work((comparison, judged), situation, world)
    found = Rewriting(situation=situation, comparison=comparison, judged=judged, rewrite=pending, begun=True)
    same = judge.classify(judged) == "shadow" and not work.refusals and _same(work, pending)
    if same and phases.leads_to(pending, situation):
        return found
    if phases.is_cut_over(pending):
        return replace(found, refusals=(phases.must_end_first(pending),))
    anew = _fresh(replace(situation, pending=None), world, policy)
    return replace(anew, given_up=pending)


def _begun_under_another_name(situation: Situation, world: World) -> tuple[str, ...]:
    """A rename waits until the documents are in one layout."""
    old = situation.was_named
    if old is None or world.state.rewrite(old) is None:
        return ()
    return (
        (
            f"{situation.wanted.name}: the documents of {old} are being rewritten (begun by an earlier apply, and not "
            f"complete): declare it as {old} again and apply, then rename it"
        ),
    )


def _fresh(situation: Situation, world: World, policy: Policy) -> Rewriting:
    comparison, judged = _judge(situation)
    work = _work((comparison, judged), situation, world)
    found = Rewriting(situation=situation, comparison=comparison, judged=judged, refusals=work.refusals)
    recreates = judge.classify(judged) == "recreate"
    shadows = judge.classify(judged) == "shadow"
    phased = shadows and phases.goes_by_phases(situation, policy)
    if not (recreates or work.any or phased):
        return found
    rewrite = _rewrite(situation, work, world, recreates=recreates)
    if shadows and any(remedy.documents and not remedy.in_place for _, remedy in judged):
        rewrite = phases.staged(rewrite, work, situation, world)
    elif phased:
        rewrite = replace(rewrite, strategy="shadow")
    refusals = (
        *(*work.refusals, *_too_much_at_once(situation, rewrite)),
        *(*_unstageable(rewrite, world), *blinded(rewrite)),
    )
    return replace(found, rewrite=rewrite, refusals=refusals)


def _too_much_at_once(situation: Situation, rewrite: Rewrite) -> tuple[str, ...]:
    """An index gets its new name before it goes through phases, which have that name."""
    if not rewrite.phased or situation.was_named is None:
        return ()
    old, new = situation.was_named, situation.wanted.name
    return (f"{new}: it is renamed from {old} and built anew at once: apply the new name alone first, then the rest",)


def _unstageable(rewrite: Rewrite, world: World) -> tuple[str, ...]:
    return unstageable(rewrite, world) if rewrite.strategy == "staged" else ()


def _backfill_begun(situation: Situation, pending: Rewrite, world: World, policy: Policy) -> Rewriting:
    """Fields were being written; the index may know them already, so that nothing is left but to settle."""
    found = _fresh(situation, world, policy)
    if found.rewrite is not None:
        same = found.rewrite.fields == pending.fields and found.rewrite.strategy == "backfill"
        return replace(found, rewrite=pending, begun=True) if same else replace(found, given_up=pending)
    wanted = situation.wanted.definition
    still_wanted = all(_declares(wanted, field.field) for field in pending.fields)
    if found.refusals or not still_wanted or situation.serving is None:
        return replace(found, given_up=pending)
    return replace(found, rewrite=pending, begun=True)


def _declares(definition: IndexDefinition, field: str) -> bool:
    return definition.field(field) is not None


def _judge(situation: Situation) -> tuple[Comparison, Judged]:
    comparison = judge.comparison_of(situation)
    return comparison, judge.remedies_of(situation, comparison.facts)


def document_work_of(rewriting: Rewriting, world: World) -> DocumentWork:
    """What is to be written into the documents of an index that was judged."""
    return _work((rewriting.comparison, rewriting.judged), rewriting.situation, world)


def _work(found: tuple[Comparison, Judged], situation: Situation, world: World) -> DocumentWork:
    before = situation.basis
    if before is None:
        return DocumentWork()
    work = document_work(found[1], before, situation.wanted, _scales(situation, world))
    return replace(work, refusals=(*work.refusals, *_slots(work, situation, world)))


def _slots(work: DocumentWork, situation: Situation, world: World) -> tuple[str, ...]:
    """A key cannot be renamed into another slot."""
    if not work.moves or not world.server.cluster:
        return ()
    return (
        (
            f"{situation.wanted.name}.index.prefixes: on a cluster, documents under another prefix belong to other "
            "slots, and keys cannot be renamed across slots: copy the documents with your own program, then change the "
            "prefix"
        ),
    )


def _scales(situation: Situation, world: World) -> Mapping[str, float]:
    """The scales of integer vectors: as begun, as recorded, else as the sample suggests."""
    sample = world.samples.get(situation.wanted.name)
    scales = dict(sample.scales) if sample else {}
    if situation.record is not None:
        scales |= dict(situation.record.scales)
    if situation.pending is not None:
        scales |= scales_of(situation.pending)
    return scales


def scales_of(rewrite: Rewrite) -> dict[str, float]:
    """The scales by which integer vectors are made: field -> value of one step."""
    return {
        field.field: step.scale
        for field in rewrite.fields
        for step in field.steps
        if step.kind == "cast" and step.scale is not None
    }


def _same(work: DocumentWork, pending: Rewrite) -> bool:
    return (work.fields, work.moves, work.changes_storage) == (pending.fields, pending.moves, pending.changes_storage)


def _towards(pending: Rewrite, situation: Situation) -> Rewrite:
    """The same change of documents, towards what is declared about the index now."""
    return replace(pending, after=canonicalise(situation.wanted.definition))


def _rewrite(situation: Situation, work: DocumentWork, world: World, *, recreates: bool) -> Rewrite:
    wanted, serving = situation.wanted, situation.serving
    physical = serving.name if serving else ""
    # A name that is a physical index keeps its nature when it is recreated.
    target = wanted.name if recreates and situation.name_is_physical else situation.next_physical
    return Rewrite(
        id=f"{wanted.name}-{world.state.serial}",
        name=wanted.name,
        strategy="recreate" if recreates else "backfill",
        before=situation.basis or wanted.definition,
        after=canonicalise(wanted.definition),
        fields=work.fields,
        moves=work.moves,
        physical=physical,
        target=target,
        aliases=tuple(sorted(world.answering(physical))),
        synonyms=serving.synonyms if serving else (),
        documents=serving.statistics.documents if serving else 0,
        versions=situation.record.versions if situation.record else (),
    )


def unshareable(rewriting: Rewriting, world: World) -> tuple[str, ...]:
    """Why documents must not be rewritten: another index reads what would change in them."""
    rewrite, situation = rewriting.rewrite, rewriting.situation
    if rewrite is None or not rewrite.touches_documents:
        return ()
    own = {rewrite.physical, rewrite.target, situation.next_physical, *situation.leftovers, *situation.replaced}
    own |= {rewrite.members, rewrite.scratch, rewrite.interim, *taken_up(rewriting.given_up)}
    return tuple(
        f"{rewrite.name}: its documents must not be rewritten, since {index.name} reads the same ones and would lose "
        f"them ({reason}): {_advice(rewrite)}"
        for index in world.catalog.indexes
        if index.name not in own and share(index.definition, rewrite.before)
        for reason in [_what_breaks(index.definition, rewrite)]
        if reason
    )


def share(one: IndexDefinition, other: IndexDefinition) -> bool:
    """Whether two indexes may cover the same documents."""
    return one.storage == other.storage and overlap(one.prefixes, other.prefixes)


def _what_breaks(sibling: IndexDefinition, rewrite: Rewrite) -> str:
    if rewrite.changes_storage:
        return f"{rewrite.before.storage} turns into {rewrite.after.storage}"
    if rewrite.moves:
        return "their keys change"
    touched = {field.writes.identifier for field in rewrite.fields if field.writes and field.layout != "presence"}
    touched |= {place for field in rewrite.fields for place in field.removes}
    read = sorted(field.name for field in sibling.fields if field.identifier in touched)
    return f"its field {read[0]} is stored in what is rewritten" if read else ""


def _advice(rewrite: Rewrite) -> str:
    if rewrite.fields:
        return "declare a new field beside the old one, or drop the other index first"
    return "drop the other index first"


def wanted_rewrites(desired: Desired, world: World) -> dict[str, Rewrite]:
    """The changes of documents that a plan will hold: declared name -> rewrite. What is worth a look beforehand."""
    found = {}
    for name, situation in situate_all(desired, world).items():
        rewrite = rewriting_of(situation, world, desired.policy).rewrite
        if rewrite is not None and rewrite.touches_documents and situation.basis is not None:
            found[name] = rewrite
    return found
