"""Users of a server with the rights that rvlstate prints for a project, and what they were refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from kit import Shop

from rvlstate.plan.grants import Grant, Role

PASSWORD = "pw"  # noqa: S105 - of users that exist for one test


def grant_of(shop: Shop, role: Role, *, documents: bool = True) -> Grant:
    """What is printed for a role."""
    with shop.project() as project:
        (found,) = project.grants((role,), documents=documents)
    return found


def send(client: Any, line: str) -> None:
    """Send a line as redis-cli would."""
    assert client.execute_command(*line.split(" ")) == b"OK"


@contextmanager
def as_user(shop: Shop, grant: Grant, *rules: str, further: bool = True) -> Iterator[Shop]:
    """The shop as the user of a grant sees it; `rules` come behind the line, and take something away again."""
    send(shop.client, grant.line)
    if further and grant.further_line:
        send(shop.client, grant.further_line)
    send(shop.client, " ".join(("ACL SETUSER", grant.user, f">{PASSWORD}", *rules)))
    shop.client.execute_command("ACL", "LOG", "RESET")
    direct = shop.url
    shop.url = direct.replace("://", f"://{grant.user}:{PASSWORD}@")
    try:
        yield shop
    finally:
        shop.url = direct
        shop.client.execute_command("ACL", "DELUSER", grant.user)


def refusals(client: Any) -> list[tuple[str, str]]:
    """What the server has refused since the user was made: the reason and the command, key or channel."""
    found = []
    for entry in client.execute_command("ACL", "LOG", "128"):
        pairs = dict(zip(*[iter(entry)] * 2, strict=True))
        found.append((pairs[b"reason"].decode(), pairs[b"object"].decode()))
    return sorted(set(found))


def picture(client: Any) -> dict[str, Any]:
    """All that is on the server: keys byte for byte with their expiries, and indexes with what they are."""
    keys = {key: (client.dump(key), client.pexpiretime(key)) for key in sorted(client.scan_iter("*"))}
    names = sorted(client.execute_command("FT._LIST"))
    indexes = {}
    for name in names:
        reply = client.execute_command("FT.INFO", name)
        info = dict(zip(*[iter(reply)] * 2, strict=False))
        indexes[name] = (info[b"index_definition"], info[b"attributes"])
    return {"keys": keys, "indexes": indexes}


CONNECTING = frozenset({"COMMAND", "CLUSTER SLOTS", "CLUSTER NODES"})
"""What the client library sends by itself, or a look at who serves which slots."""


def needless(name: str) -> bool:
    """Whether a command may be taken from a user whom nobody asked for it."""
    return name not in CONNECTING


def writes(shop: Shop, commands: Iterable[str]) -> list[str]:
    """Those of some commands that may change something; scripts do what their user may do, and no more."""
    listed = shop.client.execute_command("ACL", "CAT", "write")
    changing = {name.decode().upper().replace("|", " ") for name in listed}
    return sorted(set(commands) & changing)
