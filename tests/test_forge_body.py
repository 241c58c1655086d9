"""The text of the comment: a marker that no name breaks, and cuts that leave well-formed markdown."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from forge_kit import Forge, plan_of
from forge_server import US
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from render_cases import CASES

from rvlstate.forge.body import LONGEST_BODY, compose, is_marked, marker
from rvlstate.forge.post import Post, render
from rvlstate.forge.verdict import verdict_of
from rvlstate.plan.hazards import Hazard

pytest_plugins = ("forge_fixtures",)
patient = settings(deadline=None, max_examples=100)
HOSTILE = [
    *("--> <script>alert(1)</script>", "<!-- -->", "@everyone", "a--b", "-", "--", "shop -->\n# gone", "\u202egnp.exe"),
    *("x" * 10_000, "\x00\x1b[31m", "&#45;&#45;&gt;", "shop\n/merge", "`", "\ud800", "%2D%2D%3E", "..", ""),
]
OURS = re.compile(r"</?(?:details|summary|code|b|br|sub)(?: open)?>")
ACTIVE = re.compile(r"(?<![\w`])@\w|^\s*/\w", re.MULTILINE)


@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: ascii(name)[:30])
def test_no_name_breaks_out_of_the_marker(name: str) -> None:
    """One short line of plain ASCII: an HTML comment from its beginning to its end."""
    line = marker(name)
    assert line.isascii()
    assert line.isprintable()
    assert len(line) < 350
    assert re.fullmatch(r"<!-- [\w.:%~-]+ -->", line)
    assert "--" not in line.removeprefix("<!--").removesuffix("-->")
    tokens = MarkdownIt("commonmark").parse(f"{line}\n### head\n")
    assert [token.type for token in tokens[:2]] == ["html_block", "heading_open"]
    assert tokens[0].content.strip() == line


@patient
@given(st.tuples(st.text(), st.text()), st.tuples(st.text(), st.text()))
def test_different_projects_and_environments_differ(one: tuple[str, str], other: tuple[str, str]) -> None:
    """No name of a project reads as another with an environment."""
    assert (marker(*one) == marker(*other)) == (one == other)


@patient
@given(st.text(), st.text())
def test_different_names_have_different_markers(one: str, other: str) -> None:
    """And each is found by its own alone."""
    assert (marker(one) == marker(other)) == (one == other)
    assert is_marked(f"{marker(one)}\r\nplan\r\n", marker(one))
    assert is_marked(f"{marker(one)}\nplan", marker(other)) == (one == other)


@pytest.mark.parametrize("name", HOSTILE[:8], ids=ascii)
def test_a_hostile_project_is_posted_and_found_again(forge: Forge, name: str) -> None:
    """The whole way through both forges; the comment mentions nobody and orders nothing."""
    plan = plan_of("hostile", project=name)
    assert [forge.data(plan, "--status")["comment"]["action"] for _ in range(2)] == ["created", "unchanged"]
    (body,) = forge.server.bodies()
    assert visible(body)
    assert not [text for text in visible(body) if ACTIVE.search(text)]
    assert [tag for tag in html_of(body) - {marker(name)} if not OURS.fullmatch(tag)] == []


@pytest.mark.parametrize("case", CASES)
def test_every_plan_is_posted_as_it_is_rendered(case: str) -> None:
    """Nothing is changed in a plan that fits."""
    post = Post(plan=CASES[case](), plan_file="plan.json")
    body = compose(marker("shop"), render(post))
    assert body.text == f"{marker('shop')}\n{render(post)}"
    assert not body.cut


def test_no_password_of_the_server_is_posted(github: Forge) -> None:
    """A plan file holds none; one that did would not get it posted."""
    github.comment(plan_of("create", address="redis://user:hunter2@redis.example:6379/0?password=hunter3"))
    assert "redis.example" in github.server.bodies()[0]
    assert "hunter" not in github.server.bodies()[0]


BLOCK = ["**`name`**", "", "```diff", *("+ field a  text" for _ in range(30)), "```", "", "<details>"]
LONG = [*BLOCK, "<summary>7 steps</summary>", "", "| a | b |", "| --- | --- |", *("| 1 | 2 |" for _ in range(30))]
WHOLE = "\n".join(["### head", "", *([*LONG, "", "</details>", ""] * 3)])


@pytest.mark.parametrize("longest", range(150, len(WHOLE) + 200, 37))
def test_a_cut_closes_what_is_open(longest: int) -> None:
    """Wherever it falls: within the limit, fences and folds closed, and the last words lead to the whole."""
    body = compose(marker("shop"), WHOLE, "https://ci.example/job/1", longest=longest)
    assert len(body.text) <= longest
    assert body.cut == (len(WHOLE) + len(marker("shop")) + 2 > longest)
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(body.text)
    assert body.text.count("<details>") == body.text.count("</details>")
    if body.cut:
        assert tokens[-2].type == "inline"
        assert "does not fit into a comment; [the job](https://ci.example/job/1)" in tokens[-2].content
    assert all(re.fullmatch("(?:\\+ field a  text\n)*", token.content) for token in tokens if token.type == "fence")


def test_one_line_that_is_too_long_is_left_out() -> None:
    """There is no safe place within it."""
    body = compose(marker("shop"), "### head\n\n" + "x" * 70_000 + "\n")
    assert len(body.text) < 200
    assert body.cut


@pytest.mark.parametrize("url", ["https://x/)](http://evil) @team", "javascript:alert(1)<b>", "https://x/\n# head"])
def test_the_address_of_the_job_stays_an_address(url: str) -> None:
    """It comes from a variable that a job may set."""
    text = compose(marker("shop"), "x\n" * 40_000, url).text
    (last,) = [token for token in _tokens(text)[-3:] if token.type == "inline"]
    links = [str(child.attrs["href"]) for child in last.children or () if child.type == "link_open"]
    assert links == [url for url in links if url.startswith("https://x/")]
    assert not any("@" in shown or "evil" in shown for shown in visible(text))
    assert "\n# head" not in text
    assert "does not fit" in last.content


def test_lines_that_order_something_are_made_harmless() -> None:
    """GitLab obeys a line that begins with a slash, with the rights of the token; in a fence it does not."""
    body = compose(marker("shop"), "/merge\n  /approve @x\n```\n/close\n```\n/ no\na/b").text
    assert body.split("\n")[1:] == ["\\/merge", "  \\/approve @x", "```", "/close", "```", "/ no", "a/b", ""]


def test_a_text_that_is_far_too_long_is_taken_by_the_forge(forge: Forge) -> None:
    """Should a renderer not keep to the limit: the server of the tests refuses more, as the real one does."""
    forge.patch.setattr("rvlstate.forge.post.render", lambda *_: "| a | b |\n" * 20_000)
    data = forge.data(plan_of("many"))
    assert data["comment"]["cut"]
    assert LONGEST_BODY - 20 <= len(forge.server.bodies()[0]) <= LONGEST_BODY
    assert "[the job](https://" in forge.server.bodies()[0]


def test_a_comment_of_65536_characters_is_read_back(forge: Forge) -> None:
    """Characters that are several bytes count once."""
    text = marker("shop") + "\n" + "\N{SNOWMAN}" * (LONGEST_BODY - len(marker("shop")) - 1)
    forge.server.add(text, US)
    assert forge.data(plan_of("create"))["comment"]["action"] == "updated"


def test_the_verdict_is_one_line() -> None:
    """Whatever the names and however many the consequences."""
    plan = plan_of("refused", project="x\n@team" * 100)
    verdict = verdict_of(plan)
    assert verdict.state == "failure"
    assert verdict.description.startswith("1 index refused. ")
    assert len(verdict.context) <= 200
    assert "\n" not in verdict.context + verdict.description
    many = plan_of("in_place")
    risky = replace(many.indexes[0], hazards=tuple(Hazard(code=f"CODE_{number}", message="") for number in range(50)))
    assert len(verdict_of(replace(many, indexes=(risky,))).description) == 140


def visible(markdown: str) -> list[str]:
    """The texts that a reader sees and a forge would look for mentions in: no code, no comments."""
    return [child.content for token in _tokens(markdown) for child in token.children or () if child.type == "text"]


def html_of(markdown: str) -> set[str]:
    """All HTML that is in effect."""
    found = [token.content for token in _tokens(markdown) if token.type == "html_block"]
    found += [child.content for token in _tokens(markdown) for child in token.children or () if "html" in child.type]
    return {tag for text in found for tag in re.findall(r"<!--.*?-->|<[^>]*>", text, re.DOTALL)}


def _tokens(markdown: str) -> list[Token]:
    return MarkdownIt("gfm-like", {"linkify": False}).parse(markdown)
