"""The kill matrix: a real apply is killed at each command that it sends, and running it again ends in the same place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from kill_matrix import CASES, Matrix
from kit import Shop, opened_shop
from nursery import Nursery
from proxy import is_write, proxied
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

@pytest.mark.parametrize("matrix", CASES, ids=lambda case: case.name, indirect=True)
def test_killed_after_any_write(matrix: Matrix) -> None:
    """Scenario 38: killed after any command that changes something, an apply that is run again ends in the same place."""
    matrix.kill_at([(point, command) for point, command in matrix.points if is_write(command)])
