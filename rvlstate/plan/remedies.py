"""THE TABLE: which class of change each fact needs, and why.

| class    | meaning                                                                              |
|----------|--------------------------------------------------------------------------------------|
| in_place | the server can do it on the index as it is                                           |
| backfill | documents get a new field first, then the server can do it in place                  |
| shadow   | a new index is built beside the old one, then the name moves                         |
| recreate | the same, asked for with downtime (`strategy: recreate`)                             |
| refused  | not possible, or not without more being declared                                     |
| None     | nothing needs to be done: only queries are tuned by it                               |

`documents` tells that the documents themselves must be rewritten, not only the index, and `in_place` that this is
done under the index that serves: it only adds what that index does not know.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from rvlstate.diff.facts import (
    AttributeChanged,
    Fact,
    FieldAdded,
    FieldRemoved,
    FieldRenamed,
    FieldRetyped,
    RenameContradicted,
    SettingChanged,
    ValuesOutdated,
)
from rvlstate.model.canonical import MAX_TEXT_FIELDS
from rvlstate.model.definition import IndexDefinition
from rvlstate.model.desired import DesiredIndex
from rvlstate.model.field import TextField
from rvlstate.model.transform import Drop

Classification: TypeAlias = Literal["in_place", "backfill", "shadow", "recreate", "refused"]

SEVERITY: tuple[Classification | None, ...] = (None, "in_place", "backfill", "shadow", "recreate", "refused")
"""From the mildest to the gravest: an index's class is the gravest of its changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """What a fact needs, with the reason for people to read."""

    classification: Classification | None
    reason: str
    documents: bool = False
    in_place: bool = False


def _shadow(reason: str) -> Remedy:
    return Remedy(classification="shadow", reason=reason)


def _staged(reason: str) -> Remedy:
    return Remedy(classification="shadow", reason=reason, documents=True)


TOKENS = _shadow("terms are indexed anew: FT.ALTER cannot change an existing field")
SORTING = _shadow("sortable values are kept at indexing time: FT.ALTER cannot change an existing field")
GRAPH = _shadow("the vector index is built anew: its parameters are fixed when it is created")
WHOLE = _shadow("fixed by FT.CREATE for the whole index")
COVERAGE = _shadow("decides which documents are indexed: fixed by FT.CREATE")
TUNING = Remedy(
    classification=None,
    reason="only the default of queries: send it with the query, or ask for a rebuild by strategy: shadow",
)

ATTRIBUTES: dict[str, Remedy] = {
    "identifier": _shadow("the field is read from another place in the documents: fixed by FT.CREATE"),
    "weight": _shadow("the weight is fixed when the field is created"),
    "no_stem": TOKENS,
    "phonetic_matcher": TOKENS,
    "withsuffixtrie": TOKENS,
    "index_empty": TOKENS,
    "index_missing": TOKENS,
    "separator": TOKENS,
    "case_sensitive": TOKENS,
    "sortable": SORTING,
    "unf": SORTING,
    "no_index": SORTING,
    "coord_system": _shadow("shapes are indexed anew in the other coordinate system"),
    "algorithm": GRAPH,
    "distance_metric": GRAPH,
    "initial_cap": GRAPH,
    "block_size": GRAPH,
    "m": GRAPH,
    "ef_construction": GRAPH,
    "ef_runtime": TUNING,
    "epsilon": TUNING,
    "graph_max_degree": GRAPH,
    "construction_window_size": GRAPH,
    "search_window_size": TUNING,
    "compression": GRAPH,
    "reduce": GRAPH,
    "training_threshold": GRAPH,
    "datatype": _staged("stored vectors change width: each document is re-encoded"),
    "dims": _staged("stored vectors change length: each document gets a new one from the transform"),
}
"""Attribute of a field -> remedy. `datatype` and `dims` depend on storage and transform, see `remedy_for`."""

SETTINGS: dict[str, Remedy] = {
    "storage": _staged("documents change between hash and JSON: each is converted"),
    "prefixes": _staged("documents move to another prefix"),
    "filter": COVERAGE,
    "index_all": COVERAGE,
    "language": TOKENS,
    "language_field": TOKENS,
    "stopwords": TOKENS,
    "score": WHOLE,
    "score_field": WHOLE,
    "payload_field": WHOLE,
    "no_offsets": WHOLE,
    "no_highlight": WHOLE,
    "no_fields": WHOLE,
    "no_frequencies": WHOLE,
    "max_text_fields": WHOLE,
    "temporary": WHOLE,
}
"""Attribute of the index -> remedy. `prefixes` depends on whether documents move, see `remedy_for`."""

