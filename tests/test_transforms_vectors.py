"""Vectors between datatypes: what each step makes of them, what it refuses, and the laws that hold for all of them."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from transform_kit import FLOATS, INTEGERS, blobs, numbers, reasons, run, vector

from rvlstate.errors import PlannerBugError
from rvlstate.model.transform import Cast, Copy, Normalize, TransformStep, Truncate
from rvlstate.transforms.half import to_float16
from rvlstate.transforms.scale import HEADROOM, scale_for
from rvlstate.transforms.vectors import DTYPES, INTEGER_RANGES, LARGEST

EPSILON = {"float64": 2.0**-53, "float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}
"""Half of the last place of a value near 1, by datatype."""
SMALLEST = {"float64": 5e-324, "float32": 1.5e-45, "float16": 6e-8, "bfloat16": 1e-40}
"""Step of the smallest values, by datatype."""

DIMS = 5
batches = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 8), st.just(DIMS)),
    elements=st.floats(-60000, 60000, width=32, allow_subnormal=True),
)


def cast(rows: Any, before: str, after: str, scale: float | None = None, dims: int = DIMS) -> Any:
    """The outcome of one cast of blobs."""
    return run([vector("v", before, dims)], [Cast(scale=scale)], vector("v", after, dims), rows)


# Floats


@given(batches, st.sampled_from(FLOATS), st.sampled_from(FLOATS))
def test_a_cast_between_floats_keeps_what_the_datatype_can_hold(batch: Any, before: str, after: str) -> None:
    """Relative error at most half of the last place of the coarser of both, absolute that of the smallest values."""
    stored = blobs(batch, before)
    outcome = cast(stored, before, after)
    assert outcome.bad == ()
    for old, new in zip(stored, outcome.values[0], strict=True):
        was, now = np.array(numbers(old, before)), np.array(numbers(new, after))
        assert np.all(np.abs(now - was) <= np.abs(was) * EPSILON[after] + SMALLEST[after])


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [pair for pair in itertools.combinations(reversed(FLOATS), 2) if pair != ("bfloat16", "float16")],
)
@given(batch=batches)
def test_there_and_back_through_a_wider_datatype_is_exact(narrow: str, wide: str, batch: Any) -> None:
    """Nothing is lost on the way up, so the way back gives the same bytes."""
    stored = blobs(batch, narrow)
    up = cast(stored, narrow, wide).values[0]
    assert cast(up, wide, narrow).values[0] == stored


@given(hnp.arrays(np.uint32, st.integers(1, 300), elements=st.integers(0, 2**32 - 1)))
def test_our_float16_is_numpys_bit_for_bit(bits: Any) -> None:
    """For every pattern of bits but those of NaN: subnormal, tie, infinite, beyond the range."""
    values = bits.view(np.float32)
    values = values[~np.isnan(values)]
    with np.errstate(over="ignore"):
        expected = values.astype(np.float16)
        assert to_float16(values).tobytes() == expected.tobytes()


def test_our_float16_is_numpys_for_every_exponent_and_many_blocks() -> None:
    """Larger than one block, with every exponent, ties among them, and layouts that are not contiguous."""
    exponents = np.arange(256, dtype=np.uint32) << 23
    mantissas = np.concatenate([np.arange(0, 1 << 23, 5003, dtype=np.uint32), np.arange(13, dtype=np.uint32) << 12])
    bits = (exponents[:, np.newaxis] | mantissas).reshape(-1)
    values = bits.view(np.float32)
    values = np.concatenate([values, -values])
    values = values[np.abs(values) < 65520]
    assert to_float16(values).tobytes() == values.astype(np.float16).tobytes()
    assert to_float16(values[::2]).tobytes() == values[::2].astype(np.float16).tobytes()
    assert to_float16(np.empty((0, 3), np.float32)).shape == (0, 3)


@pytest.mark.parametrize("after", ["float16", "bfloat16", "float32"])
def test_what_is_beyond_a_datatype_is_bad_and_told(after: str) -> None:
    """The largest value itself passes; what would round to infinity does not, and neither reaches the others."""
    largest = LARGEST[after]
    rows = blobs([[1, 2], [largest, -largest], [0, largest * 1.01], [-largest * 2, 0]], "float64")
    outcome = cast(rows, "float64", after, dims=2)
    assert reasons(outcome) == {
        2: f"value 1 is {largest * 1.01:g}, beyond {after} ({largest:g})",
        3: f"value 0 is {-largest * 2:g}, beyond {after} ({largest:g})",
    }
    assert numbers(outcome.values[0][1], after) == [largest, -largest]
    assert outcome.values[0][2:] == [None, None]


def test_a_value_that_rounds_down_to_the_largest_is_not_beyond_it() -> None:
    """65519 is float16's 65504; 65520 would be infinite."""
    outcome = cast(blobs([[65519.0], [65520.0]]), "float32", "float16", dims=1)
    assert numbers(outcome.values[0][0], "float16") == [65504.0]
    assert reasons(outcome) == {1: "value 0 is 65520, beyond float16 (65504)"}


