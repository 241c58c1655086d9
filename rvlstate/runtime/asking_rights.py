"""Questions about the rights of a user, put to one node in the best way that the user may ask; nothing is changed.

| way        | needs      | tells                                                                 |
|------------|------------|-----------------------------------------------------------------------|
| ACL DRYRUN | ACL DRYRUN | everything                                                            |
| a script   | EVAL       | everything: `redis.acl_check_cmd` asks without running (Redis 7.0)    |
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

import redis

from rvlstate.plan.commands import FORMS, KEY
from rvlstate.runtime.connect import Connection
from rvlstate.runtime.server_errors import is_permission

Verdict: TypeAlias = Literal["yes", "command", "key", "unknown"]
"""Whether a command may be run: yes, not at all, not on this key, or nobody knows (the server has no such command)."""

Question: TypeAlias = tuple[str, str]
"""A command of the table, and the key that it is asked about ("" where it has none)."""

Ask: TypeAlias = Callable[[Sequence[Question]], list[Verdict]]

SCRIPT = """
local at, replies = 1, {}
local function may(...)
  local known, allowed = pcall(redis.acl_check_cmd, ...)
  if not known then return 'unknown' end
  return allowed and 'yes' or 'command'
end
while ARGV[at] do
  local key, count = ARGV[at], tonumber(ARGV[at + 1])
  local told = may(unpack(ARGV, at + 2, at + 1 + count))
  if told == 'command' and key ~= '' and may('EVAL', 'return 0', '1', key) ~= 'yes' then told = 'key' end
  replies[#replies + 1] = told
  at = at + 2 + count
end
return replies
"""
AT_ONCE = 200
"""Questions to one call of the script."""


def way_of_asking(connection: Connection, node: redis.Redis, user: str) -> Ask | None:
    """The best way that is allowed on a node; None where there is none that tells more than trying does."""
    (dry,) = connection.ask([("ACL DRYRUN", user, "PING")], node)
    if not is_permission(dry):
        return lambda questions: _by_dry_run(connection, node, user, questions)
    (script,) = connection.ask([("EVAL", SCRIPT, "0")], node)
    if not isinstance(script, Exception):
        return lambda questions: _by_script(connection, node, questions)
    return None


def _by_dry_run(connection: Connection, node: redis.Redis, user: str, questions: Sequence[Question]) -> list[Verdict]:
    commands = [("ACL DRYRUN", user, *_spelt(name, key)) for name, key in questions]
    return [_read(reply) for reply in connection.ask(commands, node)]


def _by_script(connection: Connection, node: redis.Redis, questions: Sequence[Question]) -> list[Verdict]:
    calls = []
    for start in range(0, len(questions), AT_ONCE):
        arguments: list[str] = []
        for name, key in questions[start : start + AT_ONCE]:
            spelt = _spelt(name, key)
            arguments += [key, str(len(spelt)), *spelt]
        calls.append(("EVAL", SCRIPT, "0", *arguments))
    replies = connection.ask(calls, node)
    return [verdict for reply in replies if not isinstance(reply, Exception) for verdict in reply]


def _spelt(name: str, key: str) -> tuple[str, ...]:
    return (*name.split(), *(key if part == KEY else part for part in FORMS[name].arguments))


def _read(reply: object) -> Verdict:
    # ACL DRYRUN says so in a text, not in an error; an error is about the command itself.
    if not isinstance(reply, str):
        return "unknown"
    if "no permissions to run" in reply:
        return "command"
    return "key" if "no permissions to access" in reply else "yes"
