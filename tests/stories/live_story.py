"""The stories of a change under load, at any size: what is declared, how it is carried out, what must be so then."""

from __future__ import annotations

import inspect
import os
import random
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import redis
from document_shop import ALLOWED, assert_complete, own_code
from kill_matrix import take_lock_away
from kit import Shop, numeric, tag, text, vector
from live import Crowd, Load, Observed, crowd, fill
from live_checker import Verdict
from live_documents import Form, vector_of
from nursery import Nursery
from observe import resolves_to

from rvlstate.runtime.outcome import Report

ROLLING = (("new", "mixed"), ("new",))
"""A rolling deployment: one writer is new at once, the other for a while by chance."""

AT_ONCE = (("new",),)
MIXED_WRITES = 150
"""How many writes a rolling deployment takes."""

BESIDE = 100
"""Writes before the change begins and after it has ended."""

SETTLE = "400ms"
POLL = 0.02
TRIES = 6
EMBED = f"""
import hashlib

import numpy as np
import numpy.typing as npt


{inspect.getsource(vector_of)}

def embed(texts):
    return np.stack([vector_of(text, DIMS) for text in texts])
"""


def declare(shop: Shop, form: Form) -> None:
    """The schema of a layout."""
    texts, tags = (form.title, "body"), ("kind", "sku")
    fields = [*map(text, texts), *map(tag, tags), numeric("version")]
    fields.append(vector("embedding", dims=form.dims, datatype=form.datatype))
    if form.storage == "json":
        fields = [{**field, "path": f"$.{field['name']}"} for field in fields]
    shop.declare("products", *fields, prefix=form.prefix, storage_type=form.storage)


def settings(load: Load) -> dict[str, Any]:
    """What is said about the change beside the schema."""
    match load.kind:
        case "rename":
            return {"fields": {load.change.new.title: {"renamed_from": load.change.old.title}}}
        case "dims":
            return {"fields": {"embedding": {"transform": "own:embed", "reads": ["body"]}}}
        case "none" | "dtype" | "json" | "prefix":
            return {}


def serve(shop: Shop, load: Load, *, naming: str = "alias") -> None:
    """Documents in the old layout and the index over them."""
    fill(shop.client, load)
    allowed = [*ALLOWED, "NAME_BECOMES_ALIAS", "MEMORY_PEAK", "SLOW_BUILD", "CUTOVER_GAP"]
    shop.configure(policy={"settle": SETTLE, "naming": naming, "allow": allowed})
    declare(shop, load.change.old)
    shop.apply()


def declare_change(shop: Shop, load: Load, **more: Any) -> None:
    """What is to be."""
    if load.kind == "dims":
        own_code(shop, f"DIMS = {load.change.new.dims}\n{EMBED}")
    shop.configure(indexes={"products": {**settings(load), **more}})
    declare(shop, load.change.new)


