"""The declared side: project files and schema files to the declared set, and every mistake to its exact message."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from error_cases import PROJECT, SCHEMA, run_case, write_project
from pydantic import BaseModel

from rvlstate.files.project_file import ProjectFile, load_project
from rvlstate.files.spec import DefinitionBlock, FieldBlock, IndexBlock, PolicyBlock, ProjectBlock
from rvlstate.model.check import KnnCheck, QueryCheck
from rvlstate.model.definition import IndexDefinition
from rvlstate.model.desired import FieldSettings, Policy
from rvlstate.model.field import GeoShapeField, TagField, TextField
from rvlstate.model.hazard import HAZARD_CODES
from rvlstate.model.secret import redact_url
from rvlstate.model.transform import (
    Call,
    Cast,
    Constant,
    Copy,
    Drop,
    Join,
    Normalize,
    Split,
    ToGeo,
    ToNumber,
    ToTag,
    ToText,
    TransformStep,
    Truncate,
)

CASES = [
    pytest.param(case, id=f"{file.stem}: {case['name']}")
    for file in sorted((Path(__file__).parent / "cases" / "errors").glob("*.yaml"))
    for case in yaml.safe_load(file.read_text(encoding="utf-8"))
]
DOCS = Path(__file__).parents[1] / "docs" / "project-file.md"


@pytest.mark.parametrize("case", CASES)
def test_a_mistake_gives_exactly_its_message(case: dict[str, Any], tmp_path: Path) -> None:
    """Each case of cases/errors is refused with the class and the words that it names."""
    kind, message = run_case(case, tmp_path)
    assert f"{message}\n" == case["message"]
    assert kind == case["error"]


def test_every_error_case_has_a_name_of_its_own() -> None:
    """Case names are unique, so that a failing one can be found."""
    names = [str(case.id) for case in CASES]
    assert len(names) == len(set(names))
    assert len(names) >= 45


def load(folder: Path, env: dict[str, str] | None = None, **case: Any) -> ProjectFile:
    """The project of a case that is right."""
    write_project(case, folder)
    return load_project(folder, env or {})


def definition(folder: Path, **case: Any) -> IndexDefinition:
    """The definition of index `a` of a case that is right."""
    index = load(folder, **case).desired.index("a")
    assert index is not None
    return index.definition


def test_the_smallest_project(tmp_path: Path) -> None:
    """Only what is required: everything else has its default."""
    project = load(tmp_path)
    assert project.project == "shop"
    assert project.redis_url == "redis://localhost"
    assert project.path == tmp_path / "rvlstate.yaml"
    assert project.warnings == ()
    assert project.desired.policy == Policy()
    (index,) = project.desired.indexes
    assert index.name == "a"
    assert index.source == f"{tmp_path.as_posix()}/indexes/a.yaml:2"
    assert index.definition == IndexDefinition(
        prefixes=("a:",), fields=(TextField(name="title", identifier="title", weight=1),)
    )


def test_the_file_itself_or_its_folder_may_be_named(tmp_path: Path) -> None:
    """Both lead to the same project."""
    assert load(tmp_path).desired == load_project(tmp_path / "rvlstate.yaml", {}).desired


def test_the_documented_example_loads(tmp_path: Path) -> None:
    """The YAML in docs/project-file.md is a project that loads, and means what the text says."""
    text = DOCS.read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]
    vector = "attrs: {algorithm: hnsw, dims: 8}"
    fields = [f"embedding, type: vector, {vector}", f"summary_vec, type: vector, {vector}"]
    products = "".join(f"  - {{name: {field}}}\n" for field in [*fields, "headline, type: text"])
    files = {
        "rvlstate.yaml": text,
        "indexes/a.yaml": SCHEMA.replace("name: a,", "name: categories,"),
        "indexes/products.yaml": f"version: '0.1.0'\nindex: {{name: products}}\nfields:\n{products}",
    }
    desired = load(tmp_path, files=files).desired
    index = desired.index("products")
    assert index is not None
    assert index.depends_on == ("categories",)
    assert index.aliases == ("catalogue",)
    assert index.renamed_from == "goods"
    assert index.prevent_destroy
    embed = FieldSettings(transform=(Call(function="transforms:embed"),), reads=("summary",), version=2)
    assert index.field_settings("summary_vec") == embed
    assert index.definition.field("area") == GeoShapeField(name="area", identifier="area", coord_system="flat")
    assert (index.definition.filter, index.definition.score) == ("@price > 0", 0.5)
    assert desired.protected == ("discontinued",)
    assert desired.policy.allow == ("LOSES_PRECISION",)


@pytest.mark.parametrize(
    ("heading", "model"),
    [
        ("## Keys", ProjectBlock),
        ("### `indexes.<name>`", IndexBlock),
        ("### `indexes.<name>.definition`", DefinitionBlock),
        ("### `indexes.<name>.fields.<field>`", FieldBlock),
        ("### `policy`", PolicyBlock),
    ],
)
def test_the_documented_keys_and_defaults_are_the_real_ones(heading: str, model: type[BaseModel]) -> None:
    """Each table of docs/project-file.md has a row for every key, with the default that the code has."""
    section = re.split(r"\n#+ ", DOCS.read_text(encoding="utf-8").split(f"\n{heading}\n")[1])[0]
    rows = dict(re.findall(r"^\| `([a-z_]+)(?:\.url)?` \| (\S+) \|", section, flags=re.MULTILINE))
    assert rows == {name: _documented(field) for name, field in model.model_fields.items()}


def _documented(field: Any) -> str:
    if field.is_required():
        return "required"
    match field.default:
        case BaseModel():
            return "`{}`"
        case str() as text:
            return f"`{text}`"
        case value:
            return f"`{json.dumps(value)}`"


def test_the_hazard_codes_are_those_of_the_contract() -> None:
    """Every code of the public surface, and the possible rename; each has one sentence."""
    named = (
        "DELETES_INDEX SEARCH_DOWNTIME LOSES_PRECISION REWRITES_DOCUMENTS QUERY_ENCODING_CHANGES NAME_BECOMES_ALIAS "
        "CUTOVER_GAP MEMORY_PEAK SHARED_DOCUMENTS RUNS_USER_CODE SLOW_BUILD RESULT_KEYS_CHANGE POSSIBLE_RENAME"
    )
    assert set(HAZARD_CODES) == set(named.split())
    assert all(sentence.endswith(".") and sentence.count(". ") == 0 for sentence in HAZARD_CODES.values())


# What the settings mean


def test_defaults_lie_beneath_the_settings_of_every_index(tmp_path: Path) -> None:
    """Mappings are merged key by key, an index's own value wins, lists are replaced."""
    extra = """\
defaults:
  strategy: shadow
  aliases: [x]
  definition: {language: german, score: 0.5}
indexes:
  a:
    aliases: [y]
    definition: {score: 0.25}
"""
    (index,) = load(tmp_path, extra=extra).desired.indexes
    assert index.strategy == "shadow"
    assert index.aliases == ("y",)
    assert (index.definition.language, index.definition.score) == ("german", 0.25)


