"""Replies of the search module turned into values: pure, for RESP2 lists and RESP3 maps, decoded or bytes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from rvlstate.errors import ReplyNotUnderstoodError
from rvlstate.model.catalog import LiveIndex, Statistics
from rvlstate.model.definition import IndexDefinition
from rvlstate.model.field import UNREVEALED
from rvlstate.runtime.reply_fields import NotUnderstoodError, parse_field

OPTIONS = {
    "NOOFFSETS": "no_offsets",
    "NOHL": "no_highlight",
    "NOFIELDS": "no_fields",
    "NOFREQS": "no_frequencies",
    "MAXTEXTFIELDS": "max_text_fields",
}
STORAGES: dict[str, Literal["hash", "json"]] = {"HASH": "hash", "JSON": "json"}
TRUTH = {"true": True, "false": False}
RULES = {
    "filter": "filter",
    "default_language": "language",
    "language_field": "language_field",
    "score_field": "score_field",
    "payload_field": "payload_field",
}
"""Key of `index_definition` -> attribute of the model, for texts that are shown only when they are set."""

KNOWN_RULES = frozenset({*RULES, "key_type", "prefixes", "default_score", "indexes_all"})

MEGABYTE = 1024 * 1024
MEMORY_PARTS = (
    "inverted_sz_mb",
    "offset_vectors_sz_mb",
    "doc_table_size_mb",
    "sortable_values_size_mb",
    "key_table_size_mb",
    "tag_overhead_sz_mb",
    "text_overhead_sz_mb",
    "geoshapes_sz_mb",
)
NOTHING = "N/A"
SCAN_COMPLETE = "OK"
SCAN_ABORTED = "cancelling the scan"
"""Part of the error that a scan leaves behind when it was aborted for memory; older servers show no status of it."""


def parse_info(name: str, reply: object) -> LiveIndex:
    """The index that an FT.INFO reply about `name` shows, without synonyms.

    `LiveIndex.name` is the name in the reply, which differs from `name` when that is an alias.
    Raises ReplyNotUnderstoodError, naming the index, for anything of its definition that is not known here.
    """
    try:
        top = _pairs(_decoded(reply))
        return LiveIndex(name=_text(top, "index_name"), definition=_definition(top), statistics=_statistics(top))
    except NotUnderstoodError as error:
        raise ReplyNotUnderstoodError(f'index "{name}"', error.what, error.part) from error


def parse_index_name(name: str, reply: object) -> str:
    """Only the name in an FT.INFO reply about `name`: the index behind an alias. Raises ReplyNotUnderstoodError."""
    try:
        return _text(_pairs(_decoded(reply)), "index_name")
    except NotUnderstoodError as error:
        raise ReplyNotUnderstoodError(f'index "{name}"', error.what, error.part) from error


def parse_syndump(reply: object) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The synonyms of an FT.SYNDUMP reply: term -> groups, both sorted. Raises ReplyNotUnderstoodError."""
    try:
        terms = _pairs(_decoded(reply)) if reply else {}
        return tuple(sorted((term, _sorted_texts(groups)) for term, groups in terms.items()))
    except NotUnderstoodError as error:
        raise ReplyNotUnderstoodError("FT.SYNDUMP", error.what, error.part) from error


def parse_names(command: str, reply: object) -> tuple[str, ...]:
    """The names in a reply of FT._LIST or FT.ALIASLIST (a list, or a set on RESP3), sorted.

    A name is there as often as the server shows it. Raises ReplyNotUnderstoodError.
    """
    try:
        return _sorted_texts(_decoded(reply))
    except NotUnderstoodError as error:
        raise ReplyNotUnderstoodError(command, error.what, error.part) from error


def _definition(top: dict[str, Any]) -> IndexDefinition:
    rules = _pairs(top.get("index_definition"))
    unknown = sorted(set(rules) - KNOWN_RULES)
    if unknown:
        raise NotUnderstoodError(f"its definition has what this version does not know: {', '.join(unknown)}", rules)
    return IndexDefinition(
        storage=_choice(rules, "key_type", STORAGES),
        prefixes=tuple(rules.get("prefixes") or ("",)),
        # A score of 0 is the one that is not shown (measured on 2.10.5; the source says `if (score_default)`).
        score=_number(rules, "default_score"),
        stopwords=tuple(top["stopwords_list"]) if "stopwords_list" in top else None,
        index_all=_choice(rules, "indexes_all", TRUTH) if "indexes_all" in rules else False,
        temporary=UNREVEALED,
        fields=tuple(parse_field(shown) for shown in _list(top, "attributes")),
        **_rules(rules),
        **_options(_list(top, "index_options")),
    )


def _rules(shown: dict[str, Any]) -> dict[str, Any]:
    return {attribute: _text(shown, key) for key, attribute in RULES.items() if key in shown}


