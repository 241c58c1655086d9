"""The other commands on a real server: lock, status, history, state, import, graph, server."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from cli_kit import Cli
from lock_holder import holder_process

pytest_plugins = ("cli_fixtures",)


def test_a_lock_that_is_held_exits_4_and_names_the_holder(cli: Cli) -> None:
    """And while it is held there is no drift; status shows the holder; unlock takes it away."""
    cli.applied()
    cli.declare("products", "title:text", "price:numeric", "more:tag")
    with holder_process(cli.url, "shop", lease_seconds=60) as holder:
        lock = holder.ask("acquire").split()[1]
        refused = cli.run("apply", "--yes", "--format", "json")
        assert refused.code == 4
        assert json.loads(refused.err.splitlines()[-1])["lock_id"] == lock
        cli.client.execute_command("FT.ALTER", "products@1", "SCHEMA", "ADD", "by_hand", "TAG")
        drift = cli.run("drift")
        assert drift.code == 0
        assert "An apply is in progress" in drift.out
        assert lock in cli.run("status").out
        assert cli.run("unlock", "wrong-id").code != 0
        unlocked = cli.run("unlock", lock)
        assert unlocked.code == 0
        assert unlocked.out.startswith("Unlocked.\nHeld by apply of ")
    assert cli.run("drift").code == 2


def test_waiting_for_the_lock_is_told(cli: Cli) -> None:
    """With --lock-timeout the holder is shown while it waits, and the end is still exit code 4."""
    with holder_process(cli.url, "shop", lease_seconds=60) as holder:
        holder.ask("acquire")
        told = cli.run("apply", "--yes", "--lock-timeout", "0.3")
        assert told.code == 4
        assert "waiting for the lock" in told.err


def test_status_and_its_next_step(cli: Cli) -> None:
    """Nothing managed, then serving; text and JSON; --follow ends at once while nobody is at work."""
    assert "Nothing is managed yet." in cli.run("status").out
    cli.applied()
    told = cli.run("status", "--follow")
    assert told.code == 0
    assert re.search(r"products +serving +products@1 +0 documents", told.out)
    assert [index["state"] for index in cli.run("status", "--format", "json").data["indexes"]] == ["serving"] * 2


def test_status_follows_a_run_until_it_ends(cli: Cli) -> None:
    """It ends by itself when the lock is free."""
    cli.applied()
    with holder_process(cli.url, "shop", lease_seconds=60) as holder:
        holder.ask("acquire")
        with cli.start("status", "--follow", stdout=subprocess.PIPE) as follower:
            assert follower.stdout is not None
            seen = ""
            while "Locked" not in seen:
                line = follower.stdout.readline()
                assert line, seen
                seen += line
            holder.ask("release")
            rest = follower.stdout.read()
    assert follower.returncode == 0
    assert "serving" in rest
    assert "Locked" not in rest


def test_status_history_and_unlock_work_while_a_schema_is_broken(cli: Cli) -> None:
    """At 3 a.m. it must not matter that somebody is editing a file."""
    cli.applied()
    (cli.folder / "indexes" / "products.yaml").write_text("{[")
    for words in (["status"], ["history"], ["drift"], ["state", "show"], ["state", "pull"]):
        assert cli.run(*words).code == 0, words
    assert cli.run("plan").code == 1


def test_history_and_one_run(cli: Cli) -> None:
    """The list, newest first, and the report of one; an unknown id is an error."""
    assert cli.run("history").out == "No runs yet.\n"
    cli.applied()
    (run_of_it,) = cli.run("history", "--format", "json").data["runs"]
    assert (run_of_it["result"], run_of_it["steps_done"]) == ("done", 8)
    assert f"{run_of_it['id']}  apply  done  8 of 8 steps" in cli.run("history").out
    report = cli.run("history", run_of_it["id"])
    assert "create categories@1" in report.out
    assert len(cli.run("history", run_of_it["id"], "--format", "json").data["steps"]) == 8
    assert cli.run("history", "nope").code == 1


def test_an_import_is_a_run_of_the_history(cli: Cli) -> None:
    """With a step for each index; one that takes nothing in is none, and one that failed wrote nothing."""
    cli.client.execute_command("FT.CREATE", "legacy", "PREFIX", "1", "l:", "SCHEMA", "t", "TEXT")
    assert cli.run("import", "nothing").code == 64
    assert cli.run("history").out == "No runs yet.\n"
    for _ in range(2):
        assert cli.run("import", "--all").code == 0
    (run_of_it,) = cli.run("history", "--format", "json").data["runs"]
    assert (run_of_it["operation"], run_of_it["result"], run_of_it["steps_done"]) == ("import", "done", 1)
    report = cli.run("history", run_of_it["id"], "--format", "json").data
    assert [(step["index"], step["summary"]) for step in report["steps"]] == [
        ("legacy", "take legacy into the state as legacy")
    ]
    assert cli.run("history", run_of_it["id"], "--format", "html").code == 0
    assert cli.run("status").out.count("Next: ") == 0


def test_an_index_that_no_schema_may_name_is_not_imported(cli: Cli) -> None:
    """Its file would stop every command; what else there is can be imported by name."""
    for number, name in enumerate(("legacy", "bad\x1b[0K")):
        cli.client.execute_command("FT.CREATE", name, "PREFIX", "1", f"l{number}:", "SCHEMA", "t", "TEXT")
    told = cli.run("import", "--all")
    assert (told.code, told.out) == (64, "")
    assert 'the index name "bad\\x1b[0K" has control characters in it' in told.err
    assert cli.run("import", "legacy").code == 0
    assert cli.run("plan").code == 0


def test_an_alias_that_was_moved_by_hand_is_told_once(cli: Cli) -> None:
    """A further alias by its own name, beside the name of the index."""
    project = cli.folder / "rvlstate.yaml"
    project.write_text(project.read_text() + "indexes: {products: {aliases: [goods]}}\n")
    cli.applied()
    cli.client.execute_command("FT.ALIASUPDATE", "goods", "categories@1")
    moved = "products@1 -> categories@1  drift: the alias was moved by somebody else"
    assert f"  ~ alias goods  {moved}" in cli.run("plan").out
    cli.client.execute_command("FT.ALIASUPDATE", "products", "categories@1")
    told = cli.run("plan").out
    assert f"  ~ answers from  {moved}" in told
    assert f"  ~ alias goods   {moved}" in told


def test_the_state_is_shown_pulled_and_rebuilt(cli: Cli) -> None:
    """One form is for reading, one for keeping; rebuild asks, or wants --yes."""
    assert cli.run("state", "show").out == "The state is empty: nothing was applied or imported yet.\n"
    cli.applied()
    assert re.search(r"products +products@1 +hash \[products:\] +2 fields", cli.run("state", "show").out)
    assert len(cli.run("state", "show", "--format", "json").data["records"]) == 2
    assert cli.run("state", "pull").data["payload"]["records"]
    assert cli.run("state", "rebuild").code == 64
    before = cli.run("state", "show", "--format", "json").data
    rebuilt = cli.run("state", "rebuild", "--yes", "--format", "json").data
    assert [record["physical"] for record in rebuilt["records"]] == ["categories@1", "products@1"]
    assert rebuilt["lineage"] != before["lineage"]
    assert cli.run("plan", "--detailed-exitcode").code == 0


def test_an_import_takes_indexes_in(cli: Cli) -> None:
    """It writes the schema, and the next plan is empty; what the server hides is listed."""
    cli.applied()
    cli.client.execute_command("FT.CREATE", "legacy", "PREFIX", "1", "l:", "SCHEMA", "t", "TEXT")
    assert "Not managed: legacy; take it in with: rvlstate import legacy" in cli.run("plan").out
    told = cli.run("import", "legacy")
    assert told.code == 0, told.err
    assert "= legacy  wrote indexes/legacy.yaml" in told.out
    assert "legacy.fields.t.phonetic_matcher" in told.out
    assert cli.run("plan", "--detailed-exitcode").code == 0
    assert cli.run("import", "--all", "--format", "json").data == {"imported": []}
    assert "Nothing to import" in cli.run("import", "--all").out


def test_the_graph_of_the_plan(cli: Cli) -> None:
    """Mermaid by default, dot on demand."""
    assert cli.run("graph").out.startswith("flowchart TD\n")
    assert cli.run("graph", "--format", "dot", "--target", "products").out.startswith('digraph "shop" {\n')


def test_the_embedded_server_is_started_looked_at_and_stopped(cli: Cli, server_folder: Path) -> None:
    """By its folder; that of the project must be an embedded one."""
    assert cli.run("server", "status", str(server_folder), "--format", "json").data["running"] is False
    started = cli.run("server", "start", str(server_folder))
    assert started.code == 0, started.err
    assert started.out.startswith("Running: ")
    assert cli.run("server", "status", str(server_folder), "--format", "json").data["running"] is True
    assert cli.run("plan", "--redis-url", f"embedded://{server_folder}").code == 0
    assert cli.run("server", "stop", str(server_folder)).out.startswith("Stopped the server of ")
    assert cli.run("server", "stop", str(server_folder)).out.startswith("No server runs for ")
    other = cli.run("server", "status")
    assert other.code == 64
    assert "no embedded server" in other.err


def test_a_server_that_does_not_answer_is_an_error_not_a_plan(cli: Cli) -> None:
    """Exit 1, and nothing on stdout that looks like a result."""
    told = cli.run("plan", "--redis-url", "redis://127.0.0.1:1", "--format", "json")
    assert (told.code, told.out) == (1, "")
