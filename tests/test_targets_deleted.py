"""`--target` with an index that the run itself deletes: afterwards nobody knows the name, and nothing is left to do."""

from __future__ import annotations

from cli_kit import Cli

pytest_plugins = ("cli_fixtures",)
DELETE = ("--allow", "DELETES_INDEX", "--yes")


def test_a_target_that_was_deleted_is_done(cli: Cli) -> None:
    """The look at what is left does not ask for an index that is rightly gone."""
    cli.applied()
    (cli.folder / "indexes" / "categories.yaml").unlink()
    told = cli.run("apply", "--target", "categories", *DELETE)
    assert told.code == 0, told.err
    assert "Planned again: nothing is left to do." in told.out
    assert cli.client.execute_command("FT._LIST") == [b"products@1"]


def test_a_plan_file_of_a_deleted_target_says_that_it_was_applied(cli: Cli) -> None:
    """Its second run is refused as that of any plan file."""
    cli.applied()
    (cli.folder / "indexes" / "categories.yaml").unlink()
    cli.run("plan", "--target", "categories", "--out", "plan.json")
    assert cli.run("apply", "plan.json", "--yes").code == 0
    again = cli.run("apply", "plan.json", "--yes")
    assert again.code == 3
    assert "it was applied already" in again.err


def test_a_target_that_never_was_is_an_error_still(cli: Cli) -> None:
    """Before anything is done."""
    cli.applied()
    told = cli.run("apply", "--target", "categroies", *DELETE)
    assert told.code == 64
    assert "there is no index categroies" in told.err