def _options(shown: list[Any]) -> dict[str, Any]:
    unknown = [str(option) for option in shown if option not in OPTIONS]
    if unknown:
        raise NotUnderstoodError(f"it has options that this version does not know: {', '.join(unknown)}", shown)
    return {OPTIONS[option]: True for option in shown}


def _statistics(top: dict[str, Any]) -> Statistics:
    errors = _pairs(top.get("Index Errors") or {})
    last_error = _told(errors.get("last indexing error"))
    indexing = int(_number(top, "indexing"))
    return Statistics(
        documents=int(_number(top, "num_docs")),
        max_document_id=int(_number(top, "max_doc_id")),
        indexing=indexing,
        # Not shown, or nan, where there is no key at all: then the scan has nothing left to do once it has ended.
        percent=_number(top, "percent_indexed", otherwise=0.0 if indexing else 1.0),
        failures=int(_number(top, "hash_indexing_failures")),
        last_error=last_error,
        last_error_key=_told(errors.get("last indexing error key")),
        scan_error=_scan_error(errors, last_error),
        index_bytes=_index_bytes(top),
        terms=int(_number(top, "num_terms")),
        indexing_ms=_number(top, "total_indexing_time"),
    )


def _scan_error(errors: dict[str, Any], last_error: str) -> str:
    status = _told(errors.get("background indexing status"))
    if status and status != SCAN_COMPLETE:
        return f"{status}: {last_error}" if last_error else status
    return last_error if SCAN_ABORTED in last_error else ""


def _index_bytes(top: dict[str, Any]) -> int:
    """Memory of the index with its vectors, which `total_index_memory_sz_mb` leaves out (2.10, 8.0) or counts (later).

    The total is never less than its parts, so it counts the vectors exactly when they fit into it besides the parts.
    """
    parts = sum(_number(top, key) for key in MEMORY_PARTS)
    vectors = _number(top, "vector_index_sz_mb")
    total = max(_number(top, "total_index_memory_sz_mb"), parts)
    return round((total if total >= parts + vectors else total + vectors) * MEGABYTE)


def _told(value: object) -> str:
    return "" if value is None or value == NOTHING else str(value)


def _number(pairs: dict[str, Any], key: str, *, otherwise: float = 0.0) -> float:
    """A figure; missing ones, nan and infinity (a division by no documents) count as `otherwise`."""
    try:
        value = float(pairs.get(key, otherwise))
    except (TypeError, ValueError) as error:
        raise NotUnderstoodError(f"{key} is no number", pairs[key]) from error
    return value if math.isfinite(value) else otherwise


def _text(pairs: dict[str, Any], key: str) -> str:
    value = pairs.get(key)
    if not isinstance(value, str):
        raise NotUnderstoodError(f"{key} is missing or no text", pairs)
    return value


def _list(pairs: dict[str, Any], key: str) -> list[Any]:
    value = pairs.get(key)
    if not isinstance(value, list | tuple):
        raise NotUnderstoodError(f"{key} is missing or no list", pairs)
    return list(value)


def _choice(pairs: dict[str, Any], key: str, known: Mapping[str, Any]) -> Any:
    value = str(pairs.get(key))
    if value not in known:
        raise NotUnderstoodError(f"{key} is not known: {value}", pairs)
    return known[value]


def _pairs(reply: object) -> dict[str, Any]:
    """A map, or the flat list that stands for one on RESP2."""
    if isinstance(reply, Mapping):
        return dict(reply)
    if not isinstance(reply, list | tuple) or len(reply) % 2 or not all(isinstance(key, str) for key in reply[::2]):
        raise NotUnderstoodError("the reply is no map", reply)
    return dict(zip(reply[::2], reply[1::2], strict=True))


def _sorted_texts(reply: object) -> tuple[str, ...]:
    if not isinstance(reply, list | tuple | set | frozenset) or not all(isinstance(item, str) for item in reply):
        raise NotUnderstoodError("the reply is no list of texts", reply)
    return tuple(sorted(reply))


def _decoded(reply: object) -> object:
    """The reply with all bytes as text; bytes that are no UTF-8 become surrogates and can be sent back as they were."""
    first = next(iter(reply), None) if isinstance(reply, Mapping | list | tuple | set | frozenset) else None
    return _as_text(reply) if isinstance(first, bytes) else reply


def _as_text(reply: Any) -> Any:
    if isinstance(reply, bytes):
        return reply.decode("utf-8", "surrogateescape")
    if isinstance(reply, Mapping):
        return {_as_text(key): _as_text(value) for key, value in reply.items()}
    if isinstance(reply, list | tuple | set | frozenset):
        return [_as_text(item) for item in reply]
    return reply
