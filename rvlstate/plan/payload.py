"""Consequences of changes that rewrite documents."""

from __future__ import annotations

from collections.abc import Iterable

from rvlstate.diff.facts import AttributeChanged, Fact, FieldAdded, SettingChanged
from rvlstate.model.address import field_address
from rvlstate.model.field import BYTES_PER_VALUE, VectorField
from rvlstate.model.rewrite import Rewrite
from rvlstate.model.transform import user_functions
from rvlstate.plan.hazards import Hazard
from rvlstate.plan.plan import Impact
from rvlstate.plan.remedies import Remedy, overlap
from rvlstate.plan.rewriting import Rewriting, scales_of
from rvlstate.plan.situation import Situation, World, taken_up
from rvlstate.plan.staging_impact import staged_key_seconds


def payload_hazards(rewriting: Rewriting, world: World, build: Impact) -> tuple[Hazard, ...]:
    """The hazards of rewriting documents: precision, encodings, keys in answers, user code, other readers.

    `build` is the impact of building the new index once.
    A query vector is bytes of the index's datatype on JSON too, where the documents stay as they are.
    """
    situation, name = rewriting.situation, rewriting.situation.wanted.name
    judged = [(fact, remedy) for fact, remedy in rewriting.judged if remedy.classification != "refused"]
    hazards = [hazard for fact, _ in judged for hazard in _encoding(fact, name)]
    changing = [(fact, remedy) for fact, remedy in judged if remedy.documents]
    if not changing:
        return tuple(hazards)
    for fact, _ in changing:
        hazards += _fact_hazards(fact, name)
    hazards.append(Hazard(code="REWRITES_DOCUMENTS", message=_rewritten(rewriting)))
    hazards += [Hazard(code="RUNS_USER_CODE", message=f"runs {code}.") for code in _user_code(rewriting, changing)]
    hazards += _staged_keys(rewriting.rewrite, build)
    hazards += _shared(situation, world, rewriting.given_up)
    return tuple(hazards)


def _rewritten(rewriting: Rewriting) -> str:
    wanted, rewrite = rewriting.situation.wanted, rewriting.rewrite
    kept = f"; the original values are kept in {wanted.backup}" if wanted.backup else ""
    if rewrite is None or rewrite.strategy != "staged":
        return f"documents of {wanted.name} are rewritten in place{kept}."
    if rewrite.promotion == "new_prefix":
        return f"documents of {wanted.name} get new keys, and the old keys are removed at completion{kept}."
    return f"staged copies take the place of the documents of {wanted.name} after the cutover{kept}."


def _staged_keys(rewrite: Rewrite | None, build: Impact) -> list[Hazard]:
    if rewrite is None or not rewrite.stage:
        return []
    seconds = staged_key_seconds(rewrite, build.documents or rewrite.documents, build.estimated_seconds)
    message = f"answers carry staged keys of {rewrite.name} for about {max(seconds, 1):,.0f} s after the cutover."
    return [Hazard(code="RESULT_KEYS_CHANGE", message=message)]


def sample_notes(rewriting: Rewriting, world: World) -> tuple[str, ...]:
    """What a look at some documents told: which cannot be transformed, and how many values would be clipped."""
    sample = world.samples.get(rewriting.situation.wanted.name)
    if sample is None or rewriting.rewrite is None:
        return ()
    notes = []
    if sample.bad:
        first = sample.bad_rows[0]
        notes.append(
            f"{sample.bad:,} of {sample.documents:,} sampled documents cannot be transformed; the first: {first.key}: "
            f"{first.field}: {first.reason}"
        )
    notes += [
        f"none of {sample.documents:,} sampled documents has {place}: is it spelt right?" for place in sample.missing
    ]
    if sample.saturated:
        notes.append(f"{sample.saturated:,} vector values of {sample.documents:,} sampled documents would be clipped")
    notes += [
        f"{field}: value = integer x {scale:.6g}; queries must be encoded by the same scale"
        for field, scale in sorted(scales_of(rewriting.rewrite).items())
    ]
    return tuple(notes)


def bytes_written(judged: Iterable[tuple[Fact, Remedy]], situation: Situation) -> int:
    """Bytes of new vector values, over all documents; other fields are not known beforehand."""
    documents = situation.serving.statistics.documents if situation.serving else 0
    names = {fact.field for fact, remedy in judged if remedy.documents and isinstance(fact, AttributeChanged)}
    names |= {fact.field.name for fact, remedy in judged if remedy.documents and isinstance(fact, FieldAdded)}
    vectors = [
        field for field in situation.wanted.definition.fields if field.name in names and isinstance(field, VectorField)
    ]
    return documents * sum(field.dims * BYTES_PER_VALUE.get(field.datatype, 4) for field in vectors)


def _encoding(fact: Fact, name: str) -> list[Hazard]:
    if not isinstance(fact, AttributeChanged) or fact.attribute not in ("datatype", "dims"):
        return []
    kind = f"vectors of {fact.after} dims" if fact.attribute == "dims" else f"{fact.after} vectors"
    words = f"queries on {name}.{fact.field} must send {kind} from the cutover on"
    return [Hazard(code="QUERY_ENCODING_CHANGES", message=f"{words} ({fact.before} to {fact.after}).")]


def _fact_hazards(fact: Fact, name: str) -> list[Hazard]:
    if isinstance(fact, AttributeChanged) and fact.attribute == "datatype" and _narrower(fact.before, fact.after):
        message = f"vectors of {name}.{fact.field} are rounded from {fact.before} to {fact.after}."
        return [Hazard(code="LOSES_PRECISION", message=message)]
    if isinstance(fact, SettingChanged) and fact.setting == "prefixes":
        return [Hazard(code="RESULT_KEYS_CHANGE", message=f"documents of {name} get keys under another prefix.")]
    return []


def _narrower(before: object, after: object) -> bool:
    return BYTES_PER_VALUE.get(str(after), 0) < BYTES_PER_VALUE.get(str(before), 0) or {before, after} == {
        "float16",
        "bfloat16",
    }


def _user_code(rewriting: Rewriting, changing: Iterable[tuple[Fact, Remedy]]) -> list[str]:
    """The user's own callables that this change runs."""
    if rewriting.rewrite is not None:
        return sorted({name for field in rewriting.rewrite.fields for name in user_functions(field.steps)})
    addresses = [fact.address for fact, _ in changing]
    wanted = rewriting.situation.wanted
    return sorted(
        {
            function
            for field, settings in wanted.fields
            for function in user_functions(settings.transform)
            if any(address.startswith(field_address(wanted.name, field)) for address in addresses)
        }
    )


def _shared(situation: Situation, world: World, given_up: Rewrite | None) -> list[Hazard]:
    serving = situation.serving
    if serving is None:
        return []
    ours = (*situation.leftovers, *taken_up(situation.pending), *taken_up(given_up))
    own = {serving.name, situation.next_physical, *ours}
    return [
        Hazard(code="SHARED_DOCUMENTS", message=f"{index.name} reads the same documents as {serving.name}.")
        for index in world.catalog.indexes
        if index.name not in own and overlap(index.definition.prefixes, serving.definition.prefixes)
    ]
