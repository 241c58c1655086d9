"""What an index takes beside what FT.INFO tells: blocks of vectors, nodes of graphs, offsets, terms, sorted values."""

from __future__ import annotations

from dataclasses import replace

from rvlstate.model.allocation import rounded_up
from rvlstate.model.catalog import LiveIndex, ServerProfile, Statistics
from rvlstate.model.definition import IndexDefinition
from rvlstate.model.field import Field, Flat, Hnsw, NumericField, TagField, TextField, VectorField
from rvlstate.plan.impact import Costs, estimate_build
from rvlstate.plan.index_memory import (
    BLOCK,
    DOCUMENT_BYTES,
    NODE_BYTES,
    OFFSET_BYTES,
    SORTABLE_BYTES,
    SORTABLE_TEXT_BYTES,
    SUFFIX_BYTES,
    TERM_BYTES,
    told_bytes,
    untold_bytes,
)

FIGURES = Statistics(documents=2 * BLOCK, terms=300, index_bytes=10_000_000)
TITLE = TextField(name="t", identifier="t")
SIZE = TagField(name="s", identifier="s")
PRICE = NumericField(name="p", identifier="p")
VECTOR = VectorField(name="v", identifier="v", dims=128, datatype="float32", distance_metric="COSINE", search=Flat())


def index(*fields: Field) -> IndexDefinition:
    """A definition with these fields."""
    return IndexDefinition(prefixes=("p:",), fields=fields)


def untold(*fields: Field, no_offsets: bool = False) -> int:
    """What is not told of an index of these fields."""
    return untold_bytes(replace(index(*fields), no_offsets=no_offsets), FIGURES)


def test_every_document_and_the_text_in_it_cost_something() -> None:
    """Offsets where they are kept, and each term; not of a text that is not indexed."""
    plain = FIGURES.documents * DOCUMENT_BYTES
    assert untold(SIZE, PRICE) == plain
    assert untold(SIZE, TITLE) == plain + FIGURES.documents * OFFSET_BYTES + 300 * TERM_BYTES
    assert untold(SIZE, TITLE, no_offsets=True) == plain + 300 * TERM_BYTES
    assert untold(SIZE, replace(TITLE, no_index=True)) == plain
    suffixes = untold(replace(TITLE, withsuffixtrie=True)) - untold(TITLE)
    assert suffixes == 300 * SUFFIX_BYTES


def test_sortable_values_cost_something() -> None:
    """Text more than others; a vector can be none."""
    values = untold(replace(SIZE, sortable=True), replace(PRICE, sortable=True)) - untold(SIZE, PRICE)
    assert values == 2 * FIGURES.documents * SORTABLE_BYTES
    assert untold(replace(TITLE, sortable=True)) - untold(TITLE) == FIGURES.documents * SORTABLE_TEXT_BYTES
    assert untold(VECTOR) > untold()


def test_blocks_of_vectors_are_rounded_up() -> None:
    """A block of 1,024 vectors of 512 bytes and its header takes a quarter more; one more document begins a block."""
    a_block = rounded_up(512 * BLOCK + 16) - 512 * BLOCK
    assert untold(VECTOR) - untold() == 2 * a_block == 2 * BLOCK * 128
    more = replace(FIGURES, documents=FIGURES.documents + 1)
    assert untold_bytes(index(VECTOR), more) - untold_bytes(index(), more) == 3 * a_block


def test_a_graph_costs_more_than_its_vectors() -> None:
    """Links and nodes are told by FT.INFO of an index that has them, and are added where they are new."""
    graph = replace(VECTOR, search=Hnsw(m=16))
    flat = LiveIndex(name="a@1", definition=index(VECTOR), statistics=FIGURES)
    added = told_bytes(index(graph), flat) - told_bytes(index(VECTOR), flat)
    assert added == FIGURES.documents * (16 * 2 * 4 + NODE_BYTES)
    assert told_bytes(index(VECTOR), flat) == FIGURES.index_bytes
    assert untold(graph) > untold(VECTOR)


def test_no_index_takes_less_than_nothing() -> None:
    """Where the server tells no figure, and vectors go."""
    silent = LiveIndex(name="a@1", definition=index(VECTOR), statistics=replace(FIGURES, index_bytes=0))
    assert told_bytes(index(SIZE), silent) == 0


def test_what_is_dropped_before_is_counted_with_all_that_it_took() -> None:
    """A recreated index of the same size adds nothing to the peak; beside the old one it adds the whole."""
    live = LiveIndex(name="a@1", definition=index(TITLE, VECTOR), statistics=FIGURES)
    costs = Costs(server=ServerProfile(redis="8", search="2", used_memory=1_000))
    beside = estimate_build(live.definition, live, costs)
    assert beside.peak_memory_bytes == 1_000 + beside.index_bytes > 1_000 + FIGURES.index_bytes
    assert estimate_build(live.definition, live, costs, replaces=True).peak_memory_bytes == 1_000