def test_keys_with_nothing_but_comments_are_not_set(tmp_path: Path) -> None:
    """A null where a mapping or a list belongs means the default, and takes nothing from the defaults beneath."""
    extra = """\
defaults: {definition: {score: 0.5}}
policy:
  # naming: plain
indexes:
  a:
    definition:
      # score: 1
    depends_on:
revisions:
"""
    project = load(tmp_path, extra=extra)
    assert project.desired.policy == Policy()
    assert project.desired.indexes[0].definition.score == 0.5


def test_defaults_of_a_field_go_to_the_indexes_that_have_it(tmp_path: Path) -> None:
    """Other indexes are left as they are."""
    extra = "defaults: {fields: {title: {identifier: t}}}\n"
    other = "version: '0.1.0'\nindex: {name: b}\nfields: [{name: x, type: tag}]\n"
    a, b = load(tmp_path, extra=extra, files={"indexes/b.yaml": other}).desired.indexes
    assert a.definition.fields == (TextField(name="title", identifier="t", weight=1),)
    assert b.definition.fields == (TagField(name="x", identifier="x"),)


def test_values_from_the_defaults_are_checked_where_they_are_written(tmp_path: Path) -> None:
    """Anchors, merge keys and defaults do not hide a value from the settings of an index."""
    extra = "indexes:\n  base: &base {prevent_destroy: true}\n  a:\n    <<: *base\n    strategy: recreate\n"
    project = load(tmp_path, extra=extra)
    assert project.desired.indexes[0].prevent_destroy
    assert project.desired.protected == ("base",)