@contextmanager
def deployed_at_cutover(clients: Crowd, *deployments: tuple[str, ...]) -> Iterator[threading.Event]:
    """Once the name leads to another index than now, writers are told how to write, in turn; whether that was done."""
    done, over = threading.Event(), threading.Event()
    name = clients.load.names[0]

    def deploy() -> None:
        for modes in deployments:
            clients.deploy(*modes)
            least = clients.writes + MIXED_WRITES
            while modes != deployments[-1] and clients.writes < least and not over.wait(POLL):
                pass
        done.set()

    def follow() -> None:
        with redis.from_url(clients.url, protocol=2) as client:
            ends = False
            while not done.is_set() and not ends:
                ends = over.wait(POLL)  # and one look more: the change may have been quick
                with suppress(redis.ConnectionError):
                    if resolves_to(client, name) not in (before, None):
                        deploy()

    with redis.from_url(clients.url, protocol=2) as asking:
        before = resolves_to(asking, name)
    thread = threading.Thread(target=follow)
    thread.start()
    try:
        yield done
    finally:
        over.set()
        thread.join()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a story ended; `began` and `ended` are moments of the change (seconds since 1970)."""

    observed: Observed
    verdict: Verdict
    began: float
    ended: float
    deployed: bool
    report: Report | None = None
    kills: int = 0

    @property
    def line(self) -> str:
        """The outcome in one line."""
        seen, told = self.observed.seen, self.observed.written.told
        p99 = self.observed.percentiles(self.began, self.ended)["during"].get("p99_ms")
        return (
            f"{self.ended - self.began:.1f} s, {self.kills} kills; {seen.queries} queries (p99 during {p99} ms), "
            f"{sum(count for name, count in told.items() if ' ' in name)} writes {told}; "
            f"staged keys in {seen.staged} answers for {self.observed.staged_seconds:.2f} s, {seen.doubled} doubled, "
            f"{seen.encoding_switches} encoding switches, {seen.disconnected} disconnected; "
            f"faults {self.verdict.faults}, odd answers { ({k: len(v) for k, v in self.observed.oddities.items()}) }"
        )


@contextmanager
def at_work(
    shop: Shop, load: Load, *deployments: tuple[str, ...], patience: float = 10.0, foreign: tuple[bytes, ...] = ()
) -> Iterator[tuple[Crowd, list[Outcome]]]:
    """Clients at work around what is done in the block; the outcome is in the list afterwards.

    `patience`: for how many seconds the index may go on taking note of the last writes. `foreign`: what keys begin
    with that are none of theirs.
    """
    outcomes: list[Outcome] = []
    with crowd(shop.url, shop.folder / "logs", load) as clients:
        clients.await_writes(BESIDE)
        with deployed_at_cutover(clients, *deployments) as deployed:
            began = time.time()
            yield clients, outcomes
            ended = time.time()
        clients.await_writes(BESIDE)
        observed = clients.stop()
    verdict = clients.check(shop.client, patience=patience, foreign=foreign)
    outcomes.append(Outcome(observed=observed, verdict=verdict, began=began, ended=ended, deployed=deployed.is_set()))


def assert_nothing_lost(shop: Shop, outcome: Outcome) -> None:
    """Every write is there, in the new layout, found once; nothing else is, and nothing is left to do."""
    assert outcome.verdict.faults == {}, outcome.verdict.findings
    assert outcome.deployed
    assert outcome.observed.written.refusals == ()
    assert_complete(shop)


def assert_unnoticed(outcome: Outcome) -> None:
    """No query failed and no answer was wrong, while there were many."""
    assert outcome.observed.oddities == {}
    assert outcome.observed.seen.disconnected == 0
    assert len(outcome.observed.latencies) > 200
    assert outcome.observed.written.told["ok"] > 2 * BESIDE


def carried_out(shop: Shop, nursery: Nursery, environ: Mapping[str, str] | None = None) -> None:
    """Apply as a process of its own, again where it had to give up, until it ends well."""
    for _ in range(TRIES):
        ending = nursery.wait(nursery.run(*shop.arguments("apply", "--yes"), environ=environ))
        if ending.code == 0:
            return
    raise AssertionError(ending.output)


def killed_until_done(shop: Shop, nursery: Nursery, *, kills: int, longest: float, seed: int = 7) -> int:
    """Apply, killed so many times at random moments of up to `longest` seconds, and then not; the kills that hit."""
    chance, hit = random.Random(seed), 0
    for _ in range(kills):
        pid = nursery.run(*shop.arguments("apply", "--yes"))
        time.sleep(chance.uniform(0.05, longest))
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        ending = nursery.wait(pid)
        if not ending.killed:
            assert ending.code == 0, ending.output
            break
        hit += 1
        take_lock_away(shop)
    carried_out(shop, nursery)
    return hit


@contextmanager
def subscriptions_cut(shop: Shop, *, every: float = 0.1) -> Iterator[None]:
    """Who listens to the server is disconnected, again and again."""
    over = threading.Event()

    def cut() -> None:
        with redis.from_url(shop.url, protocol=2) as client:
            while not over.wait(every):
                with suppress(redis.ConnectionError):
                    client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")

    thread = threading.Thread(target=cut)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
