"""The kill matrix: a real apply is killed at the commands that it sends, and running it again ends in the same place.

`tests/soak` kills at every single command, before and after it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from kill_cases import CASES, PRODUCTS
from kill_matrix import Matrix, decisive, prepared
from nursery import Nursery
from proxy import is_journal
from servers import EmbeddedServer

pytest_plugins = ("story_fixtures",)

BY_NAME = {case.name: case for case in CASES}
SHADOW = "shadow-over-alias"
PHYSICAL = "shadow-over-physical-name"


@pytest.fixture
def matrix(
    request: pytest.FixtureRequest, server: EmbeddedServer, tmp_path: Path, nursery: Nursery
) -> Iterator[Matrix]:
    """The case that the parameter names, prepared on the shared server."""
    with prepared(BY_NAME[request.param], server, tmp_path, nursery) as opened:
        yield opened


@pytest.mark.parametrize("matrix", [case.name for case in CASES if not case.soak], indirect=True)
def test_killed_after_any_write(matrix: Matrix) -> None:
    """Scenario 38, D11: killed after any command that changes something, running again ends in the same place.

    Search by name answers at every moment, documents stay as they are, and nothing is left behind.
    """
    matrix.kill_at(decisive(matrix))


@pytest.mark.parametrize("matrix", [SHADOW], indirect=True)
def test_killed_while_it_tells_what_it_does(matrix: Matrix) -> None:
    """Where the journal and the heartbeat were cut off plays no part: one of each kind, near the end of the run."""
    last = {point.label: (point, command) for point, command in matrix.points if is_journal(command)}
    matrix.kill_at(last.values())


@pytest.mark.parametrize("matrix", ["add-fields", PHYSICAL, "delete"], indirect=True)
def test_the_installed_program_killed(matrix: Matrix) -> None:
    """The same with a process that was started as a user starts it, at its last command on indexes."""
    point = [point for point, command in decisive(matrix) if "save" not in point.label][-2]
    assert matrix.kill(point, start=matrix.run_program)


@pytest.mark.parametrize("matrix", [SHADOW], indirect=True)
def test_killed_holder_loses_the_lock_by_itself(matrix: Matrix) -> None:
    """Scenario 8: nobody unlocks; the lease of the killed run ends, and the next run takes over and goes on."""
    matrix.lease_seconds = 1.0
    point = next(point for point, _ in decisive(matrix) if point.label == "FT.CREATE products@2")
    assert matrix.kill(point)


def test_killed_in_the_gap_of_a_cluster(cluster_server: EmbeddedServer, tmp_path: Path, nursery: Nursery) -> None:
    """Where drop and alias are two commands, a run killed between them is gone on with, and the name answers."""
    gap = replace(BY_NAME[PHYSICAL], answers=(), allow=("NAME_BECOMES_ALIAS", "CUTOVER_GAP"))
    with prepared(gap, cluster_server, tmp_path, nursery) as matrix:
        labels = [point.label for point, _ in decisive(matrix)]
        between = labels.index("FT.DROPINDEX products")
        assert labels[between + 1] == "FT.ALIASUPDATE products"
        matrix.kill_at(decisive(matrix)[between : between + 2])
        assert matrix.shop.count() == PRODUCTS
