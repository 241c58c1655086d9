"""Metrics where others find them: in a file, at an endpoint while a run lasts, and after every kind of end."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading
import time
import urllib.error
from pathlib import Path

import pytest
from cli_kit import Cli
from metrics_kit import Samples, parsed, scraped, started, told, value, wait_until

from rvlstate.errors import RvlstateError
from rvlstate.events import RunFinished, RunStarted, StepFinished
from rvlstate.runtime.metrics import Metrics
from rvlstate.runtime.metrics_drift import LABELS
from rvlstate.runtime.metrics_output import metrics_endpoint, metrics_file, write_metrics

pytest_plugins = ("cli_fixtures",)


def test_the_file_is_written_while_the_run_goes_on(tmp_path: Path) -> None:
    """At once, then again and again, then at the end; what a reader finds is always whole."""
    file, metrics = tmp_path / "rvlstate.prom", Metrics("shop")
    with metrics_file(metrics, file, seconds=0.01):
        assert value(parsed(file.read_text()), "run_in_progress") is None  # nobody has said that a run may come
        metrics(RunStarted(run="r", project="shop", plan="p", steps=1))
        wait_until(lambda: value(parsed(file.read_text()), "run_in_progress") == 1)
        metrics(RunFinished(run="r", result="done", seconds=1))
    assert value(parsed(file.read_text()), "last_run_result", result="done") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["rvlstate.prom"]


def test_the_file_is_written_though_the_run_fails(tmp_path: Path) -> None:
    """And the failure is what is told, even where the file cannot be written any more."""
    folder = tmp_path / "gone"
    folder.mkdir()
    metrics = Metrics("shop")

    def fail(*, lose: bool) -> None:
        with metrics_file(metrics, folder / "m.prom"):
            metrics(RunFinished(run="r", result="failed", seconds=1))
            if lose:
                (folder / "m.prom").unlink()
                folder.rmdir()
            raise KeyError

    with pytest.raises(KeyError):
        fail(lose=False)
    assert value(parsed((folder / "m.prom").read_text()), "last_run_result", result="failed") == 1
    with pytest.raises(KeyError):
        fail(lose=True)


def test_a_file_that_cannot_be_written_is_told_before_the_run(cli: Cli) -> None:
    """Nothing is applied then."""
    outcome = cli.run("apply", "--yes", "--metrics-file", "nowhere/m.prom")
    assert outcome.code == 1
    assert "the metrics cannot be written" in outcome.err
    assert cli.client.execute_command("FT._LIST") == []


def test_a_taken_port_is_told_before_the_run(cli: Cli) -> None:
    """With what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        outcome = cli.run("apply", "--yes", "--metrics-port", str(taken.getsockname()[1]))
    assert (outcome.code, "--metrics-port; 0 takes a free one" in outcome.err) == (1, True)
    assert cli.client.execute_command("FT._LIST") == []


def test_the_endpoint_is_on_loopback_and_ends_with_the_context() -> None:
    """Whoever wants it elsewhere has to say so."""
    with metrics_endpoint(Metrics("shop"), "127.0.0.1", 0) as url:
        assert url.startswith("http://127.0.0.1:")
        assert "rvlstate_run_in_progress" in scraped(url)
    with pytest.raises(urllib.error.URLError):
        scraped(url)
    with pytest.raises(RvlstateError, match="cannot be served"), metrics_endpoint(Metrics("shop"), "192.0.2.1", 0):
        pass


