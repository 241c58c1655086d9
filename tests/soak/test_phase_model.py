"""The model of phases at full length: every kind of change, with crashes of the server in between, and on a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from conftest import NewServer
from phase_documents import Kind
from test_phase_machine import modelled, modelled_shop

pytestmark = [pytest.mark.soak, pytest.mark.timeout(0), pytest.mark.requires("float16_vectors", "json")]

LONG: dict[str, Any] = {"max_examples": 150, "stateful_step_count": 25, "derandomize": False}
KINDS: tuple[Kind, ...] = ("cast", "json", "renamed", "renamed_js", "computed", "moved")


@pytest.mark.parametrize("kind", KINDS)
def test_every_last_write_counts(new_server: NewServer, tmp_path: Path, kind: Kind) -> None:
    """With a crash of the server at some moment of each example; ten minutes or so a kind."""
    with modelled_shop(new_server, tmp_path) as (shop, restart):
        modelled(shop, kind, restart=restart, **LONG)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "moved"])
def test_every_last_write_counts_on_a_cluster(new_server: NewServer, tmp_path: Path, kind: Kind) -> None:
    """On a node of a cluster."""
    with modelled_shop(new_server, tmp_path, cluster=True) as (shop, _):
        modelled(shop, kind, **{**LONG, "max_examples": 50})
