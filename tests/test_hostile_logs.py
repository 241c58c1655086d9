"""Hostile names and values in the log of a CI job: nothing that we write there is taken for a command."""

from __future__ import annotations

import json
import re
import sys

from cli_kit import Cli
from hostile_texts import HOSTILE
from hypothesis import example, given
from hypothesis import strategies as st
from test_hostile_outputs import AT, drift_of, patient
from view_kit import OFFER

from rvlstate.errors import ServerError
from rvlstate.views.drift import write_drift
from rvlstate.views.errors import error_line, error_text
from rvlstate.views.paper import Paper, plain_text
from rvlstate.views.untrusted import inert

pytest_plugins = ("cli_fixtures",)

COMMANDS = (
    *("##[error]x", "a ##[group]", "###[debug]", "##vso[task.setvariable variable=x]y", "##teamcity[x]"),
    *("::error::x", "  ::set-output name=a::b", "\xa0::add-mask::x", "::::", "a ::error::b", "##", "::"),
    *("\r::error::x", "a\n::error::b", "section_start:1:x\r\x1b[0K", "\x1b[0Ksection_end:1:x\r\x1b[0K"),
)
SPACES = "".join(char for char in map(chr, range(sys.maxunicode + 1)) if char.isspace())


def obeyed(output: str) -> list[str]:
    """The lines that a runner takes as commands, read as it does: whatever ends them, without the spaces in front."""
    lines = re.split(r"\r\n|\r|\n", output)
    return [
        line
        for line in lines
        if line.lstrip(SPACES).startswith("::") or re.search(r"##\w*\[", line) or re.search(r"section_\w+:.*\x1b", line)
    ]


@patient
@given(text=st.lists(st.sampled_from((*COMMANDS, *HOSTILE[:40], " ", "\n")), min_size=1, max_size=6).map("".join))
@example(text="".join(COMMANDS))
@example(text="##" + "[error]x")
def test_no_output_holds_a_command_for_a_ci_system(text: str) -> None:
    """Text of every kind, folded anywhere, and JSON, which holds the same values."""
    paper = Paper(width=20)
    write_drift(paper, drift_of(text, f"a {text}"), OFFER)
    error = ServerError(text, where=text, why=text, next_step=text)
    for output in (plain_text(paper), error_text(error), error_line(error, AT)):
        assert obeyed(inert(output)) == []
    data = [text, {text: f"{text}::{text}"}]
    for form in (json.dumps(data), json.dumps(data, indent=2)):
        assert json.loads(inert(form)) == data
        assert obeyed(inert(form)) == []


def test_what_a_command_writes_holds_no_command_for_a_ci_system(cli: Cli) -> None:
    """Results and the log of commands on a server whose indexes and fields others named."""
    names = ("##[error]gone", "::error::gone", "section_start:1:x\r\x1b[0K")
    for number, name in enumerate(names):
        cli.client.execute_command("FT.CREATE", name, "PREFIX", "1", f"x{number}:", "SCHEMA", name, "TEXT")
    shown = {}
    for words in (
        *(f"import {names[0]} {names[1]}", "plan", "status", "apply --yes -v", "drift", "history"),
        *("plan --target ##[error]", "plan --target ::error:: --log-format json", "plan --format json"),
        *("plan --format markdown", "plan --format html", "state pull", "unlock ::error::", "history ##[x]"),
    ):
        told = cli.run(*words.split(" "))
        assert obeyed(told.out) == []
        assert obeyed(told.err) == []
        shown[words] = told
    assert names[0].replace("##", "#\\u0023") in shown["status"].out
    assert "\\u003a:error::gone" in shown["status"].out
    run = cli.run("history", "--format", "json").data["runs"][-1]["id"]
    page = cli.run("history", run, "--format", "html").out
    assert ("&#35;#[error]gone" in page, obeyed(page)) == (True, [])
    assert names[0] in [index["name"] for index in shown["plan --format json"].data["indexes"]]
    assert names[2].encode("unicode_escape").decode() in shown["plan"].out
