"""Plan and apply on a real server: results, exit codes, agreements."""

from __future__ import annotations

import json
from pathlib import Path

from cli_kit import Cli, on_terminal

pytest_plugins = ("cli_fixtures",)


def test_the_whole_story(cli: Cli) -> None:
    """Plan, save, apply the file, be in sync, change by hand, find the drift, plan it away."""
    plan = cli.run("plan", "--out", "plan.json", "--detailed-exitcode")
    assert plan.code == 2
    assert "2 to create." in plan.out
    assert "Run: rvlstate apply plan.json" in plan.out
    assert plan.err == "Saved the plan to plan.json.\n"
    assert Path("plan.json").stat().st_mode & 0o777 == 0o600

    applied = cli.run("apply", "plan.json", "--yes")
    assert applied.code == 0, applied.err
    assert "Applied: 8 steps" in applied.out
    assert "1/8  create categories@1" in applied.err

    synced = cli.run("plan", "--detailed-exitcode")
    assert synced.code == 0
    assert "No changes. Live matches the declared set." in synced.out

    again = cli.run("apply", "plan.json", "--yes")
    assert again.code == 3
    assert "applied already" in again.err

    assert cli.run("drift").code == 0
    cli.client.execute_command("FT.ALTER", "products@1", "SCHEMA", "ADD", "extra", "TAG")
    drift = cli.run("drift")
    assert drift.code == 2
    assert "+ field extra  tag  drift: changed outside rvlstate" in drift.out
    assert cli.run("drift", "--format", "json").data["indexes"][0]["changes"][0]["address"] == "products.fields.extra"
    assert "+ field extra  tag" in cli.run("drift", "--format", "markdown").out
    assert "drift: changed outside rvlstate" in cli.run("plan").out


def test_the_plan_as_json_and_markdown(cli: Cli) -> None:
    """Results alone are on stdout."""
    told = cli.run("plan", "--format", "json")
    assert (told.code, told.err) == (0, "")
    assert told.data["summary"]["create"] == 2
    markdown = cli.run("plan", "--format", "markdown")
    assert markdown.out.startswith("### rvlstate plan: `shop`\n\n**2 to create.** 8 steps, 8 reversible. ")


def test_a_plan_for_a_target_leaves_the_rest_alone(cli: Cli) -> None:
    """For plan and apply; an unknown name is a usage error that lists the known ones."""
    assert cli.run("plan", "--format", "json", "--target", "products").data["summary"]["create"] == 1
    assert cli.run("apply", "--yes", "--target", "products").code == 0
    assert cli.run("plan", "--format", "json").data["summary"]["create"] == 1
    unknown = cli.run("plan", "--target", "product")
    assert unknown.code == 64
    assert "categories, products" in unknown.err


def test_a_consequence_needs_an_agreement(cli: Cli) -> None:
    """Deleting exits 3 and prints the flag to add; with the flag it is done."""
    cli.applied()
    (cli.folder / "indexes" / "categories.yaml").unlink()
    plan = cli.run("plan")
    assert plan.code == 0
    assert "Not allowed yet: DELETES_INDEX\nRun: rvlstate apply --allow DELETES_INDEX" in plan.out
    refused = cli.run("apply", "--yes", "--format", "json")
    assert (refused.code, refused.out) == (3, "")
    assert json.loads(refused.err.splitlines()[-1])["codes"] == ["DELETES_INDEX"]
    assert b"categories@1" in cli.client.execute_command("FT._LIST")
    assert cli.run("apply", "--yes", "--allow", "DELETES_INDEX").code == 0
    assert cli.client.execute_command("FT._LIST") == [b"products@1"]


def test_a_change_that_cannot_be_made_exits_3_after_the_plan_was_shown(cli: Cli) -> None:
    """Both of plan and apply; the plan offers the rest alone, and that works."""
    cli.declare("products", "title:text", "vec:vector:4")
    cli.applied()
    cli.declare("products", "title:text", "vec:vector:8")
    cli.declare("categories", "label:tag", "more:tag")
    plan = cli.run("plan")
    assert plan.code == 3
    assert "x field vec  dims 4 -> 8" in plan.out
    assert "The rest alone: rvlstate apply --target categories" in plan.out
    refused = cli.run("apply", "--yes")
    assert refused.code == 3
    assert "the plan cannot be carried out" in refused.err
    assert cli.run("apply", "--yes", "--target", "categories").code == 0


def test_a_new_index_that_is_held_waits_for_its_cutover(cli: Cli) -> None:
    """The plan says so; apply exits 0 and names the command, and cutover asks as apply does."""
    cli.applied()
    with (cli.folder / "rvlstate.yaml").open("a", encoding="utf-8") as file:
        file.write("indexes: {products: {cutover: manual}}\n")
    cli.declare("products", "title:tag", "price:numeric")
    plan = cli.run("plan")
    assert plan.code == 0
    assert "waiting: cutover: manual" in plan.out
    assert "Waiting: products (see above)" in plan.out
    assert cli.run("plan", "--detailed-exitcode").code == 2
    applied = cli.run("apply", "--yes")
    assert applied.code == 0
    assert "Waiting: products" in applied.out
    assert "rvlstate cutover products" in applied.out
    assert cli.run("plan", "--detailed-exitcode").code == 2
    refused = on_terminal(cli, ["cutover", "products"], answer="no\n")
    assert refused.code == 1
    assert "not cut over" in refused.out
    done = on_terminal(cli, ["cutover", "products"], answer="yes\n")
    assert done.code == 0, done.out
    assert "Cut over: " in done.out
    assert cli.run("plan", "--detailed-exitcode").code == 0
