"""README and tutorial: their commands are executed, their tables agree with the code, their links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from documents import ROOT, reader_in

from rvlstate.cli.catalogue import COMMANDS
from rvlstate.model.hazard import HAZARD_CODES
from rvlstate.plan.remedies import ATTRIBUTES, SETTINGS, Remedy

README = ROOT / "README.md"
QUICKSTART = ROOT / "examples" / "quickstart"
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "examples").glob("*/*.md")),
]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", ["README.md", "docs/tutorial.md"])
def test_a_page_does_what_it_shows(page: str, server_root: Path) -> None:
    """Each command succeeds, each edit fits, each output is the one on the page."""
    with reader_in(server_root, QUICKSTART, below="examples/quickstart") as reader:
        reader.work_through(ROOT / page)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link names a file or folder of the repository, and every anchor a heading."""
    missing = [link for link in links_of(page) if not leads_somewhere(page, link)]
    assert missing == []


def test_every_command_is_in_the_table() -> None:
    """The README names the commands that there are, and no others."""
    assert set(re.findall(r"^\| `rvlstate (\w+)", README.read_text(encoding="utf-8"), re.MULTILINE)) == set(COMMANDS)


def test_exit_codes_are_those_of_the_reference() -> None:
    """The README names every exit code that docs/cli.md has, but that of the keyboard."""
    pages = [page.read_text(encoding="utf-8") for page in (README, ROOT / "docs" / "cli.md")]
    short, full = (set(re.findall(r"^\| (\d+) \|", page, re.MULTILINE)) for page in pages)
    assert short == full - {"130"}


def test_every_hazard_has_its_section() -> None:
    """Each code, in order, with the sentence that the code itself has."""
    page = (ROOT / "docs" / "hazards.md").read_text(encoding="utf-8")
    assert dict(re.findall(r"^## (\w+)\n\n(.*)$", page, re.MULTILINE)) == HAZARD_CODES


@pytest.mark.parametrize(
    ("row", "belongs"),
    [
        ("shadow", lambda remedy: remedy.classification == "shadow" and not remedy.documents),
        ("shadow, with documents rewritten", lambda remedy: remedy.classification == "shadow" and remedy.documents),
        ("nothing", lambda remedy: remedy.classification is None),
    ],
)
def test_the_table_of_changes_is_the_table_of_remedies(row: str, belongs: object) -> None:
    """Each attribute stands in the row of its class."""
    assert callable(belongs)
    remedies: dict[str, Remedy] = {**ATTRIBUTES, **SETTINGS}
    (cells,) = re.findall(rf"^\| {re.escape(row)} \|.*\| (.*) \|$", README.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", cells)) == {name for name, remedy in remedies.items() if belongs(remedy)}


def links_of(page: Path) -> list[str]:
    """The targets of all links of a page that are no addresses of the web."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]


def leads_somewhere(page: Path, link: str) -> bool:
    """Whether the target of a link exists."""
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.exists():
        return False
    return not anchor or anchor in headings_of(target)


def headings_of(page: Path) -> set[str]:
    """The anchors of a page, as forges make them."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
