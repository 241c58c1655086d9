"""The demo: its story comes out as it must, its query loop notices what it counts, its table and vectors are stable."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
from documents import ROOT
from redisvl.index import SearchIndex
from servers import connected, eventually

from rvlstate.demo import run_demo
from rvlstate.demo.airports import Document, airports, embed, states
from rvlstate.demo.check import Verdict
from rvlstate.demo.smaller import Smaller
from rvlstate.demo.stage import quickstart, staged
from rvlstate.demo.story import Outcome, play
from rvlstate.demo.traffic import Count, Traffic
from rvlstate.errors import UsageError
from rvlstate.runtime.embedded import EmbeddedServer, server_status, stop_server

SCHEMAS = quickstart() / "indexes"


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """`rvlstate demo` with its temporary files in a folder, and with a Redis of the user's that it must not touch."""
    environment = {**os.environ, "TMPDIR": str(folder), "REDIS_URL": "redis://127.0.0.1:1"}
    command = [sys.executable, "-m", "rvlstate.cli.main", "demo", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=folder)


@pytest.fixture
def temporary(server_root: Path) -> Path:
    """An empty folder where the demo may make its own."""
    folder = server_root / "demo"
    folder.mkdir()
    return folder


@pytest.mark.timeout(600)
def test_the_story_comes_out_as_it_must(temporary: Path) -> None:
    """Every expectation holds while queries go on, the last line is JSON, and neither server nor file is left."""
    done = run("--format", "json", folder=temporary)
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    summary = json.loads(line)
    assert {key: summary[key] for key in ("query_errors", "empty_answers", "broken", "failure")} == {
        "query_errors": 0,
        "empty_answers": 0,
        "broken": [],
        "failure": "",
    }
    assert summary["lost_updates"] == 0
    assert summary["writes"] > 100
    assert 0.9 < summary["recall_after"] <= 1.0
    assert summary["recall_after"] > summary["recall_before"] - 0.02
    assert summary["memory_after"] < summary["memory_before"]
    assert all(summary[key] is True for key in ("applied", "final_plan_empty", "drift_found", "drift_undone"))
    assert summary["documents"] == 3_376 + 61
    assert summary["queries"] > 100
    told = ("import --all", "NAME_BECOMES_ALIAS", "replace the index airports by an alias", "FT.ALTER", "No changes.")
    live = ("QUERY_ENCODING_CHANGES", "stage copies of the documents of airports", "queries/s, 0 failed, 0 empty")
    assert [words for words in (*told, *live) if words not in done.stderr] == []
    assert list(temporary.iterdir()) == []
    temporary.rmdir()


def test_a_folder_that_is_in_use_is_refused(tmp_path: Path) -> None:
    """Nothing of the user's is overwritten."""
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    done = run("--folder", str(tmp_path), folder=tmp_path)
    assert (done.returncode, done.stdout) == (64, "")
    assert "is not an empty folder" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_without_the_table_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A missing package is told before anything is started, with what to install."""
    monkeypatch.setitem(sys.modules, "vega_datasets", None)
    with pytest.raises(UsageError, match=r"rvlstate\[demo\]"):
        run_demo(tmp_path / "demo")
    assert not (tmp_path / "demo").exists()


def test_a_story_that_breaks_off_says_where(server_root: Path) -> None:
    """An unexpected exit code ends the story; what did not come about is no success."""
    told = io.StringIO()
    with staged(server_root / "broken", told, keep=False) as stage:
        (stage.folder / "rvlstate.yaml").write_text("version: 1\nproject: 5\n", encoding="utf-8")
        outcome = play(stage)
    assert outcome.failure == "rvlstate import --all exited with 1, and 0 was expected"
    assert "the changes were applied" in outcome.broken()
    assert "Error: rvlstate.yaml" in told.getvalue()
    assert not stage.folder.exists()


def test_what_is_kept_can_be_gone_on_with(server_root: Path) -> None:
    """With --keep the server runs on and the project is there, and the story says how to stop it."""
    told = io.StringIO()
    with staged(server_root / "kept", told, keep=True) as stage:
        pass
    data = stage.folder / ".rvlstate" / "redis"
    assert server_status(data) is not None
    assert f"rvlstate server stop {data}" in told.getvalue()
    assert (stage.folder / "rvlstate.yaml").exists()
    stop_server(data)


WELL = Smaller(
    writes=1,
    queries=1,
    errors={},
    empty=0,
    encoded_anew=1,
    old_after_cutover=1,
    verdict=Verdict(lost=(), not_found=(), left_over=()),
    recall_before=0.99,
    recall_after=0.98,
    memory_before=2,
    memory_after=1,
)
GOOD = Outcome(
    count=Count(queries=1),
    documents=1,
    applied=True,
    final_plan_empty=True,
    drift_found=True,
    drift_undone=True,
    smaller=WELL,
)


@pytest.mark.parametrize(
    "change",
    [
        {"count": Count(), "smaller": replace(WELL, queries=0)},
        {"count": Count(queries=1, empty=1)},
        {"count": Count(queries=2, errors=Counter({"refused": 1}))},
        {"documents": 0},
        {"applied": False},
        {"final_plan_empty": False},
        {"drift_found": False},
        {"drift_undone": False},
        {"smaller": None},
        {"smaller": replace(WELL, errors={"refused": 1})},
        {"smaller": replace(WELL, empty=1)},
        {"smaller": replace(WELL, writes=0)},
        {"smaller": replace(WELL, encoded_anew=0)},
        {"smaller": replace(WELL, old_after_cutover=0)},
        {"smaller": replace(WELL, verdict=replace(WELL.verdict, lost=("airport:ORD",)))},
        {"smaller": replace(WELL, verdict=replace(WELL.verdict, not_found=("airport:ORD",)))},
        {"smaller": replace(WELL, verdict=replace(WELL.verdict, left_over=("rvlstate:stage:a",)))},
        {"smaller": replace(WELL, recall_after=0.9)},
        {"smaller": replace(WELL, memory_after=2)},
    ],
    ids=str,
)
def test_one_broken_expectation_breaks_the_demo(change: dict[str, Any]) -> None:
    """All is well only when everything is."""
    assert GOOD.broken() == ()
    assert len(replace(GOOD, **change).broken()) == 1


def test_a_lost_update_ends_the_demo_with_an_error(
    server_root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code, the line of JSON and the summary in words tell of it, and the document is named."""
    lost = replace(GOOD, smaller=replace(WELL, verdict=replace(WELL.verdict, lost=("airport:ORD",))))
    monkeypatch.setattr("rvlstate.demo.story.play", lambda _stage: lost)
    assert run_demo(server_root / "lost", "json") == 1
    summary = json.loads(capsys.readouterr().out)
    assert (summary["lost_updates"], summary["broken"]) == (1, ["no update was lost"])
    assert run_demo(server_root / "lost again") == 1
    told = capsys.readouterr().out
    assert "Not as written: airport:ORD." in told
    assert "Not so: no update was lost." in told


