"""The examples: every command on the page of each is typed, in order, as a new user would."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
from documents import ROOT, Reader, blocks_of, reader_in

from rvlstate.model.rewrite import VectorShape
from rvlstate.transforms.exact import encode

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


@pytest.mark.requires("int8_vectors")
def test_int8_takes_no_more_than_the_two_files(server_root: Path) -> None:
    """Where the server has int8 indexes, the example goes on to them, and answers stay those of float32."""
    with reader_in(server_root, ROOT / "examples" / "quantize") as reader:
        before = typed(
            reader,
            "rvlstate server start .rvlstate/redis && export REDIS_URL=unix://$PWD/.rvlstate/redis/redis.sock",
            "sed -i 's/    checks:/    strategy: recreate\\n    checks:/' rvlstate.yaml",
            "rvlstate apply --yes && python load.py",
            "sed -i 's/float32/int8/' indexes/airports.yaml && rvlstate plan --out change.plan",
        )
        assert "integer x 0.00" in before
        assert "embedding recall@10 after: " in typed(reader, "rvlstate apply change.plan --yes")


def test_recall_measures_the_integers_that_rvlstate_writes() -> None:
    """What the example calls int8 is, value for value, what a cast to int8 makes."""
    as_int8 = runpy.run_path(str(ROOT / "examples" / "quantize" / "recall.py"))["as_int8"]
    values = np.linspace(-1.1, 1.1, 1024, dtype=np.float32)
    before, after = (VectorShape(datatype=datatype, dims=1024) for datatype in ("float32", "int8"))
    assert as_int8(values, 0.00787).tobytes() == encode(values.tobytes(), before, after, 0.00787)


def typed(reader: Reader, *commands: str) -> str:
    """What commands print, each of which must succeed."""
    output = ""
    for command in commands:
        told, code = reader.type(command)
        assert code == 0, told
        output += told
    return output
