"""The server's wordings: each error text named once, as a question, with the versions that it was seen on.

A = RediSearch 2.10.5 on Redis 8.2.3, B = RediSearch 8.0.2 (standalone and coordinated cluster), C = RediSearch 8.10
(from its source: every text then begins with a code word such as SEARCH_INDEX_NOT_FOUND). Redis puts its own code word
in front (ERR, NOPERM), which redis-py strips, and a script that failed is named after the text; so the patterns look
for the wording and not for the whole text.

| question           | wording                                                                          | seen on |
|--------------------|----------------------------------------------------------------------------------|---------|
| is_unknown_index   | Unknown index name (FT.INFO, FT.ALTER, FT.SYN*)                                  | A       |
|                    | Unknown index name (or name is an alias itself) (FT.ALIASADD, FT.ALIASUPDATE)    | A, B, C |
|                    | Unknown Index name (FT.DROPINDEX)                                                | A       |
|                    | X: no such index (FT.SEARCH on A; most commands on B)                            | A, B    |
|                    | No such index X (FT.SEARCH)                                                      | B       |
|                    | Index not found: X, after SEARCH_INDEX_NOT_FOUND                                 | C       |
| is_index_exists    | Index already exists                                                             | A, B, C |
| is_alias_exists    | Alias already exists                                                             | A, B, C |
| is_alias_missing   | Alias does not exist                                                             | A, B, C |
| is_alias_hidden    | Alias does not belong to provided spec                                           | A, B, C |
| is_alias_conflict  | Alias conflicts with an existing index name                                      | B, C    |
| is_duplicate_field | Duplicate field in schema - X                                                    | A, B, C |
| is_cannot_block    | Cannot perform `X`: Cannot block (in MULTI or a script, coordinated cluster)     | B       |
| is_cross_slot      | Keys in request don't hash to the same slot; in scripts too: "don't hash to" | A       |
| is_oom             | command not allowed when used memory > 'maxmemory'.                              | A       |
| is_permission      | User X has no permissions to run the 'Y' command; No permissions to access a key | A       |
| is_unknown_command | unknown command 'X', with args beginning with:                                   | A, B    |
| is_read_only       | READONLY You can't write against a read only replica.                            | Redis   |
| is_unavailable     | LOADING, CLUSTERDOWN, MASTERDOWN                                                 | Redis   |
"""

from __future__ import annotations

import re

from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ClusterCrossSlotError,
    ClusterDownError,
    MasterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
)

_UNKNOWN_INDEX = re.compile(
    r"\bunknown index name\b|: no such index\b|^no such index\b|\bindex not found: ",
    re.IGNORECASE,
)
_MAY_NOT_RUN = re.compile(r"\bno permissions to run\b", re.IGNORECASE)
_WHICH = re.compile(r"\brun the '(?P<command>[^']+)' command\b", re.IGNORECASE)


def is_unknown_index(error: object) -> bool:
    """Whether an index, or an alias in its place, does not exist; a coordinator may say so falsely: confirm it."""
    return _says(error, _UNKNOWN_INDEX)


def is_index_exists(error: object) -> bool:
    """Whether FT.CREATE found an index of that name."""
    return _says(error, "Index already exists")


def is_alias_exists(error: object) -> bool:
    """Whether FT.ALIASADD found an alias of that name."""
    return _says(error, "Alias already exists")


def is_alias_missing(error: object) -> bool:
    """Whether FT.ALIASDEL found neither an alias nor an index of that name."""
    return _says(error, "Alias does not exist")


def is_alias_hidden(error: object) -> bool:
    """Whether FT.ALIASDEL met a physical index of that name, which may hide an alias."""
    return _says(error, "Alias does not belong to provided spec")


def is_alias_conflict(error: object) -> bool:
    """Whether FT.ALIASADD was refused since a physical index has that name."""
    return _says(error, "Alias conflicts with an existing index name")


def is_duplicate_field(error: object) -> bool:
    """Whether FT.ALTER was refused since the index has a field of that name."""
    return _says(error, "Duplicate field in schema")


def is_cannot_block(error: object) -> bool:
    """Whether a search command was refused in MULTI or a script (coordinated cluster)."""
    return _says(error, "Cannot block")


def is_cross_slot(error: object) -> bool:
    """Whether a command named keys (index and alias names count) of several hash slots."""
    return isinstance(error, ClusterCrossSlotError) or _says(error, "CROSSSLOT", "don't hash to the same slot")


def is_oom(error: object) -> bool:
    """Whether the server refused to write since maxmemory is reached."""
    return isinstance(error, OutOfMemoryError) or _says(error, "command not allowed when used memory")


def is_loading(error: object) -> bool:
    """Whether the server is still loading its data."""
    return isinstance(error, BusyLoadingError) or _says(error, "Redis is loading the dataset")


def is_unavailable(error: object) -> bool:
    """Whether the server cannot answer now: it loads, lost its primary, or slots of the cluster are not served."""
    return is_loading(error) or isinstance(error, ClusterDownError | MasterDownError) or _says(error, "CLUSTERDOWN")


def is_authentication(error: object) -> bool:
    """Whether user or password were missing or refused (NOAUTH, WRONGPASS)."""
    return isinstance(error, AuthenticationError) or _says(error, "NOAUTH", "WRONGPASS")


def is_permission(error: object) -> bool:
    """Whether the user lacks a permission, for the command or for a key."""
    return isinstance(error, NoPermissionError) or _says(error, "NOPERM", "ACL failure in script")


def refused_command(error: object) -> str:
    """The command that a user may not run, in capitals; "" where the server speaks of keys, or of anything else."""
    named = _WHICH.search(str(error))
    return named["command"].upper() if named else ""


def is_command_permission(error: object) -> bool:
    """Whether the user may not run the command at all, whatever the keys."""
    return is_permission(error) and _says(error, _MAY_NOT_RUN)


def is_read_only(error: object) -> bool:
    """Whether a write reached a replica."""
    return isinstance(error, ReadOnlyError) or _says(error, "READONLY")


def is_unknown_command(error: object) -> bool:
    """Whether the server has no such command."""
    return _says(error, "unknown command")


def _says(error: object, *wordings: str | re.Pattern[str]) -> bool:
    """Whether an error of the server has one of these wordings; other values (a pipeline's replies) have none."""
    if not isinstance(error, RedisError):
        return False
    text = str(error)
    return any(
        wording in text if isinstance(wording, str) else wording.search(text) is not None for wording in wordings
    )
