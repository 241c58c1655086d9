"""The whole kill matrix: every case, at every single command, before the server gets it and when its reply has come."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from kill_cases import CASES, IMPORT, Case
from kill_matrix import decisive, prepared
from nursery import Nursery
from proxy import When
from servers import EmbeddedServer

pytest_plugins = ("story_fixtures",)
pytestmark = [pytest.mark.soak, pytest.mark.timeout(0)]

OTHER_SLOTS = ("rename", "rename-of-physical-name")
ON_A_CLUSTER = [
    case
    for case in CASES
    # Without a coordinator, a name can lead to indexes of its own hash slot only: not to one that is called otherwise.
    if case.command != IMPORT and case.name not in OTHER_SLOTS and not case.name.startswith("further-alias")
]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_killed_at_every_command(
    case: Case, when: When, server: EmbeddedServer, tmp_path: Path, nursery: Nursery
) -> None:
    """Scenario 38: reads, scripts and commands on indexes alike; running again always ends in the same place."""
    with prepared(case, server, tmp_path, nursery) as matrix:
        matrix.kill_at([(replace(point, when=when), command) for point, command in matrix.points])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_installed_program_killed(case: Case, server: EmbeddedServer, tmp_path: Path, nursery: Nursery) -> None:
    """A process that was started as a user starts it, at each command that changes something."""
    with prepared(case, server, tmp_path, nursery) as matrix:
        for point, _ in decisive(matrix):
            assert matrix.kill(point, start=matrix.run_program)


@pytest.mark.parametrize("case", ON_A_CLUSTER, ids=lambda case: case.name)
def test_killed_on_a_cluster(case: Case, cluster_server: EmbeddedServer, tmp_path: Path, nursery: Nursery) -> None:
    """The same on one node that owns all slots; a physical name has its gap there, so its answers are not asked for."""
    gap = "take_name" in case.operations
    allow = (*case.allow, "CUTOVER_GAP") if gap else case.allow
    chosen = replace(case, allow=allow, answers=() if gap else case.answers)
    with prepared(chosen, cluster_server, tmp_path, nursery) as matrix:
        matrix.kill_at(decisive(matrix))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_killed_twice(case: Case, server: EmbeddedServer, tmp_path: Path, nursery: Nursery) -> None:
    """A run that goes on with a killed one may be killed as well, at the same kind of command or at the next one."""
    with prepared(case, server, tmp_path, nursery) as matrix:
        points = [point for point, _ in decisive(matrix)]
        for first, second in zip(points, [*points[1:], points[-1]], strict=True):
            matrix.kill(first, first)
            matrix.kill(first, second)
