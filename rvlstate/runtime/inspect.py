r"""The catalog of a live server: all indexes, their aliases and synonyms, read in one pipelined pass.

| seen                                         | means                                                              |
|----------------------------------------------|--------------------------------------------------------------------|
| listed, then unknown to FT.INFO              | gone if a second FT._LIST agrees, else asked again                  |
| listed, then FT.INFO shows another index     | gone, and an alias took its name meanwhile                          |
| listed with `\n` or `\r`, in two characters  | perhaps an escaped line break: every spelling is asked for          |
| listed, FT.INFO refused for the key          | read through an alias that is allowed; else unreadable, which is an |
|                                              | error if the name is declared or recorded                           |
| not listed, FT.INFO shows an index           | an alias of that index                                              |
"""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, product

import redis

from rvlstate.errors import ReplyNotUnderstoodError, ServerError
from rvlstate.model.catalog import Catalog, LiveIndex, ServerProfile
from rvlstate.plan.rights import pattern
from rvlstate.runtime.connect import Connection
from rvlstate.runtime.permissions import permission_missing
from rvlstate.runtime.replies import parse_index_name, parse_info, parse_names, parse_syndump
from rvlstate.runtime.server_errors import is_command_permission, is_permission, is_unknown_index

PASSES = 5
PAUSE_SECONDS = 0.05
MOST_SPELLINGS = 64
ESCAPED = re.compile(r"(\\n|\\r)")
LINE_BREAKS = {"\\n": "\n", "\\r": "\r"}


@dataclass(slots=True, kw_only=True)
class _Pass:
    """What one pass over the server saw; `doubtful` names were seen in two ways that do not fit together."""

    indexes: dict[str, LiveIndex] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    unreadable: set[str] = field(default_factory=set)
    doubtful: set[str] = field(default_factory=set)


def inspect_catalog(connection: Connection, names: Iterable[str], profile: ServerProfile) -> Catalog:
    """All indexes, and those of `names` (declared, recorded) that are aliases; all aliases where there is FT.ALIASLIST.

    Raises ReplyNotUnderstoodError, PermissionMissingError, ServerUnreachableError; ServerError when indexes come and go
    all the time.
    """
    wanted = tuple(sorted(set(names)))
    seen = _Pass()
    for attempt in range(PASSES):
        seen = _look(connection, wanted, profile)
        if not seen.doubtful:
            return _catalog(connection, seen, wanted)
        time.sleep(PAUSE_SECONDS * 2**attempt * random.uniform(0.5, 1.0))
    raise _unsettled(connection, sorted(seen.doubtful))


def inspect_index(connection: Connection, name: str) -> LiveIndex | None:
    """The index of that name or behind that alias; None only when FT._LIST agrees that there is none.

    Raises as `inspect_catalog`.
    """
    for attempt in range(PASSES):
        info, synonyms = connection.ask([("FT.INFO", name), ("FT.SYNDUMP", name)])
        if not _is_gone(info, synonyms):
            return _live(connection, name, info, synonyms)
        if attempt and _shown(name) not in _list(connection):
            return None
        time.sleep(PAUSE_SECONDS * attempt * random.uniform(0.5, 1.0))
    raise _unsettled(connection, [name])


def _look(connection: Connection, wanted: Sequence[str], profile: ServerProfile) -> _Pass:
    seen = _Pass()
    listed = _list(connection)
    asked = {name: shown for shown in listed for name in _spellings(shown)}
    found: Counter[str] = Counter()
    for name, outcome in _look_at_indexes(connection, list(asked)):
        found[asked[name]] += outcome is not None
        if isinstance(outcome, LiveIndex):
            seen.indexes[name] = outcome
        elif outcome is not None:
            seen.unreadable.add(name)
    short = {shown for shown, times in listed.items() if found[shown] < times}
    if short:
        now = _list(connection)
        seen.doubtful = {shown for shown in short if now[shown] > found[shown]}
    _look_at_aliases(connection, wanted, profile, seen)
    return seen


def _look_at_indexes(connection: Connection, names: list[str]) -> Iterator[tuple[str, LiveIndex | Exception | None]]:
    """Each name with its index, with the error that hides it from this user, or with None if it is none."""
    questions = [(word, name) for name in names for word in ("FT.INFO", "FT.SYNDUMP")]
    replies = connection.ask(questions)
    for name, info, synonyms in zip(names, replies[::2], replies[1::2], strict=True):
        if _is_gone(info, synonyms):
            yield name, None
        elif _is_hidden(info):
            yield name, info
        else:
            live = _live(connection, name, info, synonyms)
            yield name, live if live.name == name else None


def _look_at_aliases(connection: Connection, wanted: Sequence[str], profile: ServerProfile, seen: _Pass) -> None:
    if profile.can("alias_list"):
        pairs = _listed_aliases(connection, list(seen.indexes), seen)
    else:
        pairs = _aliases_among(connection, [name for name in wanted if name not in seen.indexes], profile, seen)
    _look_through_aliases(connection, pairs, seen)
    real = {_shown(name): name for name in seen.indexes}
    for alias, target in pairs:
        if target not in real:
            # Created since the list was read: the next pass has it.
            seen.doubtful.add(target)
        elif alias not in seen.indexes:
            seen.aliases[alias] = real[target]