@pytest.mark.parametrize("before", FLOATS)
def test_nan_and_infinity_are_bad_in_every_float(before: str) -> None:
    """They would be invisible to search, or spoil every distance."""
    rows = blobs([[1, 2], [np.nan, 2], [1, np.inf], [-np.inf, np.nan]], before)
    outcome = cast(rows, before, "float32", dims=2)
    assert reasons(outcome) == {1: "value 0 is NaN", 2: "value 1 is infinite", 3: "value 0 is infinite"}
    assert numbers(outcome.values[0][0], "float32") == [1, 2]


@pytest.mark.parametrize(("length", "datatype"), [(5, "float32"), (0, "float32"), (6144, "float32"), (1536, "float64")])
def test_a_blob_of_another_length_is_bad_with_the_figures(length: int, datatype: str) -> None:
    """Also one that is a multiple: it is told what was expected."""
    expected = {"float32": 1536, "float64": 3072}[datatype]
    good = bytes(expected)
    outcome = cast([good, bytes(length), None, good], datatype, "float16", dims=384)
    assert reasons(outcome) == {1: f"{length} bytes, expected {expected} (384 x {datatype})"}
    assert [row is None for row in outcome.values[0]] == [False, True, True, False]


# Integers


@example(batch=np.full((1, 5), 1e-45, np.float32), datatype="int8", factor=1.0)
@given(batches, st.sampled_from(INTEGERS), st.floats(0.5, 2))
def test_integers_come_back_within_half_a_step(batch: Any, datatype: str, factor: float) -> None:
    """What the scale covers is off by half a step at most; what it does not is at the end of the range, and counted."""
    scale = scale_for(float(np.abs(batch).max()) * factor, datatype)
    low, high = INTEGER_RANGES[datatype]
    stored = blobs(batch)
    outcome = cast(stored, "float32", datatype, scale)
    back = cast(outcome.values[0], datatype, "float64", scale)
    ideal = np.rint(batch.astype(np.float64) / np.float64(np.float32(scale)))
    for row, blob in enumerate(back.values[0]):
        if blob is None:
            assert reasons(outcome)[row].startswith("nothing is left of it")
            continue
        within = np.clip(batch[row].astype(np.float64), low * scale, high * scale)
        assert np.all(np.abs(np.array(numbers(blob, "float64")) - within) <= scale * 0.5001)
    near = np.count_nonzero((np.abs(ideal - low) <= 1) | (np.abs(ideal - high) <= 1))
    assert abs(outcome.saturated - np.count_nonzero((ideal < low) | (ideal > high))) <= near


@given(st.floats(1e-20, 1e20), st.sampled_from(INTEGERS))
def test_a_scale_covers_the_largest_with_headroom_and_is_short(largest: float, datatype: str) -> None:
    """Nothing of the sample saturates; three digits, at most one percent more than was asked for."""
    scale = scale_for(largest, datatype)
    reach = scale * INTEGER_RANGES[datatype][1]
    assert largest * HEADROOM * 0.999999 <= reach <= largest * HEADROOM * 1.0101
    assert len(f"{scale:e}".split("e")[0].replace(".", "").rstrip("0")) <= 3


