"""Schema files: redisvl and rvlstate read the same file, and nothing that redisvl knows is lost on the way."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from error_cases import write_project
from redisvl.schema import IndexSchema
from redisvl.schema.fields import FIELD_TYPE_MAP, VECTOR_FIELD_TYPE_MAP

from rvlstate.files.project_file import load_project
from rvlstate.files.schema_definition import definition_from_schema
from rvlstate.files.schema_file import load_schema


def test_redisvl_warnings_are_told_and_do_not_reach_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A path in a hash index has no effect: redisvl says so in its log, we say so once, with the file."""
    schema = "version: '0.1.0'\nindex: {name: a}\nfields: [{name: t, type: text, path: $.t}]\n"
    with caplog.at_level(logging.DEBUG):
        write_project({"schema": schema}, tmp_path)
        project = load_project(tmp_path, {})
    file = f"{tmp_path.as_posix()}/indexes/a.yaml"
    assert project.warnings == (f"{file}: Path attribute for field 't' will be ignored for HASH storage type.",)
    assert caplog.records == []


def test_redisvl_and_rvlstate_read_the_same_file(tmp_path: Path) -> None:
    """A file with every shape that redisvl takes: fields as a mapping, anchors, merge keys, long strings, unicode."""
    schema = """\
version: 0.1.0
index: {name: "a", prefix: [p, "q:"], key_separator: "|", storage_type: json, stopwords: []}
fields:
  t: {name: t, type: text, path: $.a.t, attrs: &attrs {sortable: true, weight: 2}}
  ü: {name: ü, type: text, attrs: {<<: *attrs, weight: 0.5}}
"""
    write_project({"schema": schema}, tmp_path)
    path = tmp_path / "indexes" / "a.yaml"
    assert load_schema(path).schema == IndexSchema.from_yaml(str(path))
    (index,) = load_project(tmp_path, {}).desired.indexes
    assert index.definition.prefixes == ("p", "q:")
    assert [field.name for field in index.definition.fields] == ["t", "ü"]


ATTRIBUTES = [
    (kind, name, attribute)
    for kind, models in (("field", FIELD_TYPE_MAP), ("vector", VECTOR_FIELD_TYPE_MAP))
    for name, model in models.items()
    for attribute in model.model_fields["attrs"].annotation.model_fields
    if attribute != "algorithm"
]
OTHER_VALUES: dict[str, Any] = {
    "phonetic_matcher": "dm:en",
    "separator": ";",
    "datatype": "float16",
    "distance_metric": "l2",
    "compression": "LeanVec4x8",
}


@pytest.mark.parametrize(("kind", "name", "attribute"), ATTRIBUTES)
def test_every_attribute_of_redisvl_reaches_the_definition(kind: str, name: str, attribute: str) -> None:
    """None is dropped on the way: another value of any attribute gives another definition."""
    attrs: dict[str, Any] = {"sortable": True} if kind == "field" else {"algorithm": name, "dims": 8}
    if attribute in ("reduce", "compression"):
        attrs["compression"] = "LeanVec8x8"
        attrs["reduce"] = 4
    default = IndexSchema.from_dict(_schema(kind, name, attrs)).fields["f"].attrs.model_dump()[attribute]
    value = OTHER_VALUES.get(attribute) or (not default if isinstance(default, bool) else (default or 0) + 1)
    before = definition_from_schema(IndexSchema.from_dict(_schema(kind, name, attrs)))
    after = definition_from_schema(IndexSchema.from_dict(_schema(kind, name, {**attrs, attribute: value})))
    assert before != after


def _schema(kind: str, name: str, attrs: dict[str, Any]) -> dict[str, Any]:
    field = {"name": "f", "type": "vector" if kind == "vector" else name, "attrs": attrs}
    return {"index": {"name": "a"}, "fields": [field]}
