"""The plans whose renders are kept in cases/render: each a small world with what is declared for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from rvlstate.model.canonical import canonicalise, mask
from rvlstate.model.catalog import Catalog, LiveIndex, ServerProfile, Statistics
from rvlstate.model.definition import IndexDefinition
from rvlstate.model.desired import Desired, DesiredIndex, FieldSettings, Policy
from rvlstate.model.field import GeoField, Hnsw, NumericField, TagField, TextField, VectorField
from rvlstate.model.rewrite import Rewrite
from rvlstate.model.state import Intent, Record, State
from rvlstate.model.transform import Cast
from rvlstate.plan.build import build_plan
from rvlstate.plan.plan import Plan
from rvlstate.plan.situation import World

GIB = 1 << 30
NOW = 1_778_839_200_000
"""The instant of `created_at` in ms since 1970."""

SERVER = ServerProfile(
    redis="8.2.3",
    search="2.10.5",
    capabilities=("atomic_takeover", "cross_slot_aliases", "float16_vectors", "json"),
    used_memory=3 * GIB,
    maxmemory=16 * GIB,
    keys=1_300_000,
)
EMBEDDING = VectorField(name="embedding", identifier="embedding", search=Hnsw(), dims=768)
PRODUCTS = IndexDefinition(
    prefixes=("product:",),
    fields=(TextField(name="title", identifier="title"), NumericField(name="price", identifier="price"), EMBEDDING),
)
CATEGORIES = IndexDefinition(
    prefixes=("category:",),
    fields=(
        TextField(name="label", identifier="label", weight=2.0),
        TagField(name="parents", identifier="parents", separator=";", sortable=True),
    ),
)
BIG = Statistics(documents=1_200_000, max_document_id=1_250_000, index_bytes=5 * GIB, indexing_ms=620_000.0)
SMALL = Statistics(documents=5_000, max_document_id=5_000, index_bytes=9_000_000, indexing_ms=400.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """One index of a world: which name it serves, how big it is; `applied` None for an index of others."""

    physical: str
    name: str
    definition: IndexDefinition
    statistics: Statistics = SMALL
    applied: IndexDefinition | None = None
    aliased: bool = True


def live(name: str, definition: IndexDefinition, statistics: Statistics = SMALL) -> Live:
    """A managed index in its first revision, as it was applied."""
    return Live(physical=f"{name}@1", name=name, definition=definition, statistics=statistics, applied=definition)


def plain(name: str, definition: IndexDefinition, statistics: Statistics = SMALL) -> Live:
    """A managed index under its own name, as one that was imported."""
    return Live(
        physical=name, name=name, definition=definition, statistics=statistics, applied=definition, aliased=False
    )


def unmanaged(name: str, definition: IndexDefinition = CATEGORIES) -> Live:
    """An index of somebody else."""
    return Live(physical=name, name=name, definition=definition, aliased=False)


def declared(name: str, definition: IndexDefinition, **settings: object) -> DesiredIndex:
    """A declaration."""
    return replace(DesiredIndex(name=name, definition=definition), **settings)  # type: ignore[arg-type]


def make_plan(
    wanted: list[DesiredIndex],
    there: list[Live],
    *,
    server: ServerProfile = SERVER,
    policy: Policy | None = None,
    rewrites: tuple[Rewrite, ...] = (),
) -> Plan:
    """The plan that leads from what is there to what is wanted."""
    catalog = Catalog(
        indexes=tuple(
            sorted(
                (
                    LiveIndex(name=item.physical, definition=mask(item.definition), statistics=item.statistics)
                    for item in there
                ),
                key=lambda index: index.name,
            )
        ),
        aliases=tuple(sorted((item.name, item.physical) for item in there if item.aliased)),
    )
    records = tuple(
        Record(name=item.name, physical=item.physical, definition=canonicalise(item.applied))
        for item in sorted(there, key=lambda item: item.name)
        if item.applied is not None
    )
    aside = {rewrite.name: {rewrite.physical, rewrite.target} for rewrite in rewrites}
    intents = tuple(
        Intent(physical=physical, name=name, definition=record.definition)
        for name, physicals in sorted(aside.items())
        for record in records
        if record.name == name
        for physical in sorted(physicals - {record.physical})
    )
    state = State(lineage="6f1e", serial=7, records=records, intents=intents, rewrites=rewrites)
    state = state if records else State()
    indexes = tuple(sorted(wanted, key=lambda index: index.name))
    return build_plan(
        Desired(project="shop", indexes=indexes, policy=policy or Policy()),
        World(catalog=catalog, state=state, server=server, project="shop", now=NOW),
        created_at="2026-05-15T10:00:00Z",
        version="0.1.0",
    )


def with_field(definition: IndexDefinition, name: str, **changed: object) -> IndexDefinition:
    """A definition with attributes of one field changed."""
    return replace(
        definition,
        fields=tuple(
            replace(field, **changed) if field.name == name else field  # type: ignore[arg-type]
            for field in definition.fields
        ),
    )


def plus(definition: IndexDefinition, *fields: object) -> IndexDefinition:
    """A definition with more fields."""
    return replace(definition, fields=(*definition.fields, *fields))  # type: ignore[arg-type]


def without(definition: IndexDefinition, name: str) -> IndexDefinition:
    """A definition without a field."""
    return replace(definition, fields=tuple(field for field in definition.fields if field.name != name))


COLOUR = TagField(name="colour", identifier="colour")
PLACE = GeoField(name="place", identifier="place")
REBUILT = without(with_field(plus(PRODUCTS, COLOUR), "embedding", search=Hnsw(m=32, ef_construction=400)), "price")


def create() -> Plan:
    """Two indexes, one of which depends on the other; somebody else's index is there."""
    stores = replace(
        PRODUCTS, storage="json", prefixes=("store:", "shop:"), filter='@open == "yes"', language="german", fields=()
    )
    stores = plus(stores, TextField(name="name", identifier="$.name", phonetic_matcher="dm:en"), PLACE)
    return make_plan(
        [
            declared("categories", CATEGORIES),
            declared("products", PRODUCTS, depends_on=("categories",)),
            declared("stores", stores),
        ],
        [unmanaged("legacy_idx")],
    )


