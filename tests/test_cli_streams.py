"""Streams of the command line: what goes where, terminals, readers who leave, full disks, secrets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cli_kit import Cli, on_terminal

pytest_plugins = ("cli_fixtures",)


def test_apply_without_a_terminal_needs_yes(cli: Cli) -> None:
    """It refuses before it asks the server anything."""
    told = cli.run("apply", "--redis-url", "redis://127.0.0.1:1")
    assert told.code == 64
    assert "there is no terminal to ask on" in told.err


def test_the_report_as_json_is_all_of_stdout(cli: Cli) -> None:
    """Progress and plan stay away from it."""
    report = cli.run("apply", "--yes", "--format", "json").data
    assert (report["result"], report["plan_empty"], len(report["steps"])) == ("done", True, 8)
    assert {step["result"] for step in report["steps"]} == {"done"}
    assert cli.run("apply", "--yes", "--format", "json").data["result"] == "nothing"


def test_the_json_log_tells_the_run(cli: Cli) -> None:
    """Every line of stderr is an object; a run begins, takes its steps and ends."""
    told = cli.run("apply", "--yes", "--log-format", "json")
    names = [json.loads(line)["event"] for line in told.err.splitlines()]
    assert (names[0], names[-1]) == ("run_started", "run_finished")
    assert names.count("step_started") == names.count("step_finished") == 8


def test_quiet_and_verbose(cli: Cli) -> None:
    """-q: nothing on stderr. -v: commands in the plan and in the progress; before or after the command."""
    assert cli.run("-v", "plan").out == cli.run("plan", "-v").out
    verbose = cli.run("apply", "--yes", "-v", "--target", "products")
    assert "FT.CREATE products@1" in verbose.out
    assert "> FT.CREATE products@1" in verbose.err
    assert cli.run("-q", "apply", "--yes").err == ""


def test_the_option_behind_the_command_wins(cli: Cli) -> None:
    """Global options stand before or after the command."""
    wrong, right = "redis://127.0.0.1:1", cli.url
    assert cli.run("--redis-url", wrong, "plan", "--redis-url", right).code == 0
    assert cli.run("--redis-url", right, "plan", "--redis-url", wrong).code == 1


def test_the_project_file_is_found_upwards(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a folder below, as git does; the commands that are offered keep an explicit --project."""
    monkeypatch.chdir(cli.folder / "indexes")
    assert cli.run("plan").code == 0
    elsewhere = cli.folder / "else where"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    told = cli.run("plan", "--project", "../rvlstate.yaml")
    assert "Run: rvlstate --project ../rvlstate.yaml apply" in told.out


def test_colours_only_where_they_are_wanted(cli: Cli) -> None:
    """On a terminal, unless NO_COLOR or --no-color says otherwise; a pipe gets none."""
    assert "\x1b[" not in cli.run("plan").out
    environ = {key: value for key, value in os.environ.items() if key != "NO_COLOR"} | {"TERM": "xterm-256color"}
    assert "\x1b[" in on_terminal(cli, ["plan"], environ=environ).out
    assert "\x1b[" not in on_terminal(cli, ["plan", "--no-color"], environ=environ).out
    assert "\x1b[" not in on_terminal(cli, ["plan"], environ=environ | {"NO_COLOR": "1"}).out


def test_on_a_terminal_apply_asks_and_obeys(cli: Cli) -> None:
    """Anything but yes changes nothing and exits 1; yes is carried out, with a bar."""
    refused = on_terminal(cli, ["apply"], answer="y\n")
    assert refused.code == 1
    assert "not applied" in refused.out
    assert cli.client.execute_command("FT._LIST") == []
    done = on_terminal(cli, ["apply"], answer="yes\n")
    assert done.code == 0, done.out
    assert "Carry out 8 steps for shop on" in done.out
    assert "\x1b[?25h" in done.out
    assert "Applied: 8 steps" in done.out


def test_the_keyboard_stops_it_at_the_question(cli: Cli) -> None:
    """Ctrl-C ends without a traceback, and nothing was changed."""
    stopped = on_terminal(cli, ["apply"], answer="\x03")
    assert stopped.code == 130
    assert "Traceback" not in stopped.out
    assert cli.client.execute_command("FT._LIST") == []