def test_an_undeclared_index_can_be_protected(tmp_path: Path) -> None:
    """`prevent_destroy: true` alone protects a name; one that looks like a slip is warned of."""
    project = load(
        tmp_path,
        extra="indexes:\n  gone: {prevent_destroy: true}\n  prodct: {prevent_destroy: true}\n",
        files={"indexes/b.yaml": SCHEMA.replace("name: a,", "name: product,")},
    )
    assert project.desired.protected == ("gone", "prodct")
    assert [project.desired.protects(name) for name in ("gone", "other")] == [True, False]
    place = f"{tmp_path.as_posix()}/rvlstate.yaml:7"
    assert project.warnings == (f"{place}: indexes.prodct: no schema file declares this index; did you mean product?",)


def test_defaults_can_protect_every_index(tmp_path: Path) -> None:
    """Also one that no schema declares any more, unless it is released by name."""
    extra = "defaults: {prevent_destroy: true}\nindexes:\n  old: {prevent_destroy: false}\n"
    desired = load(tmp_path, extra=extra).desired
    assert [desired.protects(name) for name in ("whatever", "old")] == [True, False]


def test_settings_that_redisvl_cannot_say_reach_the_definition(tmp_path: Path) -> None:
    """Each of the extra keys of a field changes the field as FT.CREATE would have it."""
    schema = """\
version: '0.1.0'
index: {name: a, storage_type: json}
fields:
  - {name: tags, type: tag, attrs: {sortable: true}}
"""
    extra = "indexes: {a: {fields: {tags: {unf: true, no_index: true, separator: ''}, area: {type: geoshape}}}}\n"
    fields = definition(tmp_path, schema=schema, extra=extra).fields
    assert fields == (
        TagField(name="tags", identifier="$.tags", separator="", sortable=True, unf=True, no_index=True),
        GeoShapeField(name="area", identifier="$.area"),
    )


def test_an_index_may_consist_of_settings_only(tmp_path: Path) -> None:
    """A schema without fields is an error only if the settings declare none either."""
    schema = "version: '0.1.0'\nindex: {name: a}\nfields: []\n"
    found = definition(tmp_path, schema=schema, extra="indexes: {a: {fields: {area: {type: geoshape}}}}\n")
    assert found.fields == (GeoShapeField(name="area", identifier="area"),)


# How values come about

