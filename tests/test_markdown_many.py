"""300 live indexes that change at once, through the command line: the comment, the page, the JSON and the plan file."""

from __future__ import annotations

import json

import pytest
from cli_kit import Cli, outcome
from forge_kit import Forge
from forge_server import LONGEST_BODY
from markdown_kit import dangers, seen_by_github, tokens_of
from test_json_schema import faults
from test_markdown_fuzz import Elements

pytest_plugins = ("cli_fixtures", "forge_fixtures")
NUMBER = 300


@pytest.fixture
def many(cli: Cli) -> Cli:
    """As many indexes are live and taken in; then each schema file gets another field."""
    for file in (cli.folder / "indexes").iterdir():
        file.unlink()
    pipeline = cli.client.pipeline(transaction=False)
    for place in range(NUMBER):
        name = f"tenant_{place:03}"
        pipeline.execute_command("FT.CREATE", name, "PREFIX", "1", f"{name}:", "SCHEMA", "label", "TAG")
    pipeline.execute()
    taken = cli.run("import", "--all")
    assert f"{NUMBER} indexes taken in." in taken.out, taken.err
    for file in (cli.folder / "indexes").iterdir():
        file.write_text(f"{file.read_text(encoding='utf-8')}  - {{name: {file.stem}_more, type: text}}\n")
    return cli


def test_three_hundred_changes_reach_people_and_programs(many: Cli, github: Forge) -> None:
    """One plan: a comment within the limit that GitHub's parser finds well-formed, a page, and JSON that is valid."""
    planned = many.run("plan", "--format", "json", "--out", "plan.json")
    assert planned.code == 0, planned.err
    assert (faults("plan", planned.data), planned.data["summary"]["in_place"]) == ([], NUMBER)
    assert faults("plan", json.loads((many.folder / "plan.json").read_text(encoding="utf-8"))) == []
    page = many.run("plan", "--format", "html").out
    assert page.endswith("</html>\n")
    assert Elements(page).elements.count("article") == NUMBER
    told = outcome(many.capture, "comment", "--plan", "plan.json")
    assert told.code == 0, told.err
    (comment,) = github.server.bodies()
    check_comment(comment.partition("\n")[2])
    assert len(comment) <= LONGEST_BODY


def check_comment(text: str) -> None:
    """Parsed by cmark-gfm with its tables: rows of one length, every fence and fold closed, what is cut is said."""
    assert dangers(text.replace("[the CI job](https://github.example/team/shop/actions/runs/77)", "")) == []
    seen = seen_by_github(text)
    assert seen.counts["table"] >= 1
    assert seen.counts["tr"] > 50
    assert seen.counts["details"] == seen.counts["summary"]
    assert {token.info for token in tokens_of(text) if token.type == "fence"} <= {"diff", "mermaid"}
    assert f"**{NUMBER} to update ({NUMBER} in place).**" in text
    assert "Left out for length" in text
    assert "- Run: `rvlstate apply plan.json`" in text
