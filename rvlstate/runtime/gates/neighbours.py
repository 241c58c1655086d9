"""Neighbours of sampled documents in one index: what it answers, and what is true where that can be afforded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rvlstate.model.canonical import STAGED, canonicalise
from rvlstate.model.check import KnnCheck
from rvlstate.model.definition import IndexDefinition
from rvlstate.model.field import VectorField
from rvlstate.plan.effects import Findings, Sampled
from rvlstate.runtime.connect import Connection
from rvlstate.runtime.gates.copies import NO_COPIES, Copies
from rvlstate.runtime.gates.search import Search
from rvlstate.runtime.gates.truth import Near, is_affordable, true_neighbours
from rvlstate.runtime.gates.vectors import SeveralVectorsError, StoredVectors, ask_keys, digest, sketch

WINDOWS = (1, 16, 256)
"""How many documents are looked at, at one spot of the index, until one has a vector."""

Vectors = dict[str, bytes]
"""Key -> the document's own vector."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """One knn check on one index, which may hold staged `copies` of documents."""

    connection: Connection
    search: Search
    definition: IndexDefinition
    check: KnnCheck
    copies: Copies = NO_COPIES

    def measure(self, like: Findings | None) -> Findings:
        """The neighbours of the documents of `like` that are still there, else (or if it has none) of an own sample."""
        field = self.definition.field(self.check.knn)
        if not isinstance(field, VectorField):
            return Findings(note=f"{self.search.index} has no vector field {self.check.knn}")
        stored = StoredVectors(connection=self.connection, definition=self.definition, field=field, copies=self.copies)
        try:
            return self._measure(stored, like)
        except SeveralVectorsError:
            return Findings(note=f"documents hold several vectors in {self.check.knn}, which this check cannot compare")

    def _measure(self, stored: StoredVectors, like: Findings | None) -> Findings:
        documents = self.search.count("*")
        sampled = self._again(stored, like) if like and like.samples else self._sample(stored, documents)
        space, scope = _space(stored), _scope(self.definition, like)
        known = _still_true(like, sampled, space, scope)
        if known is not None:
            sampled = {key: blob for key, blob in sampled.items() if key in known}
        answers = {key: self.search.nearest(self.check.knn, blob, self.check.k) for key, blob in sampled.items()}
        exact = known is not None or is_affordable(stored, documents)
        references = known if known is not None else self._references(stored, sampled, documents, exact=exact)
        return Findings(
            documents=documents,
            samples=tuple(
                Sampled(
                    key=key,
                    digest=digest(blob),
                    sketch=sketch(blob, stored.shape),
                    answers=answers[key],
                    reference=references[key],
                )
                for key, blob in sampled.items()
            ),
            exact=exact,
            space=space,
            scope=scope,
            gone=self._gone(like, answers, scope) if like is not None else (),
        )

    def _again(self, stored: StoredVectors, like: Findings) -> Vectors:
        keys = [sample.key for sample in like.samples]
        return {key: blob for key, blob in zip(keys, stored.read(keys), strict=True) if blob is not None}

    def _sample(self, stored: StoredVectors, documents: int) -> Vectors:
        """Documents with a vector, from spots that lie evenly over the index."""
        sampled: Vectors = {}
        spots = min(self.check.samples, documents)
        for spot in range(spots):
            sampled.update(self._first(stored, (2 * spot + 1) * documents // (2 * spots), sampled))
        return sampled

    def _first(self, stored: StoredVectors, offset: int, known: Vectors) -> Vectors:
        """The first document from an offset on that has a vector and is not known yet."""
        for window in WINDOWS:
            keys = [key for key in self.search.keys(offset, window) if key not in known]
            for key, blob in zip(keys, stored.read(keys), strict=True):
                if blob is not None and _can_be_asked_for(blob, stored.field):
                    return {key: blob}
        return {}

    def _references(self, stored: StoredVectors, sampled: Vectors, documents: int, *, exact: bool) -> dict[str, Near]:
        """More than k neighbours of each sampled document: the true ones, or what the index gives for a larger k."""
        reach = min(4 * self.check.k, self.check.k + 100)
        if exact and sampled:
            found: Sequence[Near] = true_neighbours(self.search, stored, list(sampled.values()), reach, documents)
        else:
            found = [self.search.nearest(self.check.knn, blob, reach) for blob in sampled.values()]
        return dict(zip(sampled, found, strict=True))

    def _gone(self, like: Findings, answers: dict[str, Near], scope: str) -> tuple[str, ...]:
        """Those of the former neighbours that are no answer any more since they exist no more, or are not to be found.

        Where the index covers other documents than the former one, it decides itself which.
        """
        missing = sorted(
            {
                key
                for sample in like.samples
                if sample.key in answers
                for key, _ in sample.answers
                if key not in dict(answers[sample.key])
            }
        )
        if like.scope != scope:
            members = self.search.members(missing)
            return tuple(key for key in missing if key not in members)
        places = [(key, place) for key in missing for place in self.copies.places(key)]
        replies = ask_keys(self.connection, [("EXISTS", place) for _, place in places]) if places else []
        there = {key for (key, _), reply in zip(places, replies, strict=True) if reply != 0}
        return tuple(key for key in missing if key not in there)


def _can_be_asked_for(blob: bytes, field: VectorField) -> bool:
    """Whether a distance to a vector exists: nothing has an angle to zero."""
    return field.distance_metric != "cosine" or any(blob)


def _still_true(like: Findings | None, sampled: Vectors, space: str, scope: str) -> dict[str, Near] | None:
    """The true neighbours that were found before, where they hold for the same vectors here; None if they do not."""
    if like is None or not like.exact or (like.space, like.scope) != (space, scope):
        return None
    same = {
        sample.key: sample.reference
        for sample in like.samples
        if sample.key in sampled and digest(sampled[sample.key]) == sample.digest
    }
    return same if 2 * len(same) >= len(sampled) else None


def _space(stored: StoredVectors) -> str:
    return f"{stored.shape.datatype} x {stored.shape.dims}, {stored.field.distance_metric}"


def _scope(definition: IndexDefinition, like: Findings | None) -> str:
    """Which documents an index covers; one over staged copies alone covers those that they were made of."""
    canonical = canonicalise(definition)
    storage, filtered = f"{canonical.storage} ", f" filter {canonical.filter!r}"
    copies_alone = all(prefix.startswith(STAGED) for prefix in canonical.prefixes)
    if copies_alone and like is not None and like.scope.startswith(storage) and like.scope.endswith(filtered):
        return like.scope
    return f"{storage}{list(canonical.prefixes)!r}{filtered}"
