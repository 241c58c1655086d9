"""`hooks` of an index: commands of the user's, split into arguments; variables stay as they are written until they run.

A plan shows commands, and what a variable holds may be secret.
"""

from __future__ import annotations

import re
import shlex

from rvlstate.files.spec import IndexBlock
from rvlstate.files.tree import Mapping, Node, Scalar, Sequence, node_at, place_of, spec_error
from rvlstate.model.desired import Hooks

_VARIABLE = re.compile(r"\$(?:\$|\{[A-Za-z_][A-Za-z0-9_]*(?::-[^}]*)?\})")


def declared_hooks(block: IndexBlock, tree: Mapping, name: str) -> Hooks:
    """The hooks of an index whose settings are `tree`. Raises SpecError for what is no command."""
    if not block.hooks.before_cutover and not block.hooks.after_cutover:
        return Hooks()
    return Hooks(
        before_cutover=_command(tree, "before_cutover", name), after_cutover=_command(tree, "after_cutover", name)
    )


def _command(tree: Mapping, hook: str, name: str) -> tuple[str, ...]:
    node = node_at(tree, ("hooks", hook))
    try:
        argv = _arguments(node)
        wrong = _wrong(argv)
    except ValueError as error:
        wrong = f"cannot be split into arguments: {error}"
    if wrong:
        key = f"indexes.{name}.hooks.{hook}"
        raise spec_error(
            place_of(tree, ("hooks", hook)),
            f"{key} {wrong}",
            key=key,
            next_step='write it as a list, such as [./check.sh, "5"]; no shell is at work unless you name one.',
        )
    return argv


def _arguments(node: Node | None) -> tuple[str, ...]:
    """A list as it is, a text as a shell splits it; () for nothing. Raises ValueError for an open quotation."""
    match node:
        case Sequence():
            return tuple(item.source for item in node.items if isinstance(item, Scalar))
        case Scalar() if node.value is not None:
            return tuple(shlex.split(node.source))
        case _:
            return ()


def _wrong(argv: tuple[str, ...]) -> str:
    """What is wrong with a command; "" if nothing is."""
    if argv and not argv[0]:
        return "names no command"
    if any("\0" in part for part in argv):
        return "holds a character that no command can be given (NUL)"
    if any("${" in _VARIABLE.sub("", part) for part in argv):
        return "holds a ${...} that was taken apart: put quotes around it"
    return ""
