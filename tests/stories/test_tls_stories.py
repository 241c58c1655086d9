"""rediss://: whole changes through TLS, and what is said where certificates do not fit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from document_shop import OTHERS, configure, embedding, narrow, served, vectors
from kit import Shop
from servers import EmbeddedServer
from tls_front import Front, tls_front

from rvlstate.errors import ServerUnreachableError
from rvlstate.project import Project

pytest_plugins = ("story_fixtures",)


@pytest.fixture
def front(tmp_path: Path, server: EmbeddedServer) -> Iterator[Front]:
    """TLS in front of the shared server."""
    with tls_front(tmp_path / "tls", server.url) as opened:
        yield opened


@pytest.fixture
def shop(shop: Shop) -> Shop:
    """With an index to plan for."""
    shop.declare("products", *OTHERS, embedding())
    return shop


def by_way_of(shop: Shop, url: str) -> Project:
    """The project of the shop through another address."""
    return Project.load(shop.file, redis_url=url)


@pytest.mark.parametrize("strategy", ["auto", "recreate"])
def test_documents_are_changed_through_tls(shop: Shop, front: Front, strategy: str) -> None:
    """Scripts, pipelines, watched keys, and notifications on a connection of their own."""
    served(shop)
    configure(shop, strategy=strategy)
    shop.declare("products", *OTHERS, embedding("float16"))
    with by_way_of(shop, front.url(f"ssl_ca_certs={front.authority}")) as project:
        plan = project.plan()
        assert project.apply(plan).result == "done"
        assert not project.plan().steps
        assert not project.drift().found
    assert vectors(shop, 0, 7) == [narrow(0), narrow(7)]


def test_an_unknown_authority_is_no_server_to_write_to(shop: Shop, front: Front) -> None:
    """Its certificate is checked unless the URL says otherwise."""
    with pytest.raises(ServerUnreachableError) as caught, by_way_of(shop, front.url()) as project:
        project.plan()
    assert caught.value.what == "no TLS connection to the server"
    assert "certificate verify failed" in caught.value.why
    assert "ssl_ca_certs" in caught.value.next_step


def test_a_certificate_for_another_name_is_refused(shop: Shop, front: Front) -> None:
    """As whoever stands between would have."""
    url = front.url(f"ssl_ca_certs={front.authority}").replace("127.0.0.1", "localhost")
    with pytest.raises(ServerUnreachableError, match="no TLS connection"), by_way_of(shop, url) as project:
        project.plan()


def test_a_server_may_ask_for_a_certificate(shop: Shop, tmp_path: Path, server: EmbeddedServer) -> None:
    """The one that the URL names is shown; without one the error says what the server did."""
    served(shop)
    with tls_front(tmp_path / "mutual", server.url, mutual=True) as front:
        known = f"ssl_ca_certs={front.authority}"
        shown = (f"ssl_certfile={front.client}", f"ssl_keyfile={front.client}")
        with by_way_of(shop, front.url(known, *shown)) as project:
            assert not project.plan().steps
        with pytest.raises(ServerUnreachableError), by_way_of(shop, front.url(known)) as project:
            project.plan()


def test_a_plain_address_of_a_server_with_tls_is_explained(shop: Shop, front: Front) -> None:
    """redis:// where rediss:// is meant."""
    with pytest.raises(ServerUnreachableError) as caught, by_way_of(shop, front.url(scheme="redis")) as project:
        project.plan()
    assert "rediss://" in caught.value.next_step
