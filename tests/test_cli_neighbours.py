"""What a project must not do to its neighbours, and what it must not take for good news: found by an attacker."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cli_kit import Cli
from conftest import NewServer
from servers import connected

pytest_plugins = ("cli_fixtures",)


def second_project(cli: Cli, folder: Path, *fields: str) -> Path:
    """Another project on the same server, which declares `products` too; it becomes the current folder's neighbour."""
    other = folder / "other"
    (other / "indexes").mkdir(parents=True)
    (other / "rvlstate.yaml").write_text(
        f"version: 1\nproject: rival\nredis: {{url: '{cli.url}'}}\nschemas: [indexes/*.yaml]\n"
    )
    lines = "\n".join(f"  - {{name: {field.partition(':')[0]}, type: {field.partition(':')[2]}}}" for field in fields)
    (other / "indexes" / "products.yaml").write_text(
        f"index: {{name: products, prefix: 'products:'}}\nfields:\n{lines}\n"
    )
    return other / "rvlstate.yaml"


def test_an_index_of_another_project_is_left_to_it(cli: Cli, tmp_path: Path) -> None:
    """A second project that declares the same name is refused with the owner named; nothing is built or dropped."""
    cli.applied()
    rival = str(second_project(cli, tmp_path, "title:tag"))
    planned = cli.run("--project", rival, "plan")
    assert planned.code == 3
    assert "products@1 is managed by project shop on this server" in planned.out
    assert cli.run("--project", rival, "apply", "--yes").code == 3
    assert "products@1" in str(cli.client.execute_command("FT._LIST"))
    assert cli.run("drift").code == 0


def test_indexes_of_other_projects_are_not_offered_for_import(cli: Cli, tmp_path: Path) -> None:
    """They are not listed as unmanaged, `import --all` passes them by, and a name of one is refused."""
    cli.applied()
    rival = str(second_project(cli, tmp_path, "title:tag"))
    (tmp_path / "other" / "indexes" / "products.yaml").unlink()
    cli.client.execute_command("FT.CREATE", "nobodys", "PREFIX", 1, "n:", "SCHEMA", "t", "TEXT")
    refused = cli.run("--project", rival, "import", "products")
    assert refused.code == 64
    assert "products@1 is managed by project shop" in refused.err
    imported = cli.run("--project", rival, "import", "--all", "--format", "json")
    assert imported.code == 0, imported.err
    assert "products" not in imported.out
    assert "nobodys" in imported.out
    assert cli.run("--project", rival, "plan", "--format", "json").data["unmanaged"] == []


def test_drift_is_no_good_news_where_nothing_is_recorded(cli: Cli) -> None:
    """After FLUSHALL, or on the wrong server, drift exits 1 and says that nothing is recorded."""
    cli.applied()
    cli.client.flushall()
    drift = cli.run("drift")
    assert drift.code == 1
    assert "nothing was ever applied here, or the server lost all of it" in drift.err


def test_status_tells_a_failed_apply_from_an_interrupted_one(cli: Cli) -> None:
    """After a gate has failed, the next step is its reason, not to run the same again."""
    cli.client.hset("products:1", mapping={"title": "abc", "price": "cheap"})
    cli.declare("products", "title:text", "price:text")
    cli.applied()
    cli.declare("products", "title:text", "price:numeric")
    assert cli.run("apply", "--yes", "-q").code == 3
    status = cli.run("status")
    assert "the last apply failed: products@2 would lose documents from search" in " ".join(status.out.split())
    assert "interrupted: run rvlstate apply" not in status.out


@pytest.mark.parametrize("redirection", ["1>&-", "2>&-", "1>&- 2>&-"])
@pytest.mark.parametrize("command", ["plan", "status", "validate", "apply --yes"])
def test_closed_streams_change_nothing(cli: Cli, command: str, redirection: str) -> None:
    """A command whose output was closed before it started ends as it would have; nothing falls over."""
    line = f"{sys.executable} -m rvlstate.cli.main {command} {redirection}"
    done = subprocess.run(["bash", "-c", line], cwd=cli.folder, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert (cli.client.execute_command("FT._LIST") != []) == (command == "apply --yes")


def test_an_empty_server_option_is_refused(cli: Cli) -> None:
    """`--redis-url "$UNSET"` must not lead to another server than was meant."""
    refused = cli.run("--redis-url", "", "plan")
    assert refused.code == 64
    assert "--redis-url is empty" in refused.err


def test_a_plan_for_one_blank_server_is_not_applied_to_another(cli: Cli, new_server: NewServer) -> None:
    """Where no state tells servers apart, the plan's own address does."""
    assert cli.run("plan", "--out", "reviewed.plan").code == 0
    other = new_server()
    refused = cli.run("--redis-url", other.url, "apply", "reviewed.plan", "--yes")
    assert refused.code == 3
    assert "it was made for" in refused.err
    with connected(other) as client:
        assert client.execute_command("FT._LIST") == []
    assert cli.run("apply", "reviewed.plan", "--yes").code == 0


def test_aliases_that_cannot_be_seen_are_warned_of(cli: Cli) -> None:
    """This server cannot list aliases: a plan that drops a previous index says so, and a declared alias is kept."""
    cli.applied()
    cli.client.execute_command("FT.ALIASADD", "shop_window", "products@1")
    cli.declare("products", "title:tag", "price:numeric")
    warnings = cli.run("plan", "--format", "json").data["warnings"]
    assert any("products@1" in warning and "aliases" in warning for warning in warnings)
    project = cli.folder / "rvlstate.yaml"
    project.write_text(project.read_text() + "indexes: {products: {aliases: [shop_window]}}\n")
    cli.applied()
    assert "products@2" in str(cli.client.execute_command("FT.INFO", "shop_window"))


def test_a_secret_in_a_misspelt_option_is_masked(cli: Cli) -> None:
    """Nobody knows what an unknown option holds."""
    shown = cli.run("--redis-url", "redis://127.0.0.1:1?paswd=hunter2", "plan")
    assert shown.code == 1
    assert "hunter2" not in shown.out + shown.err


def test_names_that_differ_in_what_files_cannot_hold_are_imported_together(cli: Cli) -> None:
    """`%` and `*` go into files of their own."""
    for name in ("%", "*"):
        cli.client.execute_command("FT.CREATE", name, "PREFIX", 1, f"{name}:", "SCHEMA", "t", "TEXT")
    imported = cli.run("import", "--all", "--format", "json")
    assert imported.code == 0, imported.err
    assert cli.run("plan", "--detailed-exitcode").code in (0, 2)
    assert {"_.yaml", "_-2.yaml"} <= {path.name for path in (cli.folder / "indexes").iterdir()}
