"""`rvlstate drift` as a cron job runs it: exit codes, servers that do not answer, the repair as a file, its options."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_kit import Cli
from lock_holder import holder_process
from raw_servers import eventually, socket_server
from run_cases import summary
from servers import EmbeddedServer, connected, flush
from test_connect import slow_to_load
from test_json_schema import faults
from test_notify import ALTER

import rvlstate.runtime.connect as connecting
from rvlstate.files.plan_file import load_plan
from rvlstate.model.state import Run, State
from rvlstate.plan.standing import NextCommand, Standing
from rvlstate.runtime.recorded import interrupted_words

pytest_plugins = ("cli_fixtures",)


def drifted(cli: Cli) -> Cli:
    """A project in which somebody added a field by hand."""
    cli.applied()
    cli.client.execute_command(*ALTER)
    return cli


def test_the_exit_codes(cli: Cli) -> None:
    """0 without drift, 2 with drift, 1 where nobody can look, 64 for a wrong command line."""
    cli.applied()
    assert cli.run("drift").code == 0
    cli.client.execute_command(*ALTER)
    assert cli.run("drift").code == 2
    assert cli.run("drift", "--redis-url", "redis://127.0.0.1:1").code == 1
    assert cli.run("drift", "--nonsense").code == 64
    assert cli.run("drift", "--repair").code == 64


def test_indexes_of_nobody_fail_where_that_is_asked_for(cli: Cli) -> None:
    """They are named in any case, and how they are taken in."""
    cli.applied()
    cli.client.execute_command("FT.CREATE", "legacy", "SCHEMA", "x", "TAG")
    assert cli.run("drift").code == 0
    told = cli.run("drift", "--fail-on-unmanaged")
    assert told.code == 2
    assert "1 index not managed." in told.out
    data = cli.run("drift", "--fail-on-unmanaged", "--format", "json").data
    assert (data["drift"], data["kinds"]["unmanaged"]) == (True, 1)
    assert faults("drift", data) == []
    left = cli.run("drift", "--fail-on-unmanaged", "--repair", "repair.json")
    assert "Not repaired: legacy: nobody declared it: rvlstate import legacy takes it over." in left.err
    assert not (cli.folder / "repair.json").exists()


def test_the_repair_is_a_plan_file_that_only_apply_carries_out(cli: Cli) -> None:
    """It says what it leads to, is for its owner's eyes, and names the command; drift writes nothing to the server."""
    told = drifted(cli).run("drift", "--repair", "my repair.json")
    assert told.code == 2
    assert "rvlstate apply 'my repair.json'  carries the repair out" in told.out
    assert told.err == "Saved the plan that undoes it to my repair.json.\n"
    file = cli.folder / "my repair.json"
    data = json.loads(file.read_text(encoding="utf-8"))
    assert data["basis"] == "recorded"
    assert faults("plan", data) == []
    assert load_plan(file).basis == "recorded"
    assert cli.run("drift").code == 2
    applied = cli.run("apply", str(file), "--yes", "-q")
    assert (applied.code, "leads back to what was last applied" in applied.out) == (0, True)
    assert cli.run("drift").code == 0
    again = cli.run("apply", str(file), "--yes")
    assert (again.code, "it was applied already" in again.err) == (3, True)


def test_a_repair_is_applied_though_a_schema_file_is_broken(cli: Cli) -> None:
    """What was applied last is known without it; an ordinary plan is refused."""
    drifted(cli).run("drift", "--repair", "repair.json")
    (cli.folder / "indexes" / "products.yaml").write_text("index: [")
    assert cli.run("apply", "--yes").code == 1
    assert cli.run("apply", "repair.json", "--yes", "-q").code == 0
    assert cli.run("drift").code == 0


def test_a_basis_that_is_unknown_is_no_plan_of_this_version(cli: Cli) -> None:
    """The checksum holds, the word does not."""
    from rvlstate.model.fingerprint import fingerprint

    drifted(cli).run("drift", "--repair", "repair.json")
    file = cli.folder / "repair.json"
    data = json.loads(file.read_text(encoding="utf-8"))
    data["basis"] = "guessed"
    del data["checksum"]
    file.write_text(json.dumps({**data, "checksum": fingerprint(data)}))
    told = cli.run("apply", "repair.json", "--yes")
    assert (told.code, "this plan file cannot be read" in told.err) == (1, True)


def test_a_plan_file_whose_basis_was_taken_away_is_refused(cli: Cli) -> None:
    """It would be carried out as if the schema files had asked for it."""
    drifted(cli).run("drift", "--repair", "repair.json")
    file = cli.folder / "repair.json"
    data = json.loads(file.read_text(encoding="utf-8"))
    del data["basis"]
    file.write_text(json.dumps(data))
    told = cli.run("apply", "repair.json", "--yes")
    assert (told.code, "was changed after it was made" in told.err) == (1, True)