def test_a_scale_of_nothing_but_zeros_is_that_of_unit_vectors() -> None:
    """There is nothing to go by; what is no size is a bug of ours."""
    assert scale_for(0.0, "int8") == scale_for(1.0, "int8") == 0.00827
    for wrong in (-1.0, float("nan"), float("inf")):
        with pytest.raises(PlannerBugError, match="no scale can be found"):
            scale_for(wrong, "int8")


def test_integers_without_a_scale_are_a_bug_of_the_planner() -> None:
    """A scale of each batch's own would destroy ranking."""
    with pytest.raises(PlannerBugError, match="no scale was found"):
        cast(blobs([[1, 2]]), "float32", "int8", dims=2)


def test_int8_is_symmetric_and_saturation_is_counted() -> None:
    """-128 is not used; each clipped value counts."""
    outcome = cast(blobs([[1.27, -1.27, 5, -5, 0]]), "float32", "int8", 0.01)
    assert numbers(outcome.values[0][0], "int8") == [127, -127, 127, -127, 0]
    assert outcome.saturated == 2
    assert outcome.largest == (("f", 5.0),)


def test_negative_values_saturate_in_uint8() -> None:
    """Zero stays zero, so there is nothing below it."""
    outcome = cast(blobs([[2.5, -1, 0.4]]), "float32", "uint8", 1.0, dims=3)
    assert numbers(outcome.values[0][0], "uint8") == [2, 0, 0]
    assert outcome.saturated == 1


def test_a_vector_of_which_nothing_is_left_is_bad() -> None:
    """It would be the zero vector, as near to everything; one that was zero before stays what it was."""
    outcome = cast(blobs([[0.4, -0.3], [0, 0], [3, 0]]), "float32", "int8", 1.0, dims=2)
    assert reasons(outcome) == {0: "nothing is left of it: its largest value is 0.4, below half a step"}
    assert outcome.values[0][1:] == [b"\0\0", b"\3\0"]


def test_integers_become_floats_by_their_scale_or_as_they_are() -> None:
    """`value = integer * scale`."""
    stored = blobs([[-128, 3]], "int8")
    assert numbers(cast(stored, "int8", "float32", 0.5, dims=2).values[0][0], "float32") == [-64, 1.5]
    assert numbers(cast(stored, "int8", "float32", dims=2).values[0][0], "float32") == [-128, 3]


def test_integers_between_each_other_stay_what_they_are() -> None:
    """Without a scale; what the other cannot hold saturates and is counted."""
    outcome = cast(blobs([[-128, 3, 127]], "int8"), "int8", "uint8", dims=3)
    assert (numbers(outcome.values[0][0], "uint8"), outcome.saturated) == ([0, 3, 127], 1)
    assert numbers(cast(blobs([[200, 3]], "uint8"), "uint8", "int8", dims=2).values[0][0], "int8") == [127, 3]


# Truncate, normalize, and chains


@given(batches)
def test_normalized_vectors_have_length_one_and_stay_so(batch: Any) -> None:
    """Direction is kept; a second time changes nothing but the last place; the zero vector is bad."""
    place = vector("v", "float32", DIMS)
    once = run([place], [Normalize()], place, blobs(batch))
    zero = {row for row in range(len(batch)) if not batch[row].any()}
    assert set(reasons(once)) == zero
    assert set(reasons(once).values()) <= {"the zero vector has no direction and cannot be normalised"}
    twice = run([place], [Normalize()], place, once.values[0])
    for row, (first, second) in enumerate(zip(once.values[0], twice.values[0], strict=True)):
        if row not in zero:
            unit, wide = np.array(numbers(first, "float32")), batch[row].astype(np.float64)
            assert np.linalg.norm(unit) == pytest.approx(1, abs=1e-6)
            assert unit == pytest.approx(
                wide / np.abs(wide).max() / np.linalg.norm(wide / np.abs(wide).max()), abs=1e-6
            )
            assert numbers(second, "float32") == pytest.approx(unit.tolist(), abs=1e-7)


