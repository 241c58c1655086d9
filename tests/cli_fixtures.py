"""The fixture of the command line's tests; a test module says `pytest_plugins = ("cli_fixtures",)`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_kit import Cli
from servers import EmbeddedServer, connected


@pytest.fixture
def cli(
    tmp_path: Path,
    server: EmbeddedServer,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Cli]:
    """A project with two declared indexes on an empty server; it is the current folder."""
    (tmp_path / "indexes").mkdir()
    (tmp_path / "rvlstate.yaml").write_text(
        f"version: 1\nproject: shop\nredis: {{url: '{redis_url}'}}\nschemas: [indexes/*.yaml]\npolicy: {{settle: 0s}}\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "110")
    with connected(server) as client:
        made = Cli(tmp_path, redis_url, client, capsys)
        made.declare("products", "title:text", "price:numeric")
        made.declare("categories", "label:tag")
        yield made
