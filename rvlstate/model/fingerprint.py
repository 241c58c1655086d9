"""Fingerprints: sha256 over the canonical JSON of a value; equal meaning, equal fingerprint."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def canonical_json(data: Any) -> str:
    """JSON text with sorted keys and no white space: the same data gives the same bytes."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def fingerprint(data: Any) -> str:
    """`sha256:` and the hex digest of the canonical JSON of JSON-like data."""
    return f"sha256:{hashlib.sha256(canonical_json(data).encode()).hexdigest()}"
