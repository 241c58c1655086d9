"""Random interleavings of writers of both layouts with runs of a live change that are ended, killed and taken back."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from conftest import NewServer
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from kit import Shop, opened_shop
from phase_documents import Kind
from phase_machine import PhaseMachine
from servers import on_disk, start_server

from rvlstate.runtime.documents import scripts
from rvlstate.runtime.documents.worker import DocumentWorker

KEPT = {"appendonly": "yes", "appendfsync": "always"}
CI: dict[str, Any] = {
    "deadline": timedelta(seconds=60),
    "derandomize": True,
    "database": None,
    "suppress_health_check": list(HealthCheck),
    "stateful_step_count": 15,
}


def modelled(
    shop: Shop,
    kind: Kind,
    *,
    restart: Callable[[], None] | None = None,
    without: tuple[str, ...] = (),
    **options: Any,
) -> None:
    """Let Hypothesis look for a way to lose something, by all rules but some."""
    # Looked up on a class, a function would be a method.
    how = staticmethod(restart) if restart is not None else None
    rules = dict.fromkeys(without)
    machine = type("Machine", (PhaseMachine,), {"shop": shop, "kind": kind, "restart": how, **rules})
    run_state_machine_as_test(machine, settings=settings(**{**CI, **options}))


@contextmanager
def modelled_shop(
    new_server: NewServer, folder: Path, *, cluster: bool = False
) -> Iterator[tuple[Shop, Callable[[], None]]]:
    """A shop on a server of its own, and what restarts that server."""
    options = {} if cluster else KEPT
    server = new_server(cluster=cluster, options=options)

    def restart() -> None:
        on_disk(server)
        os.kill(shop.client.info("server")["process_id"], signal.SIGKILL)
        start_server(server.folder, options=options)

    with opened_shop(folder / "shop", server) as shop:
        yield shop, restart


@pytest.mark.requires("float16_vectors", "json")
@pytest.mark.parametrize(("kind", "examples"), [("cast", 3), ("json", 2), ("renamed", 2), ("moved", 2)])
def test_every_last_write_counts(new_server: NewServer, tmp_path: Path, kind: Kind, examples: int) -> None:
    """No lost update, no resurrection, expiries kept, untouched before the promotion; search answers with all."""
    with modelled_shop(new_server, tmp_path) as (shop, _):
        modelled(shop, kind, max_examples=examples)


@pytest.mark.requires("float16_vectors")
def test_every_last_write_counts_on_a_cluster(new_server: NewServer, tmp_path: Path) -> None:
    """The same on a node of a cluster, with documents in two slots."""
    with modelled_shop(new_server, tmp_path, cluster=True) as (shop, _):
        modelled(shop, "cast", max_examples=1)


def mutated(monkeypatch: pytest.MonkeyPatch, part: str, before: str, after: str) -> None:
    """The scripts with something else in one of their files."""
    read = resources.files

    class Mutated:
        def __init__(self, path: Any) -> None:
            self.path = path

        def joinpath(self, name: str) -> Mutated:
            return Mutated(self.path.joinpath(name))

        def read_bytes(self) -> bytes:
            text: bytes = self.path.read_bytes()
            if self.path.name != f"{part}.lua":
                return text
            assert before.encode() in text
            return text.replace(before.encode(), after.encode())

    monkeypatch.setattr(scripts, "files", lambda name: Mutated(read(name)))


UNGUARDED = ("fields", "digest(values, guarded(values)) == seen and values", "values")
UNSEEING = ("look", "math.abs(mark) == content(key) and settle", "settle")
FORGETFUL = ("content", "ours and redis.call('UNLINK', copy) or 0", "0")


@pytest.fixture
def fresh_scripts() -> Iterator[None]:
    """Scripts that are read anew, before and after."""
    for cached in (scripts.script, scripts.made_of):
        cached.cache_clear()
    yield
    for cached in (scripts.script, scripts.made_of):
        cached.cache_clear()


SOON: dict[str, Any] = {"max_examples": 60, "phases": (Phase.generate,), "report_multiple_bugs": False}


@pytest.mark.requires("float16_vectors")
@pytest.mark.usefixtures("fresh_scripts")
def test_the_model_finds_an_engine_that_writes_what_it_read_before(
    new_server: NewServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the comparison of digests a write between reading and writing is lost; the other rules are left out."""
    mutated(monkeypatch, *UNGUARDED)
    with modelled_shop(new_server, tmp_path) as (shop, _), pytest.raises(AssertionError, match="written last"):
        modelled(shop, "cast", without=("run", "killed", "meddled"), **SOON)


@pytest.mark.requires("float16_vectors")
@pytest.mark.usefixtures("fresh_scripts")
@pytest.mark.parametrize("mutation", [(), UNSEEING, FORGETFUL], ids=["none", "promotes unseen", "forgets"])
def test_the_model_finds_an_engine_that_does_not_look(
    new_server: NewServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mutation: tuple[str, ...]
) -> None:
    """One walk through the model: documents change and go while their copies wait; only the engine as it is passes."""
    if mutation:
        mutated(monkeypatch, *mutation)
    with modelled_shop(new_server, tmp_path) as (shop, _):
        machine = type("Machine", (PhaseMachine,), {"shop": shop, "kind": "cast"})()
        with pytest.raises(AssertionError) if mutation else nullcontext():
            machine.begin(["{a}0", "{a}1", "{b}0", "{b}1"], manual=True, keeps=mutation is not UNSEEING)
            machine.run("on")
            machine.application([lambda apps: apps.delete("{a}0"), lambda apps: apps.write_all("old")])
            machine.run("on")
            machine.teardown()


@pytest.mark.requires("float16_vectors")
def test_the_model_finds_what_is_left_behind(
    new_server: NewServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rollback that leaves copies does not get past it."""
    monkeypatch.setattr(DocumentWorker, "tidy", lambda *_: None)
    with modelled_shop(new_server, tmp_path) as (shop, _), pytest.raises(AssertionError):
        modelled(shop, "cast", **SOON)
