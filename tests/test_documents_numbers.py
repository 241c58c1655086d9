"""JSON numbers survive the server's quick way of reading decimals, whatever they are and wherever they stand."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from rvlstate.runtime.connect import connect
from rvlstate.runtime.documents.numbers import as_held, lasting

FINITE = st.floats(allow_nan=False, allow_infinity=False)
VECTOR_LIKE = st.floats(-1e6, 1e6) | st.floats(-4, 4, width=32) | st.floats(-1e-6, 1e-6)


@given(st.lists(VECTOR_LIKE))
@example([1e-30, 0.9397934234884371, -0.42219041157635356, 1.100000023841858])
def test_a_number_is_held_as_it_was_written(numbers: list[float]) -> None:
    """Every spelling lasts, and means the number or its neighbour."""
    sent = json.loads(lasting(json.dumps(numbers).encode()), parse_float=lambda text: (float(text), as_held(text)))
    for number, (meant, held) in zip(numbers, sent, strict=True):
        assert held in (meant, None)
        assert abs(meant - number) <= abs(number) * 2**-52


@given(st.recursive(st.text() | st.integers() | st.booleans() | FINITE | st.none(), st.lists, max_leaves=20))
@example(7947587826757471.0)
@example(["0.90535586667311770905", 'a "1.23456789012345678" b\\', 12345678901234567890123])
def test_nothing_else_changes(value: Any) -> None:
    """Texts, integers and names stay as they are."""
    for ascii_only in (True, False):
        text = json.dumps(value, ensure_ascii=ascii_only)
        told = json.loads(lasting(text.encode("utf-8", "surrogatepass")), parse_float=_coarse)
        assert told == json.loads(text, parse_float=_coarse)


def test_the_server_holds_what_is_predicted(redis_url: str) -> None:
    """Plain spellings change on the server as predicted; lasting ones do not."""
    with connect(redis_url) as connection:
        client: Any = connection.search
        numbers = [number / 7e5 for number in range(1, 20001)]
        wanted = lasting(json.dumps(numbers).encode()).decode()
        client.execute_command("JSON.SET", "numbers", "$", json.dumps(numbers))
        plain = json.loads(client.execute_command("JSON.GET", "numbers"))
        client.execute_command("JSON.SET", "numbers", "$", wanted)
        assert plain == [as_held(repr(number)) for number in numbers]
        assert json.loads(client.execute_command("JSON.GET", "numbers")) == json.loads(wanted)


def _coarse(text: str) -> str:
    return f"{float(text):.12g}"
