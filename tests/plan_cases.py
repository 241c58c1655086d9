"""Plan cases: the readable YAML of `cases/plan/*.yaml` as values; the format is described in `cases/plan/README.md`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import yaml
from strategies import CAPABILITIES

from rvlstate.model.address import REVISION
from rvlstate.model.canonical import canonicalise, mask
from rvlstate.model.catalog import Catalog, LiveIndex, ServerProfile, Statistics
from rvlstate.model.check import QueryCheck
from rvlstate.model.definition import IndexDefinition
from rvlstate.model.desired import Desired, DesiredIndex, FieldSettings, Hooks, Policy
from rvlstate.model.field import (
    Algorithm,
    Field,
    Flat,
    GeoField,
    GeoShapeField,
    Hnsw,
    NumericField,
    SvsVamana,
    TagField,
    TextField,
    VectorField,
)
from rvlstate.model.state import Intent, Record, State
from rvlstate.model.transform import Call, Cast, Constant, Drop, Normalize, TransformStep, Truncate
from rvlstate.plan.build import build_plan
from rvlstate.plan.effects import BadRow
from rvlstate.plan.operations import KeepOld, PointAlias, PromoteDocuments, RehearseRewrite, StageDocuments
from rvlstate.plan.sample import Sample
from rvlstate.plan.situation import World

FOLDER = Path(__file__).parent / "cases" / "plan"
FIELD_TYPES: dict[str, type[Any]] = {
    "text": TextField,
    "tag": TagField,
    "numeric": NumericField,
    "geo": GeoField,
    "geoshape": GeoShapeField,
    "vector": VectorField,
}
ALGORITHMS: dict[str, type[Any]] = {"flat": Flat, "hnsw": Hnsw, "svs-vamana": SvsVamana}
TRANSFORMS: dict[str, type[Any]] = {"cast": Cast, "truncate": Truncate, "normalize": Normalize, "drop": Drop}
SETTINGS = frozenset(item.name for item in fields(IndexDefinition)) - {"fields"}
GIVEN = frozenset(
    {"name", "because", "managed", "live", "aliases", "records", "intents", "desired", "protected", "policy", "server"}
    | {"targets", "hidden", "foreign", "edit", "begun", "begun_with", "samples"}
)
EXPECTED = frozenset(
    {"plan", "changes", "steps", "hazards", "refused", "held", "unmanaged", "drift", "unverifiable", "warnings"}
    | {"notes", "error", "impact", "messages"}
)
EDITS = (
    frozenset({"name", "base", "with", "without", "transforms", "field_renames", "strategy", "reads", "versions"})
    | SETTINGS
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One case: what is given as values, what is expected as written.

    `hidden` are aliases that a physical index of their name hides; `edit` tells that it is a row of `edits`.
    """

    id: str
    world: World
    desired: Desired
    targets: tuple[str, ...] = ()
    hidden: Mapping[str, str] = field(default_factory=dict)
    edit: bool = False
    expected: Mapping[str, Any] = field(default_factory=dict)


def load_cases() -> list[Case]:
    """All cases of all files, in order."""
    found = []
    for path in sorted(FOLDER.glob("*.yaml")):
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        book = Book(definitions=data.get("definitions", {}), sequences=data.get("sequences", {}))
        entries = [*data.get("cases", ()), *(as_case(row) for row in data.get("edits", ()))]
        found += [book.case(path.stem, entry) for entry in entries]
    return found