def _look_through_aliases(connection: Connection, pairs: list[tuple[str, str]], seen: _Pass) -> None:
    """Indexes that are hidden under their own names, and not under an alias that this user may ask for."""
    hidden = {_shown(name): name for name in seen.unreadable}
    through = [(alias, hidden[target]) for alias, target in pairs if target in hidden]
    replies = connection.ask([(word, alias) for alias, _ in through for word in ("FT.INFO", "FT.SYNDUMP")])
    for (_, name), info, synonyms in zip(through, replies[::2], replies[1::2], strict=True):
        if _is_gone(info, synonyms) or _is_hidden(info):
            continue  # moved meanwhile: the next pass sees where to
        live = _live(connection, name, info, synonyms)
        if live.name == name:
            seen.indexes[name] = live
            seen.unreadable.discard(name)


def _listed_aliases(connection: Connection, names: list[str], seen: _Pass) -> list[tuple[str, str]]:
    pairs = []
    for name, reply in zip(names, connection.ask([("FT.ALIASLIST", name) for name in names]), strict=True):
        if is_unknown_index(reply):
            seen.doubtful.add(name)
            continue
        _refuse_error(connection, "FT.ALIASLIST", name, reply)
        pairs += [(alias, _shown(name)) for alias in parse_names(f"FT.ALIASLIST {name}", reply)]
    return pairs


def _aliases_among(
    connection: Connection, names: list[str], profile: ServerProfile, seen: _Pass
) -> list[tuple[str, str]]:
    pairs, unknown = _resolved(connection, names, seen)
    if unknown and profile.cluster:
        # A coordinator may say falsely that there is no such index, and no list of aliases could confirm it.
        more, _ = _resolved(connection, unknown, seen)
        pairs += more
    return pairs


def _resolved(connection: Connection, names: list[str], seen: _Pass) -> tuple[list[tuple[str, str]], list[str]]:
    pairs, unknown = [], []
    for name, reply in zip(names, connection.ask([("FT.INFO", name) for name in names]), strict=True):
        if is_unknown_index(reply):
            unknown.append(name)
        elif _is_hidden(reply):
            seen.unreadable.add(name)
        else:
            _refuse_error(connection, "FT.INFO", name, reply)
            pairs.append((name, parse_index_name(name, reply)))
    return pairs, unknown


def _catalog(connection: Connection, seen: _Pass, wanted: Sequence[str]) -> Catalog:
    denied = [name for name in wanted if name in seen.unreadable]
    if denied:
        raise permission_missing(connection, (), keys=tuple(map(pattern, denied)))
    return Catalog(
        indexes=tuple(seen.indexes[name] for name in sorted(seen.indexes)),
        aliases=tuple(sorted(seen.aliases.items())),
        unreadable=tuple(sorted(seen.unreadable)),
    )


def _live(connection: Connection, name: str, info: object, synonyms: object) -> LiveIndex:
    _refuse_error(connection, "FT.INFO", name, info)
    _refuse_error(connection, "FT.SYNDUMP", name, synonyms)
    live = replace(parse_info(name, info), synonyms=parse_syndump(synonyms))
    # The reply shows line breaks escaped; the name that found the index is the one to go on with.
    return replace(live, name=name) if live.name == _shown(name) else live


def _shown(name: str) -> str:
    """A name as the server shows it: line breaks escaped, everything else as it is, up to a NUL (measured)."""
    return name.partition("\0")[0].replace("\n", "\\n").replace("\r", "\\r")


def _spellings(shown: str) -> Iterator[str]:
    """The names that the server may mean, the plain reading first."""
    parts = [(part, LINE_BREAKS[part]) if part in LINE_BREAKS else (part,) for part in ESCAPED.split(shown)]
    return ("".join(spelling) for spelling in islice(product(*parts), MOST_SPELLINGS))


def _list(connection: Connection) -> Counter[str]:
    """The names that FT._LIST shows, and how often each."""
    (reply,) = connection.ask([("FT._LIST",)])
    _refuse_error(connection, "FT._LIST", "", reply)
    return Counter(parse_names("FT._LIST", reply))


def _is_gone(*replies: object) -> bool:
    return any(is_unknown_index(reply) for reply in replies)


def _is_hidden(reply: object) -> bool:
    """Whether the index is kept from this user though the command is allowed: its name is a key of the command."""
    return is_permission(reply) and not is_command_permission(reply)


def _refuse_error(connection: Connection, asked: str, name: str, reply: object) -> None:
    """Raise for a reply that is an error."""
    if is_permission(reply):
        raise permission_missing(connection, [asked])
    if isinstance(reply, redis.ResponseError):
        raise ReplyNotUnderstoodError(f"{asked} {name}".rstrip(), "the server refused it", str(reply)) from reply


def _unsettled(connection: Connection, names: Sequence[str]) -> ServerError:
    return ServerError(
        f"FT._LIST and FT.INFO do not agree about: {', '.join(names)}",
        where=connection.url,
        why=f"{PASSES} looks saw these in the one and not in the other; something creates and drops them all the time.",
        next_step="stop what does so, then run again.",
    )
