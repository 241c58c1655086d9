"""Records of rvlstate (JSON text in string keys), read and edited by hand as an operator or an accident would."""

from __future__ import annotations

import json
from typing import Any


def read_record(client: Any, key: str) -> dict[str, str]:
    """The fields of a record, {} if there is none."""
    fields: dict[str, str] = json.loads(client.get(key) or "{}")
    return fields


def edit_record(client: Any, key: str, **fields: str | int | None) -> None:
    """Change fields of a record, keeping its expiry; None removes a field."""
    record = {**read_record(client, key), **{name: value for name, value in fields.items() if value is not None}}
    kept = {name: str(value) for name, value in record.items() if fields.get(name, "") is not None}
    client.set(key, json.dumps(kept), keepttl=True)
