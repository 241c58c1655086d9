"""The fixtures of the stories, as a plugin: a test module says `pytest_plugins = ("story_fixtures",)`.

Not a conftest.py, since mypy takes two of them for one module.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from kit import Shop, opened_shop
from nursery import Nursery, open_nursery
from proxy import Proxy, proxied
from servers import EmbeddedServer, flush


@pytest.fixture
def shop(tmp_path: Path, server: EmbeddedServer) -> Iterator[Shop]:
    """An empty project on the emptied shared server."""
    flush(server)
    with opened_shop(tmp_path / "shop", server) as opened:
        yield opened


@pytest.fixture
def cluster_shop(tmp_path: Path, cluster_server: EmbeddedServer) -> Iterator[Shop]:
    """An empty project on the emptied single-node cluster."""
    flush(cluster_server)
    with opened_shop(tmp_path / "cluster-shop", cluster_server) as opened:
        yield opened


@pytest.fixture(params=["standalone", "cluster"])
def any_shop(request: pytest.FixtureRequest) -> Shop:
    """An empty project on the shared server and on the single-node cluster in turn."""
    chosen: Shop = request.getfixturevalue("shop" if request.param == "standalone" else "cluster_shop")
    return chosen


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    """A process that forks appliers."""
    with open_nursery(tmp_path_factory.mktemp("nursery")) as opened:
        yield opened


@pytest.fixture
def proxy(server: EmbeddedServer) -> Iterator[Proxy]:
    """A proxy in front of the shared server."""
    with proxied(server.folder.parent, server.url) as opened:
        yield opened