def test_very_large_and_very_small_vectors_are_normalized() -> None:
    """No square overflows or vanishes on the way."""
    place = vector("v", "float64", 2)
    outcome = run([place], [Normalize()], place, blobs([[3e300, 4e300], [3e-300, 4e-300]], "float64"))
    for blob in outcome.values[0]:
        assert numbers(blob, "float64") == pytest.approx([0.6, 0.8])


@given(batches, st.integers(1, DIMS))
def test_truncation_keeps_the_first_values_and_is_idempotent(batch: Any, dims: int) -> None:
    """Byte for byte the beginning of each vector."""
    stored, place = blobs(batch), vector("v", "float32", dims)
    once = run([vector("v", "float32", DIMS)], [Truncate()], place, stored).values[0]
    assert once == [blob[: dims * 4] for blob in stored]
    assert run([place], [Truncate()], place, once).values[0] == once


def test_a_vector_cannot_be_cut_to_more_than_it_has() -> None:
    """Nor does one of other dims pass without a truncation."""
    three, two = vector("v", "float32", 3), vector("v", "float32", 2)
    assert reasons(run([two], [Truncate()], three, blobs([[1, 2]]))) == {0: "2 values cannot be cut to 3"}
    assert reasons(run([three], [Cast()], two, blobs([[1, 2, 3]]))) == {0: "3 values, expected 2"}


def test_a_chain_is_applied_in_order_and_its_peak_is_what_the_cast_is_given() -> None:
    """Cut, then scaled to length 1, then cast: the scale is for values below 1, whatever was stored."""
    steps: list[TransformStep] = [Truncate(), Normalize(), Cast(scale=0.01)]
    outcome = run([vector("v", "float32", 3)], steps, vector("w", "int8", 2), blobs([[30, 40, 1e9], [0, 0, 7]]))
    assert numbers(outcome.values[0][0], "int8") == [60, 80]
    assert list(reasons(outcome)) == [1]
    assert dict(outcome.largest)["f"] == pytest.approx(0.8)


def test_a_copy_of_a_vector_is_the_same_bytes() -> None:
    """Also what search makes nothing of, such as NaN; but not a blob of the wrong length."""
    place = vector("v", "float32", 1)
    rows = [*blobs([[1.5], [np.nan]]), None, b"12345"]
    outcome = run([place], [Copy()], vector("w", "float32", 1), rows)
    assert outcome.values[0] == [*rows[:3], None]
    assert reasons(outcome) == {3: "5 bytes, expected 4 (1 x float32)"}


# JSON


def test_vectors_in_json_are_lists_of_numbers() -> None:
    """A cast rounds to the datatype; other steps keep the digits that were there."""
    place = vector("$.v", "float16", 2)
    wide = vector("$.v", "float32", 3)
    rows = [[0.1, 1, 2.5], None]
    assert run([wide], [Truncate()], place, rows, storage="json").values[0] == [[0.1, 1.0], None]
    rounded = run([wide], [Truncate(), Cast()], place, rows, storage="json").values[0]
    assert rounded == [[float(np.float16(0.1)), 1.0], None]
    integers = run([wide], [Cast(scale=0.5)], vector("$.v", "int8", 3), rows, storage="json").values[0]
    assert integers == [[0, 2, 5], None]
    assert [type(item) for item in integers[0]] == [int] * 3


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ([1.0], "1 values, expected 2"),
        ([1.0, "2"], "value 1 is a text, not a number"),
        ([True, 2], "value 0 is a truth value, not a number"),
        ([1.0, None], "value 1 is null, not a number"),
        ([[1.0, 2.0]], "value 0 is a list, not a number"),
        ("abc", "a text, expected a list of 2 numbers"),
        ({"a": 1}, "an object, expected a list of 2 numbers"),
        (7, "a number, expected a list of 2 numbers"),
        ([], "0 values, expected 2"),
        ([10**400, 1], "a value is beyond every datatype"),
        ([1e300, 1], "value 0 is 1e+300, beyond float32 (3.40282e+38)"),
    ],
)
def test_what_is_no_vector_in_json_is_bad(wrong: Any, reason: str) -> None:
    """Each with the figures, and without touching its neighbours."""
    place = vector("$.v", "float32", 2)
    outcome = run([place], [Cast()], place, [[1.0, 2.0], wrong, [3.0, 4.0]], storage="json")
    assert reasons(outcome) == {1: reason}
    assert outcome.values[0] == [[1.0, 2.0], None, [3.0, 4.0]]