def test_what_is_refused_is_not_asked_about(cli: Cli) -> None:
    """Nobody is asked for a yes that is then turned down."""
    cli.applied()
    (cli.folder / "indexes" / "categories.yaml").unlink()
    told = on_terminal(cli, ["apply"])
    assert told.code == 3
    assert "Only yes is taken" not in told.out


def test_no_output_shows_the_password(cli: Cli) -> None:
    """Not in any form, not in the plan file, not in errors, not in the log."""
    cli.client.execute_command("ACL", "SETUSER", "planner", "on", ">s3cr3t", "~*", "&*", "+@all")
    try:
        url = cli.url.replace("unix://", "unix://planner:s3cr3t@")
        lines = [
            ["validate", "--format", "json"],
            ["plan"],
            ["plan", "--format", "json", "--out", "plan.json"],
            ["plan", "--format", "markdown"],
            ["apply", "plan.json", "--yes", "-v"],
            ["status"],
            ["drift"],
            ["history"],
            ["server", "status"],
            ["plan", "--redis-url", url.replace("s3cr3t", "s3cr3t2")],
            ["plan", "--redis-url", "redis://planner:s3cr3t@127.0.0.1:1"],
        ]
        for words in lines:
            told = cli.run("--redis-url", url, *words)
            assert "s3cr3t" not in told.out + told.err, words
        assert "s3cr3t" not in Path("plan.json").read_text()
        assert cli.run("--redis-url", url, "plan", "--detailed-exitcode").code == 0
    finally:
        cli.client.execute_command("ACL", "DELUSER", "planner")


def test_a_reader_who_leaves_is_no_error(cli: Cli) -> None:
    """`rvlstate plan | head -1` shows one line and no traceback."""
    line = f"{sys.executable} -m rvlstate.cli.main plan -v | head -1"
    done = subprocess.run(["bash", "-c", line], cwd=cli.folder, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("Project shop on")
    assert done.stderr == ""


def test_an_apply_whose_reader_has_left_is_carried_out(cli: Cli) -> None:
    """Both outputs are closed pipes, and everything is applied all the same, with the exit code of success."""
    outputs = [os.pipe() for _ in range(2)]
    for reader, _ in outputs:
        os.close(reader)
    (_, out), (_, err) = outputs
    with cli.start("apply", "--yes", stdout=out, stderr=err, stdin=subprocess.DEVNULL) as process:
        os.close(out)
        os.close(err)
    assert process.returncode == 0
    assert cli.run("plan", "--detailed-exitcode").code == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_result_that_cannot_be_written_is_an_error(cli: Cli) -> None:
    """A full disk does not look like success."""
    with Path("/dev/full").open("w") as full, cli.start("plan", stdout=full, stderr=subprocess.PIPE) as process:
        _, err = process.communicate()
    assert process.returncode == 1
    assert "stdout: the result cannot be written" in err
    assert "Traceback" not in err


def test_an_output_that_lacks_a_letter_gets_an_escape(cli: Cli) -> None:
    """A terminal in ASCII shows a foreign name escaped instead of crashing."""
    cli.declare("städte", "name:text")
    environ = {**os.environ, "PYTHONIOENCODING": "ascii"}
    with cli.start("plan", stdout=subprocess.PIPE, env=environ) as process:
        out, _ = process.communicate()
    assert process.returncode == 0
    assert "+ st\\xe4dte  (new, as st\\xe4dte@1" in out


@pytest.mark.parametrize("words", ["state rebuild", "apply"])
def test_a_closed_stdin_is_no_terminal(cli: Cli, words: str) -> None:
    """As some schedulers start their jobs: nobody can be asked, which is an error and no crash."""
    line = f"exec '{sys.executable}' -m rvlstate.cli.main {words} <&-"
    told = subprocess.run(["sh", "-c", line], cwd=cli.folder, capture_output=True, text=True, check=False)
    assert told.returncode == 64, told.stderr
    assert "there is no terminal to ask on" in told.stderr
