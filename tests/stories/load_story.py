"""The story of a cutover under load, at any length."""

from __future__ import annotations

import time
from dataclasses import dataclass

from kit import Shop, numeric, tag, text, vector
from load import Crowd, Load, Written, crowd, document
from observe import await_built

from rvlstate.events import Event, StepFinished, StepStarted

FIELDS = (text("title"), tag("category"), tag("sku"), numeric("version"))


AFTERWARDS = 0.5
"""Seconds for which the clients go on after the apply."""


def declare(shop: Shop, dims: int, *, weight: float, m: int) -> None:
    """Products with a vector graph."""
    shop.declare("products", text("title", weight=weight), *FIELDS[1:], vector("embedding", dims=dims, m=m))


def load(shop: Shop, story: Load) -> None:
    """Write the documents that are there before."""
    pipeline = shop.client.pipeline(transaction=False)
    for number in range(story.documents):
        pipeline.hset(f"products:p{number}", mapping=document(f"p{number}", number, story.dims))
        if number % 1000 == 999:
            pipeline.execute()
    pipeline.execute()


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What clients saw and wrote, and between which instants each step of the apply was carried out."""

    crowd: Crowd
    steps: dict[str, list[float]]

    @property
    def line(self) -> str:
        """The outcome in one line."""
        seen, written = self.crowd.seen, self.crowd.written
        writes = sum(version + 1 for version in written.versions.values()) + 2 * len(written.deleted)
        return (
            f"{seen.queries} queries (p99 {seen.p99 * 1000:.1f} ms, longest {max(seen.seconds) * 1000:.1f} ms), "
            f"at least {writes} writes; {len(seen.failures)} failed, {len(seen.empty)} empty, {len(seen.short)} short"
        )


def cut_over_under_load(shop: Shop, story: Load, *, naming: str = "alias", allow: tuple[str, ...] = ()) -> Outcome:
    """Build and cut over while clients are at work; what they saw, once it is clear that no write was lost."""
    load(shop, story)
    shop.configure(policy={"naming": naming})
    declare(shop, story.dims, weight=1.0, m=8)
    shop.apply()
    declare(shop, story.dims, weight=2.0, m=16)
    steps: dict[str, list[float]] = {}
    operations: dict[str, str] = {}

    def note(event: Event) -> None:
        if isinstance(event, StepStarted):
            operations[event.step] = event.operation
        if isinstance(event, StepStarted | StepFinished):
            steps.setdefault(operations[event.step], []).append(time.time())

    with crowd(shop.url.replace("redis+cluster", "redis"), "products", story) as clients:
        report = shop.apply(allow=allow, on_event=note)
        time.sleep(AFTERWARDS)
        clients.stop()
    assert report.plan_empty
    assert_found(shop, clients.written, story)
    shop.assert_settled()
    return Outcome(crowd=clients, steps=steps)


def assert_unnoticed(outcome: Outcome) -> None:
    """No query failed, and every answer had all that nobody touches."""
    seen = outcome.crowd.seen
    assert seen.failures == []
    assert seen.empty == []
    assert seen.short == []


def assert_found(shop: Shop, written: Written, story: Load) -> None:
    """What was written meanwhile is found as it was written last, and what was deleted is not."""
    assert written.versions
    assert written.deleted
    await_built(shop.client, "products")
    pipeline = shop.client.pipeline(transaction=False)
    for identity, version in written.versions.items():
        query = f"@sku:{{{identity}}} @version:[{version} {version}]"
        pipeline.execute_command("FT.SEARCH", "products", query, "NOCONTENT")
    for identity in written.deleted:
        pipeline.execute_command("FT.SEARCH", "products", f"@sku:{{{identity}}}", "NOCONTENT")
    replies = pipeline.execute()
    counts = [reply[0] for reply in replies]
    assert counts == [1] * len(written.versions) + [0] * len(written.deleted)
    assert shop.count() == story.documents + len(written.versions)