EVERY_KIND = """\
version: '0.1.0'
index: {name: a, prefix: "a:"}
fields:
  - {name: title, type: text}
  - {name: color, type: tag}
  - {name: price, type: numeric}
  - {name: place, type: geo}
  - {name: v, type: vector, attrs: {algorithm: flat, dims: 3}}
"""


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        ("v: {transform: cast}", (Cast(),)),
        ("v: {transform: {cast: 0.01}}", (Cast(scale=0.01),)),
        ("v: {transform: {cast: {scale: 1}}}", (Cast(scale=1),)),
        ("v: {transform: {cast: {}}}", (Cast(),)),
        ("v: {transform: [truncate, normalize, cast]}", (Truncate(), Normalize(), Cast())),
        ("v: {transform: copy, reads: [w]}", (Copy(),)),
        ("v: {transform: ['m.n:f', {cast: 0.1}], reads: [title]}", (Call(function="m.n:f"), Cast(scale=0.1))),
        ("title: {transform: 'm:f', reads: [v, color]}", (Call(function="m:f"),)),
        ("title: {transform: {constant: web}}", (Constant(value="web"),)),
        ("price: {transform: {constant: {value: 0}}}", (Constant(value=0),)),
        ("color: {transform: {constant: true}}", (Constant(value=True),)),
        ("title: {transform: join, reads: [color, x]}", (Join(),)),
        ("title: {transform: {join: ''}, reads: [color, x]}", (Join(separator=""),)),
        ("title: {transform: {split: '|'}}", (Split(separator="|"),)),
        ("title: {transform: {split: {separator: ' ', part: -1}}}", (Split(separator=" ", part=-1),)),
        ("price: {transform: [{split: ' '}, number], reads: [title]}", (Split(separator=" "), ToNumber())),
        ("title: {transform: text, reads: [price]}", (ToText(),)),
        ("color: {transform: tag}", (ToTag(),)),
        ("color: {transform: {tag: {lower: true}}}", (ToTag(lower=True),)),
        ("place: {transform: geo, reads: [lon, lat]}", (ToGeo(),)),
        ("place: {transform: {geo: lat-lon}}", (ToGeo(order="lat-lon"),)),
        ("gone: {transform: drop}", (Drop(),)),
        ("title: {transform: copy, renamed_from: headline}", (Copy(),)),
    ],
)
def test_every_form_of_a_transform(settings: str, steps: tuple[TransformStep, ...], tmp_path: Path) -> None:
    """A word, a word with its main parameter, with parameters by name, a callable, and chains of them."""
    (index,) = load(tmp_path, schema=EVERY_KIND, extra=f"indexes: {{a: {{fields: {{{settings}}}}}}}\n").desired.indexes
    assert index.field_settings(settings.partition(":")[0]).transform == steps


def test_a_transform_of_null_is_none(tmp_path: Path) -> None:
    """A key whose value is all comments means: nothing set, and such a field has no settings at all."""
    extra = "indexes: {a: {fields: {title: {transform: , reads: , version: 0}}}}\n"
    assert load(tmp_path, extra=extra).desired.indexes[0].fields == ()


def test_a_default_transform_is_read_for_each_index_that_has_the_field(tmp_path: Path) -> None:
    """As with any other setting of the defaults."""
    extra = "defaults: {fields: {title: {transform: text, version: 3}}}\n"
    (index,) = load(tmp_path, extra=extra).desired.indexes
    assert index.fields == (("title", FieldSettings(transform=(ToText(),), version=3)),)


def test_a_slip_in_a_default_is_told_where_it_is_written(tmp_path: Path) -> None:
    """The line is that of the defaults, though the index is named."""
    extra = "defaults:\n  fields:\n    title:\n      transform: txt\n"
    _, message = run_case({"extra": extra}, tmp_path)
    assert message.startswith('rvlstate.yaml:8: indexes.a.fields.title.transform: unknown step "txt"')


def test_how_documents_are_gone_through(tmp_path: Path) -> None:
    """Pace, bad rows, backup and checks reach the declared index; the backup stays as it is written."""
    extra = """\
indexes:
  a:
    batch_size: 64
    max_docs_per_second: 100
    max_bad_rows: 3
    backup: ../backups
    checks: [{knn: v, k: 5}, {query: "@title:x"}]
policy: {settle: 2m}
"""
    desired = load(tmp_path / "p", schema=EVERY_KIND, extra=extra, files={"x.yaml": None}).desired
    (index,) = desired.indexes
    assert (index.batch_size, index.max_docs_per_second, index.max_bad_rows) == (64, 100, 3)
    assert index.backup == "../backups"
    assert index.checks == (KnnCheck(knn="v", k=5), QueryCheck(query="@title:x"))
    assert desired.policy.settle == 120


def test_without_settings_documents_are_gone_through_at_full_speed(tmp_path: Path) -> None:
    """The defaults: batches of 500, no limit, no bad row, no backup, no check, five seconds to settle."""
    project = load(tmp_path).desired
    (index,) = project.indexes
    assert (index.batch_size, index.max_docs_per_second, index.max_bad_rows) == (500, 0, 0)
    assert (index.backup, index.checks, project.policy.settle) == ("", (), 5)


# Interpolation and URLs


