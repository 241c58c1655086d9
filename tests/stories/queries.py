"""Plain search commands and vectors, for the tests and for the client processes of a load; imports nothing heavy."""

from __future__ import annotations

import struct
from typing import Any


def found(client: Any, name: str, query: str = "*") -> int:
    """How many documents a search finds."""
    reply = client.execute_command("FT.SEARCH", name, query, "LIMIT", "0", "0")
    return int(reply["total_results"] if isinstance(reply, dict) else reply[0])


def packed(*values: float) -> bytes:
    """A float32 vector as a hash holds it."""
    return struct.pack(f"<{len(values)}f", *values)