def test_nothing_to_repair_writes_no_file(cli: Cli) -> None:
    """In sync, and while an apply is at work."""
    cli.applied()
    told = cli.run("drift", "--repair", "repair.json")
    assert (told.code, "no file was written" in told.err) == (0, True)
    cli.client.execute_command(*ALTER)
    with holder_process(cli.url, "shop", lease_seconds=60) as holder:
        holder.ask("acquire")
        told = cli.run("drift", "--repair", "repair.json")
        assert (told.code, "An apply is in progress" in told.err) == (0, True)
    assert not (cli.folder / "repair.json").exists()


def test_a_repair_that_cannot_be_written_is_an_error(cli: Cli) -> None:
    """With the system's words."""
    told = drifted(cli).run("drift", "--repair", str(cli.folder / "no" / "repair.json"))
    assert (told.code, "cannot be written" in told.err) == (1, True)


def test_a_repair_is_offered_with_the_options_that_found_the_drift(cli: Cli) -> None:
    """So that the command can be pasted."""
    told = drifted(cli).run("drift", "--project", "rvlstate.yaml")
    assert "rvlstate --project rvlstate.yaml drift --repair repair.json" in told.out


def test_a_server_that_loads_is_no_server_without_indexes(
    cli: Cli, server_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LOADING exits with 1: the drift of a half loaded server would be told to everybody."""
    monkeypatch.setattr(connecting, "LOADING_SECONDS", 0.2)
    folder = server_root / "drift-loads"
    settings = slow_to_load(folder, 200)
    with socket_server(folder, *settings) as url:
        told = cli.run("drift", "--redis-url", url)
    assert (told.code, told.out) == (1, "")
    assert "still loading" in told.err


def test_a_cluster_that_is_down_is_unreachable(
    cluster_server: EmbeddedServer, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """CLUSTERDOWN, as it is answered while a slot has no node, exits with 1."""
    flush(cluster_server)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "indexes").mkdir()
    (tmp_path / "rvlstate.yaml").write_text(
        f"version: 1\nproject: shop\nredis: {{url: '{cluster_server.url}'}}\nschemas: [indexes/*.yaml]\n"
    )
    with connected(cluster_server) as client:
        cli = Cli(tmp_path, cluster_server.url, client, capsys)
        cli.declare("products", "title:text")
        cli.applied()
        client.execute_command("CLUSTER", "DELSLOTS", "1")
        try:
            eventually(lambda: client.execute_command("CLUSTER INFO")["cluster_state"] == "fail")
            told = cli.run("drift")
            assert (told.code, told.out) == (1, "")
        finally:
            client.execute_command("CLUSTER", "ADDSLOTS", "1")
            eventually(lambda: client.execute_command("CLUSTER INFO")["cluster_state"] == "ok")
        assert cli.run("drift").code == 0


def test_words_about_a_run_that_was_cut_short_are_told_only_where_it_is_to_be_gone_on_with() -> None:
    """Nothing is said of one that was finished by a later run."""
    assert interrupted_words(None, State()) == ""
    cut_short = summary(id="r1", finished="", result="interrupted")
    assert "run rvlstate apply" in interrupted_words(cut_short, State(run=Run(id="r1", plan_id="p")))
    assert interrupted_words(cut_short, State(run=Run(id="r2", plan_id="p", finished=True))) == ""


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        ("apply", "an apply was interrupted (run r1, started AT): run rvlstate apply, it goes on where that stopped."),
        ("cutover", "a cutover was interrupted (run r1, started AT): rvlstate plan shows what is left."),
        ("complete", "rvlstate complete was interrupted (run r1, started AT): rvlstate plan shows what is left."),
        ("rollback", "a rollback was interrupted (run r1, started AT): rvlstate plan shows what is left."),
    ],
)
def test_a_run_that_was_cut_short_is_told_by_its_operation(operation: str, words: str) -> None:
    """With what is left to be done where no change is under way, and with the commands of each change where one is."""
    cut_short, state = (
        summary(id="r1", operation=operation, started="AT", result="interrupted"),
        State(run=Run(id="r1", plan_id="p")),
    )
    assert interrupted_words(cut_short, state) == words
    told = interrupted_words(cut_short, state, (waiting("products", "complete", "rollback"),))
    if operation == "apply":
        ways = "Or, for products: rvlstate complete products or rvlstate rollback products."
        assert told == f"{words} {ways}"
    elif operation != "rollback":
        assert told.endswith("): next, for products: rvlstate complete products or rvlstate rollback products.")


def waiting(name: str, *commands: str) -> Standing:
    """A change that waits for one of some commands."""
    ways = tuple(NextCommand(words=(command, name), effect="") for command in commands)
    return Standing(
        name=name,
        phase="serving",
        summary="",
        answers_from="",
        new="",
        old="",
        writers="",
        queries="",
        follows=True,
        commands=ways,
    )