def as_case(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of `edits` as a case: the managed index `goods`, whose schema (`base`, or the one named) was edited.

    A row says only what was edited and what class each change is of; one that is shadow is carried out by the
    sequence `shadow`, others say their steps.
    """
    unknown = row.keys() - EDITS - EXPECTED
    assert not unknown, f"{row.get('name')}: unknown keys {sorted(unknown)}"
    edit = {key: row[key] for key in row.keys() & EDITS - {"name", "base"}}
    base = row.get("base", "base")
    given = {"managed": {"goods@1": base}, "desired": {"goods": {"like": base, **edit}}}
    changes = {f"goods.{address}": found for address, found in row["changes"].items()}
    expected = {key: row[key] for key in row.keys() & EXPECTED - {"changes"}}
    usual = {"plan": {"goods": "update shadow goods@1 -> goods@2"}, "steps": "shadow"}
    shadow = set(changes.values()) - {None} == {"shadow"} and "held" not in row
    return {"name": row["name"], "edit": True, **given, "changes": changes, **(usual if shadow else {}), **expected}


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """One file: its named definitions and its named sequences of steps."""

    definitions: Mapping[str, Any]
    sequences: Mapping[str, list[str]] = field(default_factory=dict)

    def case(self, stem: str, entry: Mapping[str, Any]) -> Case:
        """One entry as a case; an unknown key is an error, so that a misspelt expectation cannot pass unseen."""
        unknown = entry.keys() - GIVEN - EXPECTED
        assert not unknown, f"{stem}/{entry.get('name')}: unknown keys {sorted(unknown)}"
        expected = {key: value for key, value in entry.items() if key in EXPECTED}
        if isinstance(expected.get("steps"), str):
            expected["steps"] = self.sequences[expected["steps"]]
        world, desired = self._world(entry), self._desired(entry)
        for name, standing in entry.get("begun", {}).items():
            world = begun(
                name,
                standing,
                self._desired({"desired": entry["begun_with"]}) if "begun_with" in entry else desired,
                world,
            )
        return Case(
            id=f"{stem}/{entry['name']}",
            world=world,
            desired=desired,
            targets=tuple(entry.get("targets", ())),
            hidden=entry.get("hidden", {}),
            edit=entry.get("edit", False),
            expected=expected,
        )

    def _world(self, entry: Mapping[str, Any]) -> World:
        catalog, state = Catalog(), State(lineage="lineage", serial=1)
        for physical, spec in entry.get("managed", {}).items():
            record = self._record(name_of(physical), {**as_mapping(spec), "physical": physical})
            state = replace(state, records=(*state.records, record))
            catalog = catalog.with_index(self._live(physical, spec))
            for alias in (record.name, *record.aliases):
                if alias != physical:
                    catalog = catalog.with_alias(alias, physical)
        for physical, spec in entry.get("live", {}).items():
            catalog = catalog.with_index(self._live(physical, spec))
        for alias in entry.get("hidden", {}):
            catalog = catalog.without_alias(alias)
        for alias, physical in entry.get("aliases", {}).items():
            catalog = catalog.with_alias(alias, physical) if physical else catalog.without_alias(alias)
        for name, spec in entry.get("records", {}).items():
            kept = tuple(record for record in state.records if record.name != name)
            state = replace(state, records=(*kept, self._record(name, as_mapping(spec))))
        for physical, spec in entry.get("intents", {}).items():
            name = as_mapping(spec).get("name", name_of(physical))
            state = state.with_intent(Intent(physical=physical, name=name, definition=self.definition(spec)))
        state = replace(state, records=tuple(sorted(state.records, key=lambda record: record.name)))
        server = server_profile(entry.get("server", {}))
        samples = {name: sample(given) for name, given in entry.get("samples", {}).items()}
        return World(
            catalog=catalog,
            state=state,
            server=server,
            foreign=entry.get("foreign", {}),
            samples=samples,
            project="shop",
        )

    def _desired(self, entry: Mapping[str, Any]) -> Desired:
        indexes = [self._declared(name, spec) for name, spec in entry.get("desired", {}).items()]
        return Desired(
            project="shop",
            indexes=tuple(sorted(indexes, key=lambda index: index.name)),
            policy=Policy(**entry.get("policy", {})),
            protected=tuple(entry.get("protected", ())),
        )

    def _declared(self, name: str, spec: Any) -> DesiredIndex:
        given = as_mapping(spec)
        names = {*given.get("transforms", {}), *given.get("field_renames", {}), *given.get("versions", {})}
        settings = {
            field_name: FieldSettings(
                transform=_steps(given.get("transforms", {}).get(field_name)),
                reads=tuple(given.get("reads", {}).get(field_name, ())),
                renamed_from=given.get("field_renames", {}).get(field_name),
                version=given.get("versions", {}).get(field_name, 0),
            )
            for field_name in sorted(names)
        }
        return DesiredIndex(
            name=name,
            definition=self.definition(spec),
            depends_on=tuple(given.get("depends_on", ())),
            aliases=tuple(given.get("aliases", ())),
            renamed_from=given.get("renamed_from"),
            fields=tuple(settings.items()),
            strategy=given.get("strategy", "auto"),
            prevent_destroy=given.get("prevent_destroy", False),
            backup=given.get("backup", ""),
            cutover=given.get("cutover", "auto"),
            hooks=Hooks(**{when: tuple(argv) for when, argv in given.get("hooks", {}).items()}),
            checks=tuple(QueryCheck(query=query) for query in given.get("checks", ())),
        )

    def _record(self, name: str, spec: Mapping[str, Any]) -> Record:
        return Record(
            name=name,
            physical=spec["physical"],
            definition=canonicalise(self.definition({key: spec[key] for key in spec if key != "physical"})),
            depends_on=tuple(spec.get("depends_on", ())),
            aliases=tuple(spec.get("aliases", ())),
            build_rate=spec.get("build_rate", 0.0),
        )

    def _live(self, physical: str, spec: Any) -> LiveIndex:
        given = as_mapping(spec)
        figures = {
            item.name: given[item.name] for item in fields(Statistics) if item.name in given and item.name != "name"
        }
        synonyms = tuple((term, tuple(groups)) for term, groups in sorted(given.get("synonyms", {}).items()))
        definition = mask(self.definition(spec))
        return LiveIndex(name=physical, definition=definition, statistics=Statistics(**figures), synonyms=synonyms)

    def definition(self, spec: Any) -> IndexDefinition:
        """A definition: the name of one, a list of fields, or a mapping `like` one with changes."""
        given = as_mapping(spec)
        base = self.definition(self.definitions[given["like"]]) if "like" in given else None
        settings = {name: as_value(given[name]) for name in SETTINGS & given.keys()}
        if base is None:
            settings.setdefault("prefixes", ("p:",))
            storage = settings.get("storage", "hash")
            return IndexDefinition(**settings, fields=parse_fields(given.get("fields", ()), storage))
        storage = settings.get("storage", base.storage)
        changed = {item.name: item for item in parse_fields(given.get("with", ()), storage)}
        kept = tuple(changed.pop(item.name, item) for item in base.fields if item.name not in given.get("without", ()))
        return replace(base, **settings, fields=(*kept, *changed.values()))


PHASES = frozenset({"staging", "ready", "pointed", "serving", "promoting"})
"""How far a change was; "pointed" is one that was killed right behind its cutover."""


def begun(name: str, standing: str, desired: Desired, world: World) -> World:
    """The world after an earlier run began the change of documents that is declared for `name`.

    `standing`: "begun" when nothing but that was recorded, "dropped" when its index is gone too, "settled" when all
    that was left to do was to tidy up, or one of PHASES.
    """
    if standing in PHASES:
        return in_phase(standing, desired, world)
    if standing == "settled" and any(
        isinstance(step.operation, StageDocuments) for step in build_plan(desired, world).steps
    ):
        world = in_phase("promoting", desired, world)
        return replace(world, state=world.state.with_rewrite(replace(world.state.rewrites[0], settled=True)))
    steps = build_plan(desired, world).steps
    rewrite = next(step.operation.rewrite for step in steps if isinstance(step.operation, RehearseRewrite))
    dropped = standing == "dropped"
    state = world.state.with_rewrite(replace(rewrite, dropped=dropped, settled=standing == "settled"))
    catalog = world.catalog.without_index(rewrite.physical) if dropped else world.catalog
    return replace(world, state=state, catalog=catalog)


def in_phase(standing: str, desired: Desired, world: World) -> World:
    """The world after an earlier run came as far as a phase, by what its steps do to state and catalog."""
    if standing == "ready":
        desired = replace(desired, indexes=tuple(replace(index, cutover="manual") for index in desired.indexes))
    if standing == "serving":
        desired = replace(desired, policy=replace(desired.policy, retain_old=3600.0))
    state, catalog = world.state, world.catalog
    for step in build_plan(desired, world).steps:
        operation = step.operation
        state = operation.intend(state)
        if isinstance(operation, LAST.get(standing, KeepOld)):
            break
        catalog = operation.effect(catalog)
        if standing == "pointed" and isinstance(operation, PointAlias):
            break
        state = operation.record(state)
    return replace(world, state=state, catalog=catalog)


LAST: Mapping[str, type] = {"staging": StageDocuments, "promoting": PromoteDocuments}
"""The step in front of whose commands an earlier run stopped."""


def sample(given: Mapping[str, Any]) -> Sample:
    """What some documents told."""
    rows = tuple(BadRow(**row) for row in given.get("bad_rows", ()))
    scales = tuple((name, scale) for name, scale in given.get("scales", ()))
    return Sample(**{**given, "bad_rows": rows, "scales": scales})


def as_mapping(spec: Any) -> Mapping[str, Any]:
    """A specification as a mapping: a text is the name of a definition, a list its fields."""
    if isinstance(spec, str):
        return {"like": spec}
    if isinstance(spec, list):
        return {"fields": spec}
    return spec or {}


def as_value(value: Any) -> Any:
    """A YAML value as an attribute of a definition: lists are tuples."""
    return tuple(value) if isinstance(value, list) else value


def name_of(physical: str) -> str:
    """The declared name that a physical name of a case stands for."""
    match = REVISION.match(physical)
    return match["name"].strip("{}") if match else physical


def server_profile(given: Mapping[str, Any]) -> ServerProfile:
    """The server of a case: standalone, with everything that plans depend on, unless it says otherwise."""
    able = tuple(item for item in CAPABILITIES if item not in given.get("without", ()))
    known: dict[str, Any] = {"redis": "8.2.3", "search": "2.10.5", "capabilities": able}
    return ServerProfile(**{**known, **{name: as_value(value) for name, value in given.items() if name != "without"}})


def parse_fields(lines: Iterable[str], storage: str) -> tuple[Field, ...]:
    """Fields written as `name type [algorithm] [attribute=value | flag]...`."""
    return tuple(parse_field(line, storage) for line in lines)


def parse_field(line: str, storage: str = "hash") -> Field:
    """One field, such as `title text weight=2 sortable` or `v vector hnsw dims=4 m=32`."""
    name, kind, *rest = line.split()
    given: dict[str, Any] = {"identifier": f"$.{name}" if storage == "json" else name}
    search: Algorithm | None = None
    if kind == "vector":
        algorithm = ALGORITHMS[rest.pop(0)]
        own = {item.name for item in fields(algorithm)}
        pairs = dict(parse_attribute(word) for word in rest)
        search = algorithm(**{key: value for key, value in pairs.items() if key in own})
        given.update({"search": search, "dims": 4})
        rest = [word for word in rest if word.partition("=")[0] not in own]
    given.update(parse_attribute(word) for word in rest)
    made: Field = FIELD_TYPES[kind](name=name, **given)
    return made


def parse_attribute(word: str) -> tuple[str, Any]:
    """`attribute=value`, or a flag that is on."""
    key, is_pair, text = word.partition("=")
    return key, yaml.safe_load(text) if is_pair else True


def _steps(transform: str | None) -> tuple[TransformStep, ...]:
    """A transform in short: the kind of one without parameters, `module:callable`, or a constant as `=value`."""
    if transform is None:
        return ()
    if transform.startswith("="):
        return (Constant(value=transform[1:]),)
    return (Call(function=transform),) if ":" in transform else (TRANSFORMS[transform](),)
