"""The examples: every command on the page of each is typed, in order, as a new user would."""

from __future__ import annotations

from pathlib import Path

import pytest
from documents import ROOT, blocks_of, reader_in

EXAMPLES = sorted(page.parent for page in (ROOT / "examples").glob("*/README.md"))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda folder: folder.name)
def test_the_page_of_an_example_does_what_it_shows(example: Path, server_root: Path) -> None:
    """Each command succeeds, and its output is the one on the page."""
    with reader_in(server_root, example) as reader:
        reader.work_through(example / "README.md")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda folder: folder.name)
def test_a_page_names_every_file_of_its_example(example: Path) -> None:
    """Nobody has to guess what a file is for."""
    page = (example / "README.md").read_text(encoding="utf-8")
    programs = [path.name for path in example.iterdir() if path.is_file() and path.name != "README.md"]
    assert [name for name in programs if name not in page] == []
    assert any(block.language == "console" for block in blocks_of(example / "README.md"))
