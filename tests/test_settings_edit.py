"""Settings are added to the text of a project file, and all else in it stays as it is."""

from __future__ import annotations

import pytest
import yaml

from rvlstate.errors import SpecError
from rvlstate.files.schema_file import add_index_settings

SETTINGS = {"definition": {"filter": "@p > 0"}, "fields": {"area": {"type": "geoshape"}}}
BLOCK = """\
  a:
    definition:
      filter: '@p > 0'
    fields:
      area:
        type: geoshape
"""
FLOW = "a: {definition: {filter: '@p > 0'}, fields: {area: {type: geoshape}}}"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("version: 1\n", f"version: 1\nindexes:\n{BLOCK}", id="no indexes yet"),
        pytest.param("version: 1", f"version: 1\nindexes:\n{BLOCK}", id="no line end"),
        pytest.param("version: 1\n...\n", f"version: 1\nindexes:\n{BLOCK}...\n", id="an end of document"),
        pytest.param("indexes:\nversion: 1\n", f"indexes:\n{BLOCK}version: 1\n", id="an empty key"),
        pytest.param("indexes: # none\nversion: 1\n", f"indexes: # none\n{BLOCK}version: 1\n", id="a commented key"),
        pytest.param("indexes: {}\nversion: 1\n", f"indexes:\n{BLOCK}version: 1\n", id="an empty mapping"),
        pytest.param("indexes: {b: {}} # x\n", f"indexes: {{{FLOW}, b: {{}}}} # x\n", id="a mapping in braces"),
        pytest.param("{version: 1}\n", f"{{indexes: {{{FLOW}}}, version: 1}}\n", id="all in braces"),
        pytest.param(
            "# my\nindexes: # all\n  b: # the b\n    strategy: auto # y\n\n# so\npolicy: {naming: plain}\n",
            f"# my\nindexes: # all\n  b: # the b\n    strategy: auto # y\n{BLOCK}\n# so\npolicy: {{naming: plain}}\n",
            id="comments",
        ),
        pytest.param(
            "indexes:\n  b: {}\n  # c: {}\nversion: 1\n",
            f"indexes:\n  b: {{}}\n  # c: {{}}\n{BLOCK}version: 1\n",
            id="a comment of the block itself",
        ),
        pytest.param(
            "indexes:\n  a:\n    prevent_destroy: true\n  b: {}\n",
            "indexes:\n" + BLOCK.replace("  a:\n", "  a:\n    prevent_destroy: true\n") + "  b: {}\n",
            id="an index that has settings",
        ),
        pytest.param(
            "indexes:\n  a: {definition: {filter: '@q < 0', score: 0.5}}\n",
            "indexes:\n  a: {fields: {area: {type: geoshape}}, definition: {filter: '@p > 0', score: 0.5}}\n",
            id="a key that has another value",
        ),
        pytest.param(
            "indexes:\n  a:\n    definition:\n      filter: |\n        # old\n    fields: {}\nversion: 1\n",
            f"indexes:\n{BLOCK}version: 1\n",
            id="a block of text",
        ),
        pytest.param(
            "version: 1\r\nindexes:\r\n  b: {}\r\n",
            f"version: 1\r\nindexes:\r\n  b: {{}}\r\n{BLOCK}".replace("\r", "").replace("\n", "\r\n"),
            id="line ends of Windows",
        ),
        pytest.param(f"indexes:\n{BLOCK}", f"indexes:\n{BLOCK}", id="the same settings already"),
    ],
)
def test_settings_are_added_and_all_else_stays(before: str, after: str) -> None:
    """Comments, order and style of the file are kept, in every way of writing it."""
    assert add_index_settings(before, "a", SETTINGS) == after


def test_no_settings_leave_the_file_alone() -> None:
    """Not even a line end is added."""
    assert add_index_settings("version: 1", "a", {}) == "version: 1"


@pytest.mark.parametrize("name", ["on", "1", "a: b", "#x", "{a}", "ü", "a@b", "- a"])
def test_names_that_yaml_would_misread_are_quoted(name: str) -> None:
    """Any index name can be a key."""
    for text in ("version: 1\n", "indexes: {b: {}}\n"):
        data = yaml.safe_load(add_index_settings(text, name, {"definition": {"score": 0.5}}))
        assert data["indexes"][name] == {"definition": {"score": 0.5}}


@pytest.mark.parametrize(
    "text",
    [
        "indexes:\n  b: &b {definition: {filter: '@q < 0'}}\n  a: *b\n",
        "indexes:\n  b: &b\n    definition:\n      filter: '@q < 0'\n  a: *b\n",
    ],
)
def test_a_file_that_cannot_be_edited_is_left_to_its_owner(text: str) -> None:
    """Settings that an alias shares with another index are not changed behind its back; the lines are shown."""
    with pytest.raises(SpecError) as caught:
        add_index_settings(text, "a", SETTINGS)
    assert "filter: '@p > 0'" in caught.value.why
    assert caught.value.next_step == "add these lines by hand."