def test_an_unquoted_variable_is_typed_as_yaml_would(tmp_path: Path) -> None:
    """A number in the environment is a number; the text of a default is read alike."""
    extra = "indexes:\n  a:\n    definition:\n      score: ${SCORE}\n      temporary: ${DAYS:-60}\n"
    found = definition(tmp_path, extra=extra, env={"SCORE": "0.5"})
    assert (found.score, found.temporary) == (0.5, 60)


@pytest.mark.parametrize(
    ("text", "env", "value"),
    [
        ("${A}", {"A": "x"}, "x"),
        ("${A:-d}", {}, "d"),
        ("${A:-d}", {"A": ""}, "d"),
        ("${A:-}b", {}, "b"),
        ("a ${A}${B} c", {"A": "1", "B": "2"}, "a 12 c"),
        ("$${A}", {}, "${A}"),
        ("$$", {}, "$"),
        ("$.price $5", {}, "$.price $5"),
        ("${A}", {"A": "${B}"}, "${B}"),
        ("${A:-$}", {}, "$"),
        ("${A}", {"A": "x: [1\n# y"}, "x: [1\n# y"),
    ],
)
def test_interpolation(text: str, env: dict[str, str], value: str, tmp_path: Path) -> None:
    """`${}` is replaced once, `$$` is one `$`, and whatever a variable holds stays one value."""
    extra = f"indexes: {{a: {{definition: {{filter: '{text}'}}}}}}\n"
    assert definition(tmp_path, extra=extra, env=env).filter == value


@pytest.mark.parametrize(
    "url", ["redis://h:6379/0", "rediss://u:p,q@h", "unix:///tmp/r.sock", "redis+cluster://u:p@h:7000,i:7001"]
)
def test_urls_of_servers_are_taken_as_they_are(url: str, tmp_path: Path) -> None:
    """Only `embedded://` is changed."""
    assert load(tmp_path, env={"U": url}, files=_with_url("${U}")).redis_url == url


def test_an_embedded_server_lies_beside_the_project_file(tmp_path: Path) -> None:
    """Wherever the command is run; an absolute directory stays."""
    assert load(tmp_path, files=_with_url("embedded://data/r")).redis_url == f"embedded://{tmp_path.resolve()}/data/r"
    assert load(tmp_path, files=_with_url("embedded:///data/r")).redis_url == "embedded:///data/r"


def test_a_password_is_not_part_of_the_repr(tmp_path: Path) -> None:
    """A project that ends up in a log does not give its password away."""
    project = load(tmp_path, files=_with_url("redis://:hunter2@localhost"))
    assert "hunter2" in project.redis_url
    assert "hunter2" not in repr(project)


def _with_url(url: str) -> dict[str, str]:
    return {"rvlstate.yaml": PROJECT.replace("redis://localhost", url)}


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("redis://user:pw@localhost:6379", "redis://user:***@localhost:6379"),
        ("rediss://:p/w@1#2@host/0", "rediss://:***@host/0"),
        ("user:pw@host", "user:***@host"),
        ("unix:///r.sock?db=1&password=pw", "unix:///r.sock?db=1&password=***"),
        ("embedded:///data", "embedded:///data"),
    ],
)
def test_passwords_are_masked(url: str, shown: str) -> None:
    """Also in URLs that are not well formed, or that carry the password in the query."""
    assert redact_url(url) == shown


# Files


def test_patterns_find_files_in_any_depth_once(tmp_path: Path) -> None:
    """`**` goes into folders; a file that two patterns match counts once; the project file is no schema."""
    project = PROJECT.replace("[indexes/*.yaml]", '["**/*.yaml", ./indexes/a.yaml, "*.yaml"]')
    files = {"rvlstate.yaml": project, "b.yaml": _named("b"), "indexes/deep/c.yaml": _named("c")}
    assert [index.name for index in load(tmp_path, files=files).desired.indexes] == ["a", "b", "c"]


def _named(name: str) -> str:
    return SCHEMA.replace("name: a,", f"name: {name},")


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    """Editors on Windows write one."""
    assert load(tmp_path, files={"indexes/a.yaml": "\ufeff" + SCHEMA}).desired.index("a")