def test_a_real_apply_is_scraped_while_it_goes_on(cli: Cli) -> None:
    """It is slow until the throttle is off, and the endpoint tells of it; then it ends, and so does the endpoint."""
    for number in range(60):
        cli.client.hset(f"products:{number}", mapping={"title": f"shoe {number}", "price": number})
    cli.declare("products", "title:text", "price:numeric")
    cli.applied()
    (cli.folder / "rvlstate.yaml").write_text(
        (cli.folder / "rvlstate.yaml").read_text()
        + "indexes: {products: {batch_size: 1, max_docs_per_second: 20, strategy: recreate, "
        "fields: {name: {renamed_from: title}}}}\n"
    )
    cli.declare("products", "name:text", "price:numeric")
    words = ["apply", "--yes", "--log-format", "json", "--metrics-port", "0", "--metrics-file", "m.prom"]
    for code in ("SEARCH_DOWNTIME", "REWRITES_DOCUMENTS", "DELETES_INDEX"):
        words += ["--allow", code]
    with cli.start(*words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        url = re.search(r"http://[^\"]+/metrics", process.stderr.readline())
        assert url is not None
        samples: Samples = {}

        def at_work() -> bool:
            samples.update(parsed(scraped(url.group())))
            assert process.poll() is None
            return bool(value(samples, "documents_total", index="products", result="written"))

        wait_until(at_work)
        assert value(samples, "run_in_progress") == value(samples, "lock_held") == 1
        assert value(samples, "phase_active", index="products", phase="rewrite_documents") == 1
        assert 0 < (value(samples, "documents_total", index="products", result="written") or 0) < 60
        wait_until(lambda: value(parsed((cli.folder / "m.prom").read_text()), "run_in_progress") == 1)
        assert cli.run("throttle", "off").code == 0
        rest = process.stderr.read()
    assert process.returncode == 0, rest
    samples = parsed((cli.folder / "m.prom").read_text())
    assert value(samples, "documents_total", index="products", result="written") == 60
    assert value(samples, "last_run_result", result="done") == 1
    assert value(samples, "run_in_progress") == value(samples, "lock_held") == 0
    assert (value(samples, "last_run_timestamp_seconds") or 0) > 1_700_000_000
    with pytest.raises(urllib.error.URLError):
        scraped(url.group())


def test_the_file_of_an_apply_that_has_nothing_to_do_or_is_refused(cli: Cli) -> None:
    """A scheduled apply tells of itself whatever it came to."""
    cli.applied()
    assert cli.run("apply", "--yes", "--metrics-file", "m.prom").code == 0
    assert value(parsed((cli.folder / "m.prom").read_text()), "last_run_result", result="nothing") == 1
    (cli.folder / "indexes" / "categories.yaml").unlink()
    assert cli.run("apply", "--yes", "--metrics-file", "m.prom").code == 3
    assert value(parsed((cli.folder / "m.prom").read_text()), "last_run_result", result="refused") == 1


def test_the_file_of_a_command_that_fails_before_it_runs_anything(cli: Cli) -> None:
    """The server is away, or the plan file is stale: a failure, not the good result of last week."""
    assert cli.run("apply", "--yes", "--metrics-file", "m.prom").code == 0
    assert cli.run("apply", "--yes", "--metrics-file", "m.prom", "--redis-url", "redis://127.0.0.1:1").code == 1
    samples = parsed((cli.folder / "m.prom").read_text())
    assert value(samples, "last_run_result", result="failed") == 1
    assert value(samples, "last_run_result", result="done") == 0


def test_the_file_of_drift(cli: Cli) -> None:
    """The drifted indexes by kind, the lock, and the last run as it is recorded."""
    cli.applied()
    cli.client.execute_command("FT.DROPINDEX", "categories@1")
    cli.client.execute_command("FT.ALTER", "products@1", "SCHEMA", "ADD", "colour", "TAG")
    cli.client.execute_command("FT.CREATE", "stray", "SCHEMA", "a", "TAG")
    assert cli.run("drift", "--metrics-file", "drift.prom").code == 2
    samples = parsed((cli.folder / "drift.prom").read_text())
    assert {kind: value(samples, "drifted_indexes", kind=kind) for kind in LABELS} == {
        **dict.fromkeys(LABELS, 0),
        "changed": 1,
        "missing": 1,
    }
    assert value(samples, "unmanaged_indexes") == 1
    assert value(samples, "lock_held") == 0
    assert value(samples, "last_run_result", result="done") == 1
    assert abs((value(samples, "last_run_timestamp_seconds") or 0) - time.time()) < 3600
    assert abs((value(samples, "drift_check_timestamp_seconds") or 0) - time.time()) < 3600


def test_without_options_nothing_is_imported() -> None:
    """An apply that nobody watches does not wait for the libraries of metrics and traces.

    redis-py imports OpenTelemetry by itself where that is installed, so its modules alone tell nothing.
    """
    code = (
        "import sys, rvlstate.cli.apply, rvlstate.cli.carrying_out, rvlstate.project;"
        "print({'prometheus_client', 'opentelemetry.exporter.otlp', 'rvlstate.runtime.tracing'} & {*sys.modules})"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "set()\n"


def test_metrics_are_whole_while_they_are_written(tmp_path: Path) -> None:
    """Events come from several threads while the file is written and the endpoint is scraped."""
    metrics, file = Metrics("shop"), tmp_path / "m.prom"
    done = threading.Event()

    def work(number: int) -> None:
        while not done.is_set():
            metrics(started(f"{number}/1", "rewrite_documents", str(number)))
            metrics(StepFinished(step=f"{number}/1", seconds=0, figures={"documents_written": 1}))

    workers = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for worker in workers:
        worker.start()
    try:
        for _ in range(50):
            write_metrics(metrics, file)
            parsed(file.read_text())
    finally:
        done.set()
        for worker in workers:
            worker.join()
    samples = told(metrics)
    assert all(
        value(samples, "documents_total", index=str(number), result="written")
        == value(samples, "steps_total", index=str(number), result="done")
        for number in range(3)
    )
