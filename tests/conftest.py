"""Fixtures that give the tests real servers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Protocol

import pytest
from hypothesis import settings
from servers import CAPABILITIES, discard, flush, guarded_root, is_capable

from rvlstate.runtime.embedded import EmbeddedServer, start_server

# The same examples in every run, so that a run says something about the change at hand; `make soak` looks for others.
settings.register_profile("repeatable", derandomize=True)


def pytest_configure(config: pytest.Config) -> None:
    """Draw at random only where tests run for long."""
    if config.getoption("markexpr") != "soak":
        settings.load_profile("repeatable")


class NewServer(Protocol):
    """Starts a server of the test's own, with further settings of Redis such as `{"maxmemory": "20mb"}`."""

    def __call__(self, *, cluster: bool = False, options: Mapping[str, str] | None = None) -> EmbeddedServer:
        """A running server; call again for another one."""
        ...


@pytest.fixture(scope="session")
def server_root() -> Iterator[Path]:
    """A short folder; servers anywhere below it are stopped when the tests end, fail or are killed."""
    with guarded_root() as root:
        yield root


@pytest.fixture(scope="session")
def server(server_root: Path) -> EmbeddedServer:
    """The server that most tests share; use `redis_url` to have it empty."""
    return start_server(server_root / "shared")


@pytest.fixture(scope="session")
def cluster_server(server_root: Path) -> EmbeddedServer:
    """The single-node cluster that tests share; use `cluster_url` to have it empty."""
    return start_server(server_root / "cluster", cluster=True)


@pytest.fixture
def redis_url(server: EmbeddedServer) -> str:
    """The address of the shared server, emptied."""
    flush(server)
    return server.url


@pytest.fixture
def cluster_url(cluster_server: EmbeddedServer) -> str:
    """The address of the shared single-node cluster, emptied."""
    flush(cluster_server)
    return cluster_server.url


@pytest.fixture
def server_folder(server_root: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A folder that does not exist yet, for a server of the test's own; stopped and removed afterwards."""
    folder = unused_folder(server_root)
    yield folder
    discard(folder)


@pytest.fixture
def new_server(server_root: Path) -> Iterator[NewServer]:
    """A factory of servers of the test's own, to be killed, restarted or filled; stopped afterwards."""
    started: list[Path] = []

    def start(*, cluster: bool = False, options: Mapping[str, str] | None = None) -> EmbeddedServer:
        started.append(unused_folder(server_root))
        return start_server(started[-1], cluster=cluster, options=options)

    yield start
    for folder in started:
        discard(folder)


def unused_folder(root: Path) -> Path:
    """A path below the root where nothing is."""
    return next(folder for number in count(1) if not (folder := root / f"own-{number}").exists())


@pytest.fixture(autouse=True)
def _required_capabilities(request: pytest.FixtureRequest) -> None:
    """Skips a test that requires what the server lacks, saying so; a capability nobody knows is an error."""
    for mark in request.node.iter_markers("requires"):
        for capability in mark.args:
            assert capability in CAPABILITIES, f"unknown capability {capability!r}; known: {sorted(CAPABILITIES)}"
            if not is_capable(request.getfixturevalue("server"), capability):
                pytest.skip(f"the server lacks {capability}")