def test_integers_in_json_must_be_such() -> None:
    """What the datatype cannot hold is bad."""
    place = vector("$.v", "int8", 2)
    outcome = run(
        [place], [Cast(scale=0.5)], vector("$.v", "float32", 2), [[1, -128], [0.5, 1], [1, 200]], storage="json"
    )
    assert outcome.values[0] == [[0.5, -64.0], None, None]
    assert reasons(outcome) == {1: "value 0 is 0.5, no int8", 2: "value 1 is 200, no int8"}


def test_several_vectors_of_a_path_are_transformed_one_by_one() -> None:
    """A list for a list; none where the path matches nothing; one bad vector makes its row bad."""
    place = vector("$.parts[*].v", "float32", 2)
    rows = [[[3.0, 4.0], [0.0, 2.0]], [], None, [[1.0, 0.0]], [[1.0, 0.0], [0.0, 0.0]], [[1.0, 0.0], None]]
    outcome = run([place], [Normalize()], place, rows, storage="json")
    found = outcome.values[0]
    assert np.allclose(found[0], [[0.6, 0.8], [0.0, 1.0]])
    assert found[1:] == [None, None, [[1.0, 0.0]], None, None]
    assert list(reasons(outcome)) == [4, 5]


def test_a_copy_in_json_is_the_same_value() -> None:
    """Whole numbers stay such."""
    place = vector("$.v", "float32", 2)
    assert run([place], [], vector("$.w", "float32", 2), [[1, 2.5]], storage="json").values[0] == [[1, 2.5]]
    assert reasons(run([place], [], place, [[1]], storage="json")) == {0: "1 values, expected 2"}


# Laws of all


@st.composite
def rows_of_all_kinds(draw: Any) -> list[bytes | None]:
    """Blobs that are right, wrong in each of the ways, and missing."""
    wrong = st.sampled_from([b"", b"12345", *blobs([[np.nan] * DIMS, [1, 2, 3, 4, -np.inf], [1e9] * DIMS, [0] * DIMS])])
    right = hnp.arrays(np.float32, DIMS, elements=st.floats(-9, 9, width=32)).map(lambda row: row.tobytes())
    found: list[bytes | None] = draw(st.lists(st.one_of(right, right, wrong, st.none()), min_size=1, max_size=12))
    return found


CHAINS: list[tuple[list[TransformStep], str]] = [
    ([Cast()], "float16"),
    ([Cast()], "bfloat16"),
    ([Cast(scale=0.1)], "int8"),
    ([Normalize(), Cast()], "float64"),
    ([Copy()], "float32"),
]


@pytest.mark.parametrize(("steps", "datatype"), CHAINS, ids=str)
@given(data=st.data(), rows=rows_of_all_kinds())
def test_each_row_fares_as_it_would_alone(
    steps: list[TransformStep], datatype: str, data: Any, rows: list[bytes | None]
) -> None:
    """Whatever order rows come in, and whoever they come with, each gets the same value or the same reason."""
    reads, writes = [vector("v", "float32", DIMS)], vector("v", datatype, DIMS)
    order = data.draw(st.permutations(range(len(rows))))
    together = run(reads, steps, writes, [rows[at] for at in order])
    found = reasons(together)
    saturated = 0
    for row, at in enumerate(order):
        alone = run(reads, steps, writes, [rows[at]])
        saturated += alone.saturated
        assert together.values[0][row] == alone.values[0][0]
        assert found.get(row) == reasons(alone).get(0)
    assert together.saturated == saturated
    assert [bad.row for bad in together.bad] == sorted(found)


def test_the_datatypes_are_those_of_the_model() -> None:
    """Every datatype has its dtype, bfloat16 included, which numpy alone does not know."""
    assert {name: dtype.itemsize for name, dtype in DTYPES.items()} == {
        "float64": 8,
        "float32": 4,
        "float16": 2,
        "bfloat16": 2,
        "int8": 1,
        "uint8": 1,
    }
