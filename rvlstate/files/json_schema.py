"""The JSON Schema of the project file, made from the blocks that read it; editors complete and check by it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, TypeAlias

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from rvlstate.files import spec
from rvlstate.files.key_words import MEANINGS
from rvlstate.files.transform_steps import CALLABLE, STEPS
from rvlstate.model.hazard import HAZARD_CODES

Schema: TypeAlias = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
PROJECT_FORMAT = 1
INTERPOLATED: Schema = {"$ref": "#/$defs/Interpolated"}
"""What may stand for a number, a truth value or a choice: interpolation comes before YAML decides about types."""

_INTERPOLATED: Schema = {
    "type": "string",
    "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}",
    "description": "A value from the environment: ${NAME} or ${NAME:-default}.",
}
_EXTRA: dict[str, Schema] = {
    "ProjectBlock.version": {"const": PROJECT_FORMAT},
    "ProjectBlock.project": {"pattern": f"^{spec.PROJECT.pattern}$"},
    "ProjectBlock.schemas": {"minItems": 1},
    "DefinitionBlock.language": {"enum": [*spec.LANGUAGES, None]},
    "PolicyBlock.retain_old": {"pattern": r"^\d+(\.\d+)?(ms|s|m|h|d)$", "examples": ["0s", "30m", "2h", "7d"]},
    "PolicyBlock.settle": {"pattern": r"^\d+(\.\d+)?(ms|s|m|h|d)$", "examples": ["5s", "1m"]},
    "PolicyBlock.allow": {"anyOf": [{"type": "array", "items": {"enum": sorted(HAZARD_CODES)}}, {"type": "null"}]},
}
"""What validators know of a key and its type does not say."""

_NULLABLE = frozenset({"_empty_if_null", "_no_entries_if_null"})
"""Validators by which a key whose value is all comments counts as not set."""

_OPEN = frozenset({"const", "enum", "pattern"})
_TYPED = frozenset({"integer", "number", "boolean"})


def project_schema() -> Schema:
    """The schema of `rvlstate.yaml`."""
    schema = spec.ProjectBlock.model_json_schema(schema_generator=_Generator)
    blocks = {name: _block(name, block) for name, block in schema.pop("$defs").items()}
    definitions = {**blocks, "Interpolated": _INTERPOLATED, "TransformStep": _step()}
    title = f"rvlstate project file, version {PROJECT_FORMAT}"
    return {"$schema": DIALECT, "title": title, **_block("ProjectBlock", schema), "$defs": definitions}


def environment_schema() -> Schema:
    """The schema of an overlay, `rvlstate.NAME.yaml`: the same keys, all of them optional."""
    schema = project_schema()
    redis = {key: value for key, value in schema["$defs"]["RedisBlock"].items() if key != "required"}
    schema = {key: value for key, value in schema.items() if key != "required"}
    definitions = {**schema["$defs"], "RedisBlock": redis}
    title = f"overlay of an rvlstate project file, version {PROJECT_FORMAT}"
    return {**schema, "$defs": definitions, "title": title, "description": "What an environment has of its own."}


class _Generator(GenerateJsonSchema):
    """pydantic's schema, with the nulls that our validators accept."""

    def function_before_schema(self, schema: Any) -> JsonSchemaValue:
        """A block that may be null, where the validator in front of it says so."""
        inner = super().function_before_schema(schema)
        function = getattr(schema["function"]["function"], "__name__", "")
        return {"anyOf": [inner, {"type": "null"}]} if function in _NULLABLE else inner


def _block(block: str, schema: Schema) -> Schema:
    """A block, with the meaning of each key, and with what validators accept and refuse."""
    properties = {name: _key(f"{block}.{name}", key) for name, key in schema["properties"].items()}
    description = str(schema["description"]).partition("\n")[0]
    kept = {word: value for word, value in schema.items() if word != "title"}
    return {**kept, "description": description, "properties": properties}


def _key(name: str, key: Schema) -> Schema:
    """One key: its meaning, what it may hold, and its default where that is no block of defaults."""
    kept = {word: value for word, value in key.items() if word not in ("title", "default")}
    values = _transform() if name == "FieldBlock.transform" else _values(kept, _EXTRA.get(name, {}))
    default = {"default": key["default"]} if _is_plain(key.get("default", {})) else {}
    return {"description": MEANINGS[name], **values, **default}


def _is_plain(default: Any) -> bool:
    """Whether a default is worth showing: one that is no block."""
    return not isinstance(default, dict)


def _values(schema: Schema, extra: Schema) -> Schema:
    """A schema of values that may also be interpolated."""
    if "enum" in extra and "anyOf" in schema:
        schema = {}
    merged = {**schema, **extra}
    examples = {"examples": merged.pop("examples")} if "examples" in merged else {}
    if "anyOf" in merged:
        arms = [_values(arm, {}) for arm in merged["anyOf"]]
        flat = [inner for arm in arms for inner in arm.get("anyOf", [arm])]
        return {"anyOf": _once(flat), **examples}
    if isinstance(merged.get("items"), dict):
        merged["items"] = _values(merged["items"], {})
    if "const" in merged or _is_open(merged):
        return {"anyOf": [merged, INTERPOLATED], **examples}
    return {**merged, **examples}


def _is_open(schema: Schema) -> bool:
    """Whether a value of this schema may be written as ${NAME}, and would not fit it."""
    return schema.get("type") in _TYPED or bool(_OPEN & schema.keys())


def _once(arms: Iterable[Schema]) -> list[Schema]:
    found: list[Schema] = []
    for arm in arms:
        if arm not in found:
            found.append(arm)
    return found


def _transform() -> Schema:
    """A step, or a list of steps."""
    step = {"$ref": "#/$defs/TransformStep"}
    return {"anyOf": [step, {"type": "array", "minItems": 1, "items": step}, {"type": "null"}]}


def _step() -> Schema:
    """A step as it is, one with parameters, or a callable."""
    bare = [name for name, form in STEPS.items() if not form.required]
    with_parameters = [_parametrised(name, form.main, form.parameters) for name, form in STEPS.items()]
    return {
        "anyOf": [
            {"enum": bare, "description": "A step that is built in."},
            {"type": "string", "pattern": f"^{CALLABLE.pattern}$", "description": "A callable, module:callable."},
            *[schema for schema in with_parameters if schema],
            INTERPOLATED,
        ]
    }


def _parametrised(name: str, main: str, parameters: Any) -> Schema:
    """`{split: ","}` and `{split: {separator: ","}}`; {} for a step that has no parameters."""
    if not parameters:
        return {}
    properties = {parameter: _PARAMETERS[kind] for parameter, kind in parameters.items()}
    required = {"required": [main]} if main and STEPS[name].required else {}
    named: Schema = {"type": "object", "properties": properties, "additionalProperties": False, **required}
    value = {"anyOf": [properties[main], named]} if main else named
    return {"type": "object", "properties": {name: value}, "required": [name], "additionalProperties": False}


_PARAMETERS: dict[str, Schema] = {
    "scale": {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, INTERPOLATED]},
    "value": {"type": ["string", "number", "boolean"]},
    "text": {"type": "string"},
    "sign": {"type": "string", "minLength": 1},
    "whole": {"anyOf": [{"type": "integer"}, INTERPOLATED]},
    "truth": {"anyOf": [{"type": "boolean"}, INTERPOLATED]},
    "order": {"anyOf": [{"enum": ["lon-lat", "lat-lon"]}, INTERPOLATED]},
}


def schema_text(schema: Schema) -> str:
    """A schema as it is written to files."""
    return json.dumps(schema, indent=2, ensure_ascii=True) + "\n"