def in_place() -> Plan:
    """Two fields are added; another index stays as it is."""
    return make_plan(
        [declared("products", plus(PRODUCTS, COLOUR, PLACE)), declared("categories", CATEGORIES)],
        [live("products", PRODUCTS, BIG), live("categories", CATEGORIES)],
    )


def shadow_alias() -> Plan:
    """A new index beside the old one, then the alias moves."""
    return make_plan([declared("products", REBUILT)], [live("products", PRODUCTS, BIG)])


def shadow_physical() -> Plan:
    """The same for a physical index on a cluster, where the name changes its nature with a gap, and memory is tight."""
    server = replace(SERVER, capabilities=("json",), cluster=True, maxmemory=10 * GIB)
    return make_plan([declared("products", REBUILT)], [plain("products", PRODUCTS, BIG)], server=server)


def delete() -> Plan:
    """A managed index is no longer declared."""
    return make_plan(
        [declared("categories", CATEGORIES)], [live("products", PRODUCTS, BIG), live("categories", CATEGORIES)]
    )


def rename() -> Plan:
    """A name changes, and an undeclared rename is noticed."""
    return make_plan(
        [declared("goods", PRODUCTS, renamed_from="products"), declared("topics", CATEGORIES)],
        [live("products", PRODUCTS, BIG), live("categories", CATEGORIES)],
    )


def hijacked() -> Plan:
    """An application created a physical index that hides the alias."""
    there = live("products", PRODUCTS, BIG)
    return make_plan([declared("products", PRODUCTS)], [there, unmanaged("products", without(PRODUCTS, "price"))])


def refused() -> Plan:
    """Vectors of another length without a transform, and an index that must not be deleted."""
    return make_plan(
        [
            declared("products", with_field(plus(PRODUCTS, COLOUR), "embedding", dims=1024)),
            declared("categories", plus(CATEGORIES, PLACE)),
        ],
        [live("products", PRODUCTS, BIG), live("categories", CATEGORIES)],
    )