JSON_DATATYPE = _shadow("JSON documents hold numbers: only the index stores them in another width")
MORE_PREFIXES = _shadow("more documents are indexed, none moves")
FEWER_PREFIXES = _shadow("fewer documents are indexed, none moves")
ATTRIBUTE_RENAMED = _shadow("queries use another name for the same value: fixed by FT.CREATE")
FIELD_RENAMED = _staged("the field is renamed in each document")
FIELD_REMOVED = _shadow("FT.ALTER cannot remove fields")
FIELD_DROPPED = _staged("FT.ALTER cannot remove fields, and each document loses the value as well")
FIELD_RETYPED = _shadow("FT.ALTER cannot change the type of a field")
FIELD_ADDED = Remedy(classification="in_place", reason="FT.ALTER can append fields")
FIELD_BACKFILLED = Remedy(
    classification="backfill",
    reason="documents do not hold the field yet: the transform writes it",
    documents=True,
    in_place=True,
)
TOO_MANY_TEXTS = _shadow(
    f"an index made without MAXTEXTFIELDS holds {MAX_TEXT_FIELDS} text fields: FT.ALTER refuses more"
)
VALUES_OUTDATED = _staged("the values are computed anew: the version of their transform was raised")
TYPED_BY_TRANSFORM = _staged("the values of another type come from the transform")


def remedy_for(fact: Fact, live: IndexDefinition, wanted: DesiredIndex) -> Remedy:
    """The class of one change of one index, with the reason; `live` is the definition before all changes."""
    remedy = _by_kind(fact, live, wanted)
    if remedy is TUNING and wanted.strategy == "shadow":
        remedy = replace(TUNING, classification="shadow", reason="rebuilt because strategy: shadow asks for it")
    if remedy.classification in ("shadow", "backfill") and wanted.strategy == "recreate":
        return replace(remedy, classification="recreate", reason=f"{remedy.reason}; strategy: recreate")
    return remedy


def _by_kind(fact: Fact, live: IndexDefinition, wanted: DesiredIndex) -> Remedy:
    match fact:
        case FieldAdded():
            return _added(fact, live, wanted)
        case FieldRemoved():
            dropped = any(isinstance(step, Drop) for step in wanted.field_settings(fact.field.name).transform)
            return FIELD_DROPPED if dropped else FIELD_REMOVED
        case FieldRenamed():
            return ATTRIBUTE_RENAMED if fact.before.identifier == fact.after.identifier else FIELD_RENAMED
        case FieldRetyped():
            return TYPED_BY_TRANSFORM if wanted.field_settings(fact.after.name).transform else FIELD_RETYPED
        case RenameContradicted():
            return _refused(
                f"renamed_from: {fact.renamed_from} is declared, but {fact.renamed_from} is still in the schema or "
                "claimed twice: remove one of the two"
            )
        case AttributeChanged():
            return _attribute(fact, wanted)
        case SettingChanged():
            return _setting(fact)
        case ValuesOutdated():
            return _outdated(fact, wanted)


def _added(fact: FieldAdded, live: IndexDefinition, wanted: DesiredIndex) -> Remedy:
    if wanted.field_settings(fact.field.name).transform:
        return FIELD_BACKFILLED
    texts = sum(isinstance(field, TextField) for field in wanted.definition.fields)
    if isinstance(fact.field, TextField) and texts > MAX_TEXT_FIELDS and not live.max_text_fields:
        return TOO_MANY_TEXTS
    return FIELD_ADDED


def _attribute(fact: AttributeChanged, wanted: DesiredIndex) -> Remedy:
    if fact.attribute == "dims" and not wanted.field_settings(fact.field).transform:
        return _refused(
            f"stored vectors have {fact.before} values and cannot become {fact.after}: declare a transform for "
            f"{fact.field} (indexes.{wanted.name}.fields.{fact.field}.transform), or add a new field beside it"
        )
    if fact.attribute == "datatype" and wanted.definition.storage == "json":
        return JSON_DATATYPE
    return ATTRIBUTES[fact.attribute]


def _outdated(fact: ValuesOutdated, wanted: DesiredIndex) -> Remedy:
    if not wanted.field_settings(fact.field).transform:
        return _refused(
            f"its version was raised to {fact.after}, and nothing says how its values are computed: declare a "
            f"transform (indexes.{wanted.name}.fields.{fact.field}.transform)"
        )
    return VALUES_OUTDATED


def _setting(fact: SettingChanged) -> Remedy:
    if fact.setting == "prefixes" and isinstance(fact.before, tuple) and isinstance(fact.after, tuple):
        if covers(fact.after, fact.before):
            return MORE_PREFIXES
        if covers(fact.before, fact.after):
            return FEWER_PREFIXES
    return SETTINGS[fact.setting]


def covers(wide: tuple[str, ...], narrow: tuple[str, ...]) -> bool:
    """Whether every key under one of `narrow` is also under one of `wide`."""
    return all(any(prefix.startswith(start) for start in wide) for prefix in narrow)


def overlap(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether a key may be under one of each: one prefix is then the beginning of the other."""
    return any(a.startswith(b) or b.startswith(a) for a in one for b in other)


def _refused(reason: str) -> Remedy:
    return Remedy(classification="refused", reason=reason)


def gravest(classes: list[Classification | None]) -> Classification | None:
    """The class of an index: the gravest of its changes; None if nothing needs to be done."""
    return max(classes, key=SEVERITY.index, default=None)