@pytest.fixture
def traffic(redis_url: str) -> Iterator[Traffic]:
    """Clients at work on both indexes over a few airports."""
    for schema, documents, key in (("airports.yaml", airports()[:40], "iata"), ("states.yaml", states(), "state")):
        index = SearchIndex.from_yaml(str(SCHEMAS / schema), redis_url=redis_url)
        index.create()
        index.load(documents, id_field=key)
        index.disconnect()
    with Traffic(redis_url, SCHEMAS, airports()[:40], clients=2) as traffic:
        eventually(lambda: traffic.count.queries > 20)
        yield traffic


def test_queries_are_answered(traffic: Traffic) -> None:
    """All kinds of queries find something as long as the indexes serve."""
    assert (traffic.count.failed, traffic.count.empty) == (0, 0)


def test_failed_queries_are_counted(traffic: Traffic, server: EmbeddedServer) -> None:
    """A gap in which a name answers nothing would be seen, with what the server said."""
    with connected(server) as client:
        client.execute_command("FT.DROPINDEX", "airports")
        eventually(lambda: traffic.count.failed > 0)
    assert any("airports" in error for error in traffic.count.errors)


def test_empty_answers_are_counted(traffic: Traffic, server: EmbeddedServer) -> None:
    """An index that answers while it is still being built would be seen."""
    with connected(server) as client:
        client.delete(*client.scan_iter("airport:*", count=1000))
        eventually(lambda: traffic.count.empty > 0)
    assert traffic.count.failed == 0


def test_an_installed_package_brings_the_example(tmp_path: Path) -> None:
    """`rvlstate demo` needs no clone of the repository: the wheel holds every file of the quickstart."""
    build = ["wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(tmp_path), str(ROOT)]
    subprocess.run([sys.executable, "-m", "pip", *build], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    packed = {name for name in ZipFile(wheel).namelist() if name.startswith("rvlstate/demo/quickstart/")}
    files = [path for path in quickstart().rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert {f"rvlstate/demo/quickstart/{path.relative_to(quickstart()).as_posix()}" for path in files} <= packed


def test_the_table_is_whole() -> None:
    """All airports, each once, under the state that lists it; what the table does not know is left out."""
    table, places = airports(), states()
    assert len({airport["iata"] for airport in table}) == len(table) == 3_376
    assert sum(int(place["airports"]) for place in places) == len(table)
    assert [airport for airport in table if "NA" in airport.values()] == []
    assert next(airport["city"] for airport in table if airport["iata"] == "ORD") == "Chicago"


def test_vectors_are_the_same_everywhere() -> None:
    """Neither the process nor its hash seed plays a part; each vector has length 1."""
    program = "from rvlstate.demo.airports import embed; print(embed('Lake Tahoe').hex())"
    seeds = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    ]
    assert seeds == [embed("Lake Tahoe").hex()] * 2
    vectors = np.array([values(airport) for airport in airports()])
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


@pytest.mark.parametrize(
    ("text", "nearest"),
    [("chicago o'hare intl", "ORD"), ("lake tahoe", "TVL"), ("SANTA FE", "SAF"), ("san jose international", "SJC")],
)
def test_like_names_are_near(text: str, nearest: str) -> None:
    """The vectors are good enough for a search that makes sense."""
    table = airports()
    closeness = np.array([values(airport) for airport in table]) @ np.frombuffer(embed(text), "<f4")
    assert table[int(closeness.argmax())]["iata"] == nearest


def values(airport: Document) -> Any:
    """The vector of an airport as numbers."""
    embedding = airport["embedding"]
    assert isinstance(embedding, bytes)
    return np.frombuffer(embedding, "<f4")
