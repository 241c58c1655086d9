"""The table of Redis commands: how each is asked about, on which keys it works, and which work sends which.

The check before anything is written, the lines of `rvlstate acl` and docs/permissions.md are all made from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from rvlstate.model.rewrite import Rewrite

Scope: TypeAlias = Literal["server", "state", "projects", "index", "documents"]
"""On what a command works: nothing with a name, keys of the project, the list of projects, index and alias names (keys
of FT.* where no coordinator is at work), documents with what is kept beside them."""

KEY = "{key}"
"""Stands for the key in a form."""


@dataclass(frozen=True, slots=True)
class Form:
    """How a command is asked about: its arguments, where `KEY` stands for a key, and on what it works."""

    arguments: tuple[str, ...] = ()
    on: tuple[Scope, ...] = ("server",)


SHA = "0" * 40
_ON_SERVER: Mapping[str, tuple[str, ...]] = {
    "ACL DRYRUN": ("default", "PING"),
    "ACL WHOAMI": (),
    "CLIENT SETINFO": ("LIB-NAME", "redis-py"),
    "CLUSTER NODES": (),
    "CLUSTER SLOTS": (),
    "COMMAND": (),
    "COMMAND INFO": ("PING",),
    "CONFIG GET": ("maxmemory",),
    "DBSIZE": (),
    "EXEC": (),
    "FT._LIST": (),
    "INFO": ("server",),
    "MULTI": (),
    "PING": (),
    "READONLY": (),
    "ROLE": (),
    "SCAN": ("0",),
    "SCRIPT LOAD": ("return 0",),
    "TIME": (),
    "UNWATCH": (),
    "WAIT": ("1", "1"),
}
_ON_STATE: Mapping[str, tuple[str, ...]] = {
    "EVAL": ("return 0", "1", KEY),
    "GET": (KEY,),
    "INCR": (KEY,),
    "LLEN": (KEY,),
    "LPUSH": (KEY, "0"),
    "LRANGE": (KEY, "0", "0"),
    "LTRIM": (KEY, "0", "0"),
    "PEXPIRE": (KEY, "1"),
    "PTTL": (KEY,),
    "RPUSH": (KEY, "0"),
    "SET": (KEY, "0"),
    "XADD": (KEY, "*", "f", "v"),
    "XRANGE": (KEY, "-", "+"),
}
_ON_DOCUMENTS: Mapping[str, tuple[str, ...]] = {
    "COPY": (KEY, KEY),
    "EVALSHA": (SHA, "1", KEY),
    "EXPIRE": (KEY, "1"),
    "HDEL": (KEY, "f"),
    "HEXISTS": (KEY, "f"),
    "HGET": (KEY, "f"),
    "HGETALL": (KEY,),
    "HKEYS": (KEY,),
    "HMGET": (KEY, "f"),
    "HPEXPIREAT": (KEY, "1", "FIELDS", "1", "f"),
    "HSET": (KEY, "f", "v"),
    "HSTRLEN": (KEY, "f"),
    "JSON.ARRLEN": (KEY, "$"),
    "JSON.DEBUG": ("MEMORY", KEY),
    "JSON.DEL": (KEY, "$"),
    "JSON.GET": (KEY, "$"),
    "JSON.SET": (KEY, "$", "0"),
    "JSON.TYPE": (KEY, "$"),
    "MEMORY USAGE": (KEY,),
    "PEXPIREAT": (KEY, "1"),
    "PEXPIRETIME": (KEY,),
    "RENAME": (KEY, KEY),
    "TYPE": (KEY,),
    "UNLINK": (KEY,),
    "WATCH": (KEY,),
    "ZADD": (KEY, "1", "m"),
    "ZREM": (KEY, "m"),
    "ZSCORE": (KEY, "m"),
}
_ON_INDEXES: Mapping[str, tuple[str, ...]] = {
    "FT.AGGREGATE": (KEY, "*"),
    "FT.ALIASADD": (KEY, KEY),
    "FT.ALIASDEL": (KEY,),
    "FT.ALIASLIST": (KEY,),
    "FT.ALIASUPDATE": (KEY, KEY),
    "FT.ALTER": (KEY, "SCHEMA", "ADD", "f", "TEXT"),
    "FT.CREATE": (KEY, "SCHEMA", "f", "TEXT"),
    "FT.CURSOR": ("READ", KEY, "0"),
    "FT.DROPINDEX": (KEY,),
    "FT.INFO": (KEY,),
    "FT.SEARCH": (KEY, "*"),
    "FT.SYNDUMP": (KEY,),
    "FT.SYNUPDATE": (KEY, "g", "t"),
}


def _forms(on: tuple[Scope, ...], arguments: Mapping[str, tuple[str, ...]]) -> dict[str, Form]:
    return {name: Form(some, on) for name, some in arguments.items()}


FORMS: Mapping[str, Form] = {
    **_forms(("server",), _ON_SERVER),
    **_forms(("state",), _ON_STATE),
    **_forms(("documents",), _ON_DOCUMENTS),
    **_forms(("index",), _ON_INDEXES),
    **_forms(("state", "documents"), {"DEL": (KEY,), "EXISTS": (KEY,), "HPEXPIRETIME": (KEY, "FIELDS", "1", "f")}),
    **_forms(("projects",), {"SADD": (KEY, "0"), "SMEMBERS": (KEY,)}),
}
"""Every command that is ever sent, but for HELLO and AUTH, which are never forbidden, and PSUBSCRIBE (see `rights`)."""

READING_STATE = ("EXISTS", "GET", "LRANGE", "PTTL", "XRANGE")
READING = (
    *("COMMAND INFO", "DBSIZE", "FT._LIST", "FT.ALIASLIST", "FT.INFO", "FT.SYNDUMP", "INFO"),
    *READING_STATE,
)
"""What plan, drift, status and history send."""

READING_A_CLUSTER = ("CLUSTER NODES", "CLUSTER SLOTS", "COMMAND")
"""What is sent besides to learn which node serves which slots."""

ON_A_CLUSTER = (*READING_A_CLUSTER, "READONLY")
"""What is sent on a cluster only; READONLY to replicas, which else name their primary to who asks about an index."""

INSPECTING = ("FT._LIST", "FT.INFO", "FT.SYNDUMP")
"""What a look at one index sends."""

WORKING = ("DEL", "EVAL", "INCR", "LPUSH", "LTRIM", "PEXPIRE", "SET", "TIME", "XADD")
"""What lock, state, journal and orders need, the commands within their scripts included."""

CHANGING = ("FT.ALIASADD", "FT.ALIASDEL", "FT.ALIASUPDATE", "FT.ALTER", "FT.CREATE", "FT.DROPINDEX", "FT.SYNUPDATE")
"""What changes indexes and aliases."""

PHASES = ("FT.ALIASDEL", "FT.ALIASUPDATE", "FT.CREATE", "FT.DROPINDEX")
"""What a change in phases needs on its way, there or back, whatever its next step is."""

QUERYING = ("FT.AGGREGATE", "FT.CURSOR", "FT.SEARCH")
"""What checks ask an index."""

OPTIONAL: Mapping[str, str] = {
    "ACL DRYRUN": "missing permissions are looked for by a script",
    "ACL WHOAMI": "messages name the user as the URL does",
    "CLIENT SETINFO": "the server does not show which library is connected",
    "CONFIG GET": "the last passes of a live change go over all documents, not only over those written meanwhile",
    "JSON.DEBUG": "the plan does not know how much memory the copies of documents take",
    "MEMORY USAGE": "the plan does not know how much memory the copies of documents take",
    "PING": "nothing: a refusal takes as long as an answer",
    "PSUBSCRIBE": "the last passes of a live change go over all documents, not only over those written meanwhile",
    "READONLY": "replicas of a cluster are not waited for when an index is built",
    "ROLE": "neither writes of the state nor new indexes wait for replicas",
    "SADD": "other projects on the server take the indexes of this one for nobody's",
    "SMEMBERS": "indexes of other projects on the server are taken for nobody's",
    "WAIT": "writes of the state do not wait for a replica",
}
"""Commands that are done without where the user may not run them, and what is lost then."""

_READS: Mapping[str, tuple[str, ...]] = {
    "hash": ("HMGET",),
    "json": ("JSON.ARRLEN", "JSON.GET"),
}
_READS_ALL: Mapping[str, tuple[str, ...]] = {
    "hash": ("HKEYS", "HMGET"),
    "json": ("JSON.GET",),
}
_ASKS: Mapping[str, tuple[str, ...]] = {
    "hash": ("HEXISTS",),
    "json": ("JSON.TYPE",),
}
_SIZES: Mapping[str, tuple[str, ...]] = {
    "hash": ("HSTRLEN",),
    "json": ("JSON.DEBUG",),
}
_WRITES: Mapping[str, tuple[str, ...]] = {
    "hash": ("EXEC", "HDEL", "HPEXPIREAT", "HPEXPIRETIME", "HSET", "HSTRLEN", "MULTI", "UNWATCH", "WATCH"),
    "json": ("JSON.DEL", "JSON.SET", "JSON.TYPE"),
}
_WHOLES: Mapping[str, tuple[str, ...]] = {
    "hash": ("HGETALL", "HPEXPIRETIME"),
    "json": ("JSON.GET",),
}
_CONVERTS = (
    *("DEL", "HKEYS", "HMGET", "HPEXPIRETIME", "HSET", "JSON.GET", "JSON.SET", "PEXPIREAT", "PEXPIRETIME", "RENAME"),
)
"""What turns hashes into JSON and back."""


def looking(before: str, after: str) -> tuple[str, ...]:
    """What a look at some documents sends, by which a plan knows what is to be done; it writes nothing."""
    common = ("EVALSHA", "INFO", "MEMORY USAGE", "SCAN", "SCRIPT LOAD", "TYPE", "ZSCORE")
    reads = _READS[before] if before == after else _READS_ALL[before]
    return _sorted(common, reads, _ASKS[before], _SIZES[before])


def passing(before: str, after: str, *, moves: bool) -> tuple[str, ...]:
    """What a pass over documents of a storage type sends that brings them into the desired layout where they are."""
    scripts = ("EVALSHA", "EXISTS", "HPEXPIRETIME", "SCRIPT LOAD", "TIME", "TYPE", "ZADD", "ZSCORE")
    common = ("INFO", "LLEN", "RPUSH", "SCAN", *scripts)
    if before != after:
        return _sorted(common, _CONVERTS, ("HKEYS",))
    return _sorted(common, _READS[before], _WRITES[before], ("RENAME",) if moves else ())


def copying(before: str, after: str, *, moves: bool) -> tuple[str, ...]:
    """The same of passes that make copies or have them take the place of documents."""
    copies = ("COPY", "DEL", "PEXPIRETIME", "RENAME", "UNLINK", "ZREM")
    return _sorted(passing(before, after, moves=moves), _WHOLES[before], _WHOLES[after], copies)


def restoring(before: str, after: str, *, moves: bool) -> tuple[str, ...]:
    """What puts original values of documents back."""
    common = ("DEL", "EVALSHA", "EXISTS", "EXPIRE", "SCRIPT LOAD", "TIME", "TYPE", "UNLINK", "ZADD", "ZSCORE")
    moved = ("RENAME",) if moves else ()
    if before != after:
        return _sorted(common, _CONVERTS, ("HGETALL",), moved)
    if before == "json":
        return _sorted(common, ("JSON.ARRLEN", "JSON.DEL", "JSON.GET", "JSON.SET"), moved)
    return _sorted(common, ("HDEL", "HMGET", "HPEXPIREAT", "HPEXPIRETIME", "HSET"), moved)


def tidying() -> tuple[str, ...]:
    """What removes what was kept beside documents."""
    return ("DEL", "EVALSHA", "INFO", "SCAN", "SCRIPT LOAD", "TIME", "UNLINK")


def checking(storage: str, *, neighbours: bool) -> tuple[str, ...]:
    """What checks send: a query, or what finds the neighbours of sampled vectors, which are read from documents."""
    if not neighbours:
        return ("FT.SEARCH",)
    return ("EXISTS", *QUERYING, "JSON.GET" if storage == "json" else "HGET")


def rewriting(rewrite: Rewrite) -> tuple[str, ...]:
    """What a change of documents sends from the look before it to its last pass, copies included where it makes any."""
    if not rewrite.touches_documents:
        return ("UNLINK",)
    how = copying if rewrite.promotion else passing
    filtered = ("FT.CREATE", "FT.DROPINDEX", "FT.SEARCH") if rewrite.before.filter else ()
    storages = (rewrite.before.storage, rewrite.after.storage)
    return _sorted(looking(*storages), how(*storages, moves=bool(rewrite.moves)), tidying(), filtered)


def putting_back(rewrite: Rewrite) -> tuple[str, ...]:
    """What a rollback from a backup sends about documents."""
    return restoring(rewrite.before.storage, rewrite.after.storage, moves=bool(rewrite.moves))


def _sorted(*some: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({name for names in some for name in names}))