def staged() -> Plan:
    """Documents change while search goes on: copies, a build, promotion, and a hold in front of the cutover."""
    settings = (("embedding", FieldSettings(transform=(Cast(),))),)
    fields = (*PRODUCTS.fields[:2], replace(EMBEDDING, datatype="float16"))
    halved = replace(PRODUCTS, fields=fields)
    return make_plan(
        [
            declared("products", halved, fields=settings, cutover="manual"),
            declared("categories", plus(CATEGORIES, PLACE)),
        ],
        [live("products", PRODUCTS, BIG), live("categories", CATEGORIES)],
    )


def waiting() -> Plan:
    """One new index is ready and held, one old index is kept behind its cutover: nothing is to be done now."""
    heavier = with_field(CATEGORIES, "label", weight=3.0)
    topics = replace(CATEGORIES, prefixes=("topic:",))
    heavier_topics = replace(heavier, prefixes=("topic:",))
    ready = begun("categories", CATEGORIES, heavier, phase="ready")
    kept = begun("topics", topics, heavier_topics, phase="serving", cutover_at=NOW - 600_000)
    there = [
        live("categories", CATEGORIES),
        Live(physical="categories@2", name="categories.next", definition=heavier),
        Live(physical="topics@1", name="topics.prev", definition=topics),
        Live(physical="topics@2", name="topics", definition=heavier_topics, applied=heavier_topics),
    ]
    return make_plan(
        [declared("categories", heavier, cutover="manual"), declared("topics", heavier_topics)],
        there,
        policy=Policy(retain_old=3600.0),
        rewrites=(ready, kept),
    )


def begun(name: str, before: IndexDefinition, after: IndexDefinition, **standing: Any) -> Rewrite:
    """A change of an index alone that goes through phases."""
    return Rewrite(
        id=f"{name}-7",
        name=name,
        strategy="shadow",
        before=canonicalise(before),
        after=canonicalise(after),
        physical=f"{name}@1",
        target=f"{name}@2",
        documents=5_000,
        **standing,
    )


def drift() -> Plan:
    """Somebody rebuilt an index by hand, and the default of a query parameter is declared otherwise."""
    by_hand = with_field(plus(without(PRODUCTS, "price"), COLOUR), "title", weight=3.0)
    there = replace(live("products", by_hand, BIG), applied=PRODUCTS)
    wanted = with_field(PRODUCTS, "embedding", search=Hnsw(ef_runtime=40))
    return make_plan(
        [declared("products", wanted), declared("categories", with_field(CATEGORIES, "label", no_stem=True))],
        [there, live("categories", CATEGORIES), unmanaged("tmp_1"), unmanaged("tmp_2")],
        server=replace(SERVER, maxmemory_policy="allkeys-lru"),
    )


def empty() -> Plan:
    """Nothing to do; one parameter of queries is not applied, and one value cannot be verified."""
    return make_plan(
        [
            declared("products", with_field(PRODUCTS, "embedding", search=Hnsw(ef_runtime=40))),
            declared("categories", CATEGORIES),
        ],
        [live("products", PRODUCTS, BIG), live("categories", CATEGORIES)],
    )


def many() -> Plan:
    """Hundreds of indexes: some to create, some to change, most unchanged."""
    names = [f"tenant_{number:03}" for number in range(300)]
    tenants = {name: replace(CATEGORIES, prefixes=(f"{name}:",)) for name in names}
    wanted = [declared(name, plus(tenants[name], PLACE) if name < "tenant_040" else tenants[name]) for name in names]
    return make_plan(wanted, [live(name, tenants[name]) for name in names if name < "tenant_240"])


def hostile() -> Plan:
    """Names that try to break out of a terminal, a table, a fence and a mention."""
    name = "x|`y`\x1b[31m<b>@team</b>"
    field = TagField(name="```\n# gone", identifier="[red]f[/red]", separator="|")
    there = replace(CATEGORIES, prefixes=("<script>:",))
    return make_plan(
        [declared(name, plus(there, field, TextField(name="a.b", identifier="a.b")))],
        [live(name, there), unmanaged("@everyone\u202e $(rm)")],
    )


CASES: dict[str, Callable[[], Plan]] = {
    case.__name__: case
    for case in (
        create,
        in_place,
        shadow_alias,
        shadow_physical,
        delete,
        rename,
        hijacked,
        refused,
        staged,
        waiting,
        drift,
        empty,
        many,
        hostile,
    )
}
