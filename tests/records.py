"""Records of rvlstate (JSON text in string keys), read and edited by hand as an operator or an accident would."""

from __future__ import annotations

import json
from typing import Any


def read_record(client: Any, key: str) -> dict[str, str]:
    """The fields of a record, {} if there is none; the payload of a state, which follows its line, is one of them."""
    line, newline, payload = (client.get(key) or "{}").partition("\n")
    fields: dict[str, str] = json.loads(line)
    return {**fields, "payload": payload} if newline else fields


def edit_record(client: Any, key: str, **fields: str | int | None) -> None:
    """Change fields of a record, keeping its expiry; None removes a field."""
    record = {**read_record(client, key), **{name: value for name, value in fields.items() if value is not None}}
    kept = {name: str(value) for name, value in record.items() if fields.get(name, "") is not None}
    payload = kept.pop("payload", None)
    client.set(key, json.dumps(kept) + ("" if payload is None else f"\n{payload}"), keepttl=True)
