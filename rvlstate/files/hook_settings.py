"""`hooks` of an index: commands of the user's, split into arguments; variables stay as they are written until they run.

A plan shows commands, and what a variable holds may be secret. A hook whose program is a variable that holds nothing is
refused: a gate must not vanish because the environment lacks something.
"""

from __future__ import annotations

import re
import shlex

from rvlstate.files.tree import Mapping, Node, Scalar, Sequence, node_at, place_of, spec_error
from rvlstate.model.desired import Hooks

_VARIABLE = re.compile(r"\$(?:\$|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-[^}]*)?\})")
_AS_A_LIST = 'write it as a list, such as [./check.sh, "5"]; no shell is at work unless you name one.'


def declared_hooks(tree: Mapping, name: str) -> Hooks:
    """The hooks of an index whose settings are `tree`. Raises SpecError for what is no command."""
    if tree.get("hooks") is None:
        return Hooks()
    return Hooks(
        before_cutover=_command(tree, "before_cutover", name), after_cutover=_command(tree, "after_cutover", name)
    )


def _command(tree: Mapping, hook: str, name: str) -> tuple[str, ...]:
    node = node_at(tree, ("hooks", hook))
    argv, next_step = tuple[str, ...](), _AS_A_LIST
    try:
        argv = _arguments(node)
        wrong = _wrong(argv)
    except ValueError as error:
        wrong = f"cannot be split into arguments: {error}"
    if not wrong and argv and _vanishes(node, argv[0]):
        wrong, next_step = _vanished(hook, argv[0])
    if wrong:
        key = f"indexes.{name}.hooks.{hook}"
        raise spec_error(place_of(tree, ("hooks", hook)), f"{key} {wrong}", key=key, next_step=next_step)
    return argv


def _arguments(node: Node | None) -> tuple[str, ...]:
    """A list as it is, a text as a shell splits it; () for nothing. Raises ValueError for an open quotation."""
    match node:
        case Sequence():
            return tuple(item.source for item in node.items if isinstance(item, Scalar))
        case Scalar() if node.value is not None or _VARIABLE.search(node.source):
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


def _vanishes(node: Node | None, program: str) -> bool:
    """Whether the program of a command is made of variables alone, and nothing is left of it by what they hold."""
    if "${" not in program or _VARIABLE.sub("", program):
        return False
    first = node.items[0] if isinstance(node, Sequence) else node
    if not isinstance(first, Scalar):
        return False
    before = len(first.source) - len(first.source.lstrip())
    return _begins_with_nothing("" if first.value is None else str(first.value)[before:])


def _begins_with_nothing(text: str) -> bool:
    """Whether a command begins with an argument that is empty: a variable that held nothing stood there."""
    if not text.strip() or text[0].isspace():
        return True
    try:
        return shlex.split(text)[:1] == [""]
    except ValueError:  # a quotation mark came with a value, so there is something
        return False


def _vanished(hook: str, program: str) -> tuple[str, str]:
    """What is wrong where nothing is left of the program, and what to do."""
    names = [match["name"] for match in _VARIABLE.finditer(program) if match["name"]]
    return (
        f"is empty: {program} stands for nothing, since {' and '.join(names)} is not set, or empty",
        f"set {' and '.join(names)}, or give a default that is a command; for no hook, leave {hook} out or write [].",
    )
