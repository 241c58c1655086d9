"""The kill matrix: a real apply is killed at each command that it sends, and running it again ends in the same place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from kill_matrix import CASES, Case, Matrix, describe, distinct_points
from kit import Shop, opened_shop
from nursery import Nursery
from proxy import proxied
from servers import EmbeddedServer, flush

pytest_plugins = ("story_fixtures",)


@pytest.fixture
def matrix(request: pytest.FixtureRequest, server: EmbeddedServer, server_root: Path, tmp_path: Path, nursery: Nursery) -> Iterator[Matrix]:
    case = request.param
    flush(server)
    with proxied(server_root, server.url) as proxy, opened_shop(tmp_path / "shop", server) as shop:
        matrix = Matrix(case=case, shop=shop, proxy=proxy, nursery=nursery)
        matrix.prepare()
        yield matrix

import time
@pytest.mark.parametrize("matrix", CASES, ids=lambda case: case.name, indirect=True)
def test_killed_after_any_write(matrix: Matrix) -> None:
    points = distinct_points(matrix.commands)
    print("\n".join(describe(matrix.commands)))
    print(len(points), len(matrix.commands))
    t = time.time()
    for number in points:
        try:
            matrix.kill(number, "after")
        except BaseException as e:
            raise AssertionError(f"killed after {describe(matrix.commands)[number-1]}") from e
    print("took", time.time() - t)
