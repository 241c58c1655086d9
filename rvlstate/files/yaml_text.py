"""YAML text to trees, strictly and safely: one UTF-8 document of bounded size, text keys, no key twice, plain tags.

PyYAML's events are read instead of its composed documents: composing a hostile document (deep nesting, aliases of
aliases) is already too late, and redisvl's own loader takes the last of two equal keys without a word.
"""

from __future__ import annotations

import stat
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn

import yaml
from yaml.reader import Reader as YamlReader

from rvlstate.errors import SpecError
from rvlstate.files.tree import Entry, Mapping, Node, Place, Scalar, Sequence, spec_error

MAX_BYTES = 1_048_576
"""Size of the largest file that is read."""
MAX_NODES = 100_000
"""Values that one file may stand for, its aliases written out."""
MAX_DEPTH = 50
"""Levels of nesting."""

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_SCALAR_TAGS = frozenset(_TAG + kind for kind in ("str", "int", "float", "bool", "null", "timestamp"))
_RESOLVER: Any = yaml.resolver.Resolver()
_CONSTRUCTOR: Any = yaml.constructor.SafeConstructor()

Expand = Callable[[str, Place], str]


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, without byte order mark."""
    file = path.as_posix()
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            kind = "a directory" if stat.S_ISDIR(found.st_mode) else "no regular file"
            raise SpecError(f"this is {kind}", file=file, next_step="name a YAML file.")
        if found.st_size > MAX_BYTES:
            raise _too_big(file, found.st_size)
        raw = path.read_bytes()
    except OSError as error:
        raise SpecError(f"cannot be read: {error.strerror}", file=file) from error
    return _decode(raw, file)


def parse_tree(text: str, file: str, expand: Expand | None = None) -> Mapping:
    """The mapping that a YAML text holds; `expand` is applied to the text of every scalar that is not a key."""
    try:
        return _Document(text, file, expand).read()
    except yaml.MarkedYAMLError as error:
        raise _not_yaml(error, text, file) from error
    except yaml.YAMLError as error:
        raise SpecError(f"this is not YAML: {error}", file=file) from error


def _too_big(file: str, size: int) -> SpecError:
    return SpecError(
        f"the file has {size} bytes; the limit is {MAX_BYTES}",
        file=file,
        next_step="is this the right file?",
    )


def _decode(raw: bytes, file: str) -> str:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise SpecError(
            "the file is not UTF-8",
            file=file,
            line=line,
            why=f"Byte 0x{raw[error.start]:02x} cannot be read.",
            next_step="save the file as UTF-8.",
        ) from error
    strange = YamlReader.NON_PRINTABLE.search(text)
    if strange:
        line = text.count("\n", 0, strange.start()) + 1
        what = f"the control character U+{ord(strange.group()):04X} is not allowed in YAML"
        raise SpecError(
            what, file=file, line=line, next_step='write it as an escape in double quotes, such as "\\x07".'
        )
    return text


def _not_yaml(error: yaml.MarkedYAMLError, text: str, file: str) -> SpecError:
    mark = error.problem_mark or error.context_mark
    lines = text.splitlines()
    line = min(mark.line + 1, len(lines)) if mark else 0
    began = error.context_mark.line + 1 if error.context_mark and error.context else 0
    what = f"this is not YAML: {error.problem} {error.context or ''}".rstrip()
    why = f"The trouble began in line {began}." if began and began != line else ""
    indentation = lines[line - 1][: len(lines[line - 1]) - len(lines[line - 1].lstrip())] if line else ""
    if "\t" in indentation:
        return SpecError(
            "a tab stands where YAML wants spaces", file=file, line=line, next_step="indent with spaces only."
        )
    braces = line and "${" in lines[line - 1]
    hint = "within { } and [ ], put ${...} in quotes." if braces else ""
    return SpecError(what, file=file, line=line, why=why, next_step=hint)


@lru_cache(maxsize=4096)
def _plain_tag(text: str) -> str:
    tag: str = _RESOLVER.resolve(yaml.ScalarNode, text, (True, False))
    return tag


@lru_cache(maxsize=4096)
def _resolved(text: str, tag: str | None) -> Any:
    tag = tag or _plain_tag(text)
    if tag not in _SCALAR_TAGS:
        raise ValueError(f"the tag {tag.removeprefix(_TAG)!r}")
    return _CONSTRUCTOR.construct_object(yaml.ScalarNode(tag, text))


class _Document:
    """One pass over the events of a text; `nodes` counts the values that the document stands for."""

    def __init__(self, text: str, file: str, expand: Expand | None) -> None:
        self._next = _Loader(text).get_event
        self._file = file
        self._expand = expand
        self._nodes = 0
        self._anchors: dict[str, tuple[Node, int] | None] = {}

    def read(self) -> Mapping:
        self._next()  # the start of the stream
        event = self._next()
        if isinstance(event, yaml.StreamEndEvent):
            raise SpecError("the file is empty", file=self._file)
        root = self._node(self._next(), 1)
        self._next()  # the end of the document
        after = self._next()
        if not isinstance(after, yaml.StreamEndEvent):
            self._refuse(self._place(after, after), "a second YAML document begins here", "keep one in a file.")
        if not isinstance(root, Mapping):
            self._refuse(root.place, "the file does not hold a mapping", "begin with keys, such as `version: 1`.")
        return root

    def _node(self, event: Any, depth: int) -> Node:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if depth > MAX_DEPTH:
            self._refuse(self._place(event, event), f"nested more than {MAX_DEPTH} levels deep")
        self._count(1, event)
        before = self._nodes
        if event.anchor:
            self._anchors[event.anchor] = None
        node = self._value(event, depth)
        if event.anchor:
            self._anchors[event.anchor] = (node, self._nodes - before + 1)
        return node

    def _value(self, event: Any, depth: int) -> Node:
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(event, depth)
        return self._mapping(event, depth)

    def _alias(self, event: Any) -> Node:
        place = self._place(event, event)
        if event.anchor not in self._anchors:
            self._refuse(place, f"the alias *{event.anchor} has no anchor in front of it")
        known = self._anchors[event.anchor]
        if known is None:
            self._refuse(place, f"the alias *{event.anchor} stands within its own anchor")
        node, size = known
        self._count(size, event)
        return node

    def _count(self, more: int, event: Any) -> None:
        self._nodes += more
        if self._nodes > MAX_NODES:
            self._refuse(self._place(event, event), f"the file stands for more than {MAX_NODES} values")

    def _scalar(self, event: Any) -> Scalar:
        place = self._place(event, event)
        text = self._expand(event.value, place) if self._expand else event.value
        if event.implicit[1] and event.tag is None:  # quoted, or a block of text
            return Scalar(place, text, event.value)
        try:
            return Scalar(place, _resolved(text, None if event.implicit[0] else event.tag), event.value)
        except (ValueError, KeyError, yaml.YAMLError):
            if event.tag:
                self._refuse(place, f"the tag {event.tag.removeprefix(_TAG)} is not allowed", "write plain YAML.")
            self._refuse(place, f"YAML cannot read {event.value!r} as it stands", "put it in quotes.")

    def _sequence(self, event: Any, depth: int) -> Sequence:
        self._check_tag(event, "seq")
        items: list[Node] = []
        while not isinstance(inner := self._next(), yaml.SequenceEndEvent):
            items.append(self._node(inner, depth + 1))
        return Sequence(self._place(event, inner), items)

    def _mapping(self, event: Any, depth: int) -> Mapping:
        self._check_tag(event, "map")
        entries: dict[str, Entry] = {}
        merges: list[Node] = []
        while not isinstance(inner := self._next(), yaml.MappingEndEvent):
            place = self._place(inner, inner)
            key = self._key(inner, place)
            value = self._node(self._next(), depth + 1)
            if key is None:
                merges.append(value)
            elif key in entries:
                first = entries[key].place.line
                self._refuse(place, f'the key "{key}" stands here twice', f"keep one; the other is in line {first}.")
            else:
                entries[key] = Entry(place, value)
        for node in merges:
            self._merge(entries, node)
        return Mapping(self._place(event, inner), entries, flow=bool(event.flow_style))

    def _key(self, event: Any, place: Place) -> str | None:
        """The text of a key, or None for the merge key `<<`."""
        if not isinstance(event, yaml.ScalarEvent):
            self._refuse(place, "a key must be text", "write the key out, in quotes if need be.")
        key = str(event.value)
        if not event.implicit[0]:
            return key
        if key == "<<":
            return None
        kind = _plain_tag(key).removeprefix(_TAG)
        if kind != "str":
            self._refuse(place, f"YAML reads the key {key} as {kind}, not as text", f'put it in quotes: "{key}".')
        return key

    def _merge(self, entries: dict[str, Entry], node: Node) -> None:
        """Add what `<<` brings in; keys that are there already win, as YAML's merge type says."""
        for source in node.items if isinstance(node, Sequence) else [node]:
            if not isinstance(source, Mapping):
                self._refuse(source.place, "only mappings can be merged with <<")
            for key, entry in source.entries.items():
                entries.setdefault(key, entry)

    def _check_tag(self, event: Any, kind: str) -> None:
        if event.tag not in (None, "!", _TAG + kind):
            tag = event.tag.removeprefix(_TAG)
            self._refuse(self._place(event, event), f"the tag {tag} is not allowed", "write plain YAML.")

    def _place(self, start: Any, end: Any) -> Place:
        begin, finish = start.start_mark, end.end_mark
        return Place(self._file, begin.line + 1, begin.column, finish.line + 1, finish.column)

    def _refuse(self, place: Place, what: str, next_step: str = "") -> NoReturn:
        raise spec_error(place, what, next_step=next_step)
