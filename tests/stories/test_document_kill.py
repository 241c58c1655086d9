"""Changes of documents killed at the commands that they send: running again ends as if nothing had happened.

`tests/soak` kills after every single write, before reads, and at random moments of long changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from document_cases import DOCUMENT_CASES
from kill_matrix import Matrix, decisive, prepared
from nursery import Nursery
from proxy import Command, Point, is_polled
from servers import EmbeddedServer

pytest_plugins = ("story_fixtures",)

BY_NAME = {case.name: case for case in DOCUMENT_CASES}


@pytest.fixture
def matrix(
    request: pytest.FixtureRequest, server: EmbeddedServer, tmp_path: Path, nursery: Nursery
) -> Iterator[Matrix]:
    """The case that the parameter names, prepared on the shared server."""
    with prepared(BY_NAME[request.param], server, tmp_path, nursery) as opened:
        yield opened


def some(matrix: Matrix) -> list[tuple[Point, Command]]:
    """Of each kind of write the last one, and of those that come in batches one in the middle as well."""
    kinds: dict[str, list[tuple[Point, Command]]] = {}
    for point, command in decisive(matrix):
        kinds.setdefault(point.label, []).append((point, command))
    told = ("EVAL acquire", "EVAL release", "FT.SYNUPDATE", "DEL")  # what other kill tests are about, and notes
    wanted = [points for label, points in sorted(kinds.items()) if not label.startswith(told)]
    last = [points[-1] for points in wanted]
    return last + [points[len(points) // 2] for points in wanted if is_polled(points[0][1]) and len(points) > 1]


@pytest.mark.requires("bfloat16_vectors")
@pytest.mark.parametrize("matrix", [case.name for case in DOCUMENT_CASES if not case.soak], indirect=True)
def test_killed_after_some_writes(matrix: Matrix) -> None:
    """D11, D13, scenarios 29, 38: document by document, index by index the same; nothing is converted twice or left."""
    matrix.kill_at(some(matrix))


@pytest.mark.requires("bfloat16_vectors")
@pytest.mark.parametrize("matrix", ["recreate-over-alias"], indirect=True)
def test_the_installed_program_killed_while_it_writes(matrix: Matrix) -> None:
    """The same with a process that was started as a user starts it, before the server gets a batch."""
    batches = [point for point, command in decisive(matrix) if command[0].upper() == b"EVALSHA"]
    # How many there are of a kind differs from run to run; the first of each always comes.
    first = [point for point in batches if point.occurrence == 1]
    assert matrix.kill(replace(first[-1], when="before"), start=matrix.run_program)


@pytest.mark.requires("bfloat16_vectors")
@pytest.mark.parametrize("matrix", ["recreate-over-alias"], indirect=True)
def test_killed_twice(matrix: Matrix) -> None:
    """The run that goes on is killed as well."""
    points = [point for point, _ in decisive(matrix)]
    noted = [point for point in points if point.label.startswith("SET ")]
    created = next(point for point in points if point.label == "FT.CREATE products@2")
    # How often the progress is noted differs from run to run; the first note always comes.
    assert matrix.kill(noted[0], created)
