"""The shape of the project file: every key with its type and default, and nothing else; a door to pydantic."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from rvlstate.model.desired import Strategy

LANGUAGES = (
    "arabic",
    "armenian",
    "basque",
    "catalan",
    "chinese",
    "danish",
    "dutch",
    "english",
    "finnish",
    "french",
    "german",
    "greek",
    "hindi",
    "hungarian",
    "indonesian",
    "irish",
    "italian",
    "lithuanian",
    "nepali",
    "norwegian",
    "portuguese",
    "romanian",
    "russian",
    "serbian",
    "spanish",
    "swedish",
    "tamil",
    "turkish",
    "yiddish",
)
"""The languages that FT.CREATE accepts (each tried on RediSearch 2.10.5)."""

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(?P<count>[0-9]+(?:\.[0-9]+)?)(?P<unit>ms|s|m|h|d)")
LONGEST_SECONDS = 3650 * 86400.0
PROJECT = re.compile(r"[a-z0-9][a-z0-9-]*")
"""The names that projects may have."""


def seconds(duration: str) -> float:
    """The seconds of a duration such as `30s`, `5m`, `2h` or `7d`."""
    match = _DURATION.fullmatch(duration)
    if match is None:
        raise PydanticCustomError("duration", "must be a duration such as 30s, 5m, 2h or 7d")
    length = float(match["count"]) * _SECONDS[match["unit"]]
    if length > LONGEST_SECONDS:
        raise PydanticCustomError("duration", "must be a duration of at most 3650d")
    return length


def _checked_duration(value: str) -> str:
    seconds(value)
    return value


def _language(value: str) -> str:
    if value.lower() not in LANGUAGES:
        raise PydanticCustomError("language", f"must be one of {', '.join(LANGUAGES)}")
    return value.lower()


def _project_name(value: str) -> str:
    if not PROJECT.fullmatch(value):
        raise PydanticCustomError("project", "must be lower-case letters, digits and dashes, and not begin with a dash")
    return value


def _version(value: int) -> int:
    if value != 1:  # not a Literal, which takes `true` for 1
        raise PydanticCustomError("version", "must be 1, the only version of the project file so far")
    return value


def _empty_if_null(value: Any) -> Any:
    """A key whose value is all comments holds a null in YAML; it means: nothing set."""
    return {} if value is None else value


def _hook_command(value: Any) -> Any:
    if (
        value is None
        or isinstance(value, str)
        or (isinstance(value, list) and all(isinstance(part, str) for part in value))
    ):
        return value
    raise PydanticCustomError("command", 'must be a command: a text, or a list of texts such as [./check.sh, "5"]')


def _no_entries_if_null(value: Any) -> Any:
    return [] if value is None else value


class Block(BaseModel):
    """A mapping of the project file: types are taken literally, and unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


Text = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
BatchSize = Annotated[int, Field(ge=1, le=10_000)]
Share = Annotated[float, Field(gt=0, le=1)]
Duration = Annotated[str, AfterValidator(_checked_duration)]
HookCommand = Annotated[str | list[str] | None, BeforeValidator(_hook_command)]
Names = Annotated[list[Text], BeforeValidator(_no_entries_if_null)]


class RedisBlock(Block):
    """`redis`: the connection."""

    url: Text


class DefinitionBlock(Block):
    """`definition`: what FT.CREATE knows about an index and redisvl's schema has no place for."""

    filter: Text | None = None
    language: Annotated[str, AfterValidator(_language)] | None = None
    language_field: Text | None = None
    score: Annotated[float, Field(ge=0, le=1)] = 1.0
    score_field: Text | None = None
    payload_field: Text | None = None
    no_offsets: bool = False
    no_highlight: bool = False
    no_fields: bool = False
    no_frequencies: bool = False
    max_text_fields: bool = False
    index_all: bool = False
    temporary: Count | None = None


class FieldBlock(Block):
    """`fields.<name>`: how values come about, and what FT.CREATE knows of a field that redisvl cannot say.

    `transform` is read by `transform_steps`, which knows the place of each part.
    """

    transform: Any = None
    reads: Names = []
    version: Natural = 0
    renamed_from: Text | None = None
    identifier: str | None = None
    unf: bool | None = None
    no_index: bool | None = None
    separator: Literal[""] | None = None
    type: Literal["geoshape"] | None = None
    coord_system: Literal["spherical", "flat"] | None = None
    index_missing: bool | None = None
    sortable: bool | None = None


class KnnCheck(Block):
    """A gate: the nearest neighbours of sampled documents overlap between the old index and the new one."""

    knn: Text
    samples: Count = 50
    k: Count = 10
    min_overlap: Share = 0.95


class QueryCheck(Block):
    """A gate: a query finds the same in the old index and the new one."""

    query: Text
    compare: Literal["count"] = "count"


def _kind_of_check(value: Any) -> str:
    return "check:query" if isinstance(value, dict) and "query" in value else "check:knn"


Check = Annotated[
    Annotated[KnnCheck, Tag("check:knn")] | Annotated[QueryCheck, Tag("check:query")],
    Discriminator(_kind_of_check),
]


class HooksBlock(Block):
    """`hooks`: commands around a cutover; `hook_settings` splits them."""

    before_cutover: HookCommand = None
    after_cutover: HookCommand = None


class IndexBlock(Block):
    """`indexes.<name>` and `defaults`: the settings of one index."""

    depends_on: Names = []
    aliases: Names = []
    renamed_from: Text | None = None
    definition: Annotated[DefinitionBlock, BeforeValidator(_empty_if_null)] = DefinitionBlock()
    fields: Annotated[
        dict[str, Annotated[FieldBlock, BeforeValidator(_empty_if_null)]], BeforeValidator(_empty_if_null)
    ] = {}
    strategy: Strategy = "auto"
    cutover: Literal["auto", "manual"] = "auto"
    batch_size: BatchSize = 500
    max_docs_per_second: Count | None = None
    max_bad_rows: Natural = 0
    backup: Text | None = None
    checks: Annotated[list[Check], BeforeValidator(_no_entries_if_null)] = []
    prevent_destroy: bool = False
    hooks: Annotated[HooksBlock, BeforeValidator(_empty_if_null)] = HooksBlock()


class PolicyBlock(Block):
    """`policy`: the project's own rules."""

    allow: Names = []
    retain_old: Duration = "0s"
    settle: Duration = "5s"
    naming: Literal["alias", "plain"] = "alias"
    max_memory_ratio: Share = 0.9
    await_replicas: bool = True


Settings = Annotated[IndexBlock, BeforeValidator(_empty_if_null)]


class ProjectBlock(Block):
    """The whole project file."""

    version: Annotated[int, AfterValidator(_version)]
    project: Annotated[str, AfterValidator(_project_name)]
    redis: RedisBlock
    schemas: list[Text]
    defaults: Settings = IndexBlock()
    indexes: Annotated[dict[str, Settings], BeforeValidator(_empty_if_null)] = {}
    policy: Annotated[PolicyBlock, BeforeValidator(_empty_if_null)] = PolicyBlock()
    revisions: Annotated[dict[str, list[Text]], BeforeValidator(_empty_if_null)] = {}
