"""Checks: the gates that a project declares in front of a cutover."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class KnnCheck:
    """The `k` nearest neighbours of `samples` documents in field `knn` overlap by `min_overlap` between old and new."""

    kind: Literal["knn"] = "knn"
    knn: str
    samples: int = 50
    k: int = 10
    min_overlap: float = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryCheck:
    """A query finds the same number of documents in old and new."""

    kind: Literal["query"] = "query"
    query: str
    compare: Literal["count"] = "count"


Check: TypeAlias = KnnCheck | QueryCheck
