"""The command line without a server: help, usage, completion, the reference, init and validate."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from cli_kit import Cli, outcome

from rvlstate.cli.catalogue import COMMANDS
from rvlstate.cli.main import root
from rvlstate.cli.reference import render_reference

pytest_plugins = ("cli_fixtures",)

DOCS = Path(__file__).parent.parent / "docs"


def test_without_arguments_it_helps(capsys: pytest.CaptureFixture[str]) -> None:
    """The help lists every command and ends well."""
    told = outcome(capsys)
    assert told.code == 0
    assert told.out == outcome(capsys, "--help").out
    assert [line.split()[0] for line in told.out.partition("Commands:\n")[2].splitlines()[: len(COMMANDS)]] == [
        *COMMANDS
    ]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_helps(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With --help and -h, starting with the sentence that the list of commands shows."""
    told = outcome(capsys, name, "--help")
    assert told.code == 0
    assert told.out.splitlines()[2].strip() == COMMANDS[name].help
    assert "Global options:" in told.out
    assert outcome(capsys, name, "-h") == told


@pytest.mark.parametrize("words", [["--help"], ["plan", "--help"], ["apply", "--help"], ["aply"], ["--version"]])
def test_help_imports_no_heavy_library(words: list[str]) -> None:
    """Start-up stays fast because help needs click alone."""
    program = (
        "import sys; from rvlstate.cli.main import run; run(sys.argv[1:]); "
        "heavy = {'redis', 'redisvl', 'networkx', 'numpy', 'deepdiff', 'pydantic', 'rich', 'yaml'}; "
        "sys.exit(f'imported: {found}' if (found := sorted(heavy & set(sys.modules))) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """In one line."""
    assert re.fullmatch(r"rvlstate \d+\.\d+\.\d+\n", outcome(capsys, "--version").out)


def test_the_reference_is_what_the_help_says() -> None:
    """docs/cli.md is made from the help: python -m rvlstate.cli.reference > docs/cli.md."""
    assert (DOCS / "cli.md").read_text() == render_reference()


WRONG = {
    ("aply",): 'there is no command "aply"\n  Next: did you mean rvlstate apply?',
    ("xyzzy",): 'there is no command "xyzzy"\n  Next: rvlstate --help lists all commands.',
    ("state", "shwo"): 'there is no command "shwo"\n  Next: did you mean rvlstate state show?',
    ("plan", "--uot", "x"): "rvlstate plan has no option --uot\n  Next: did you mean --out?",
    ("plan", "--format", "xml"): "'xml' is not one of 'text', 'json', 'markdown'",
    ("plan", "extra"): "got unexpected extra argument (extra)\n  Next: rvlstate plan --help",
    ("plan", "--out"): "option '--out' requires an argument",
    ("plan", "--out", "."): "is a directory",
    ("unlock",): "missing argument 'ID'",
    ("apply", "--allow", "DELETES_IDEX", "--yes"): "'DELETES_IDEX' is not one of",
    ("apply", "--lock-timeout", "-1"): "-1.0 is not in the range",
    ("apply", "plan.json", "--target", "a", "--yes"): "--target and a plan file exclude each other",
    ("import",): "name the indexes to import, or ask for all of them",
    ("import", "a", "--all"): "name the indexes to import, or ask for all of them",
}


@pytest.mark.parametrize("words", WRONG)
def test_a_wrong_command_line_exits_64_and_says_what_was_meant(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """On stderr; nothing goes to stdout."""
    told = outcome(capsys, *words)
    assert (told.code, told.out) == (64, "")
    assert told.err.startswith("Error: ")
    assert WRONG[words] in told.err


@pytest.mark.parametrize("words", [["--log-format", "json", "aply"], ["plan", "--log-format=json", "--nope"]])
def test_with_the_json_log_an_error_is_json_alone(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Every line of stderr can be parsed, even if the command line could not."""
    (line,) = outcome(capsys, *words).err.splitlines()
    error = json.loads(line)
    assert (error["event"], error["error"], error["exit_code"]) == ("error", "usage", 64)
    assert error["next"]


def test_with_format_json_the_error_is_text_and_then_json(capsys: pytest.CaptureFixture[str]) -> None:
    """The last line of stderr is for the script, the rest for whoever looks on."""
    told = outcome(capsys, "plan", "--format", "json", "--project", "nowhere.yaml")
    assert told.code == 1
    assert told.err.startswith("Error: nowhere.yaml: there is no project file\n")
    assert json.loads(told.err.splitlines()[-1])["error"] == "spec"


def completed(folder: Path, line: str) -> list[str]:
    """What bash would offer for the last word of a line."""
    words = line.split(" ")
    environ = {
        **os.environ,
        "_RVLSTATE_COMPLETE": "bash_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }
    program = "from rvlstate.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, env=environ, capture_output=True, text=True, check=True
    )
    return [item.partition(",")[2] for item in done.stdout.splitlines() if item]


def test_a_shell_completes_commands_options_hazards_and_names(tmp_path: Path) -> None:
    """Names come from the schema files; the server is not asked, and files that are no YAML do not matter."""
    (tmp_path / "rvlstate.yaml").write_text("schemas: [i/*.yaml]\n")
    (tmp_path / "i").mkdir()
    (tmp_path / "i" / "a.yaml").write_text("index: {name: products}\n")
    (tmp_path / "i" / "b.yaml").write_text("index: {name: categories}\n")
    (tmp_path / "i" / "c.yaml").write_text("{[")
    assert completed(tmp_path, "rvlstate st") == ["status", "state"]
    assert completed(tmp_path, "rvlstate state ") == ["show", "pull", "rebuild"]
    assert completed(tmp_path, "rvlstate plan --det") == ["--detailed-exitcode"]
    assert completed(tmp_path, "rvlstate plan --no-c") == ["--no-color"]
    assert completed(tmp_path, "rvlstate apply --allow DEL") == ["DELETES_INDEX"]
    assert completed(tmp_path, "rvlstate plan --target ") == ["categories", "products"]
    assert completed(tmp_path, "rvlstate apply --target pr") == ["products"]


def test_a_shell_completes_environments_and_names_as_they_are_there(tmp_path: Path) -> None:
    """From the overlays beside the project file; one that there is not changes nothing."""
    (tmp_path / "rvlstate.yaml").write_text("schemas: [i/*.yaml]\n")
    (tmp_path / "rvlstate.prod-eu.yaml").write_text("policy: {}\n")
    (tmp_path / "rvlstate.staging.yaml").write_text("schemas: [s/*.yaml]\n")
    for folder, name in (("i", "products"), ("s", "parts")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.yaml").write_text(f"index: {{name: {name}}}\n")
    assert completed(tmp_path, "rvlstate --env ") == ["prod-eu", "staging"]
    assert completed(tmp_path, "rvlstate plan --env s") == ["staging"]
    assert completed(tmp_path, "rvlstate --env staging plan --target p") == ["parts"]
    assert completed(tmp_path, "rvlstate --env prod-eu plan --target p") == ["products"]
    assert completed(tmp_path, "rvlstate --env ../x plan --target p") == ["products"]


def test_completion_of_names_is_silent_without_a_project(tmp_path: Path) -> None:
    """A shell shows nothing rather than a traceback."""
    assert completed(tmp_path, "rvlstate plan --target ") == []


def test_every_option_and_argument_is_explained() -> None:
    """No option of any command is without a help text."""

    def below(command: click.Command) -> Iterator[click.Command]:
        yield command
        if isinstance(command, click.Group):
            ctx = click.Context(command)
            for name in command.list_commands(ctx):
                child = command.get_command(ctx, name)
                assert child is not None
                yield from below(child)

    unexplained = [
        (command.name, option.name)
        for command in below(root)
        for option in command.params
        if isinstance(option, click.Option) and not option.help
    ]
    assert unexplained == []


def test_a_new_project_is_valid_and_nothing_is_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What init writes passes validate; run again it changes no byte, not even of a file that was edited."""
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    assert outcome(capsys, "init", "My Shop!").code == 0
    monkeypatch.chdir(tmp_path / "My Shop!")
    told = outcome(capsys, "validate")
    assert told.code == 0, told.err
    assert "project my-shop, 1 index" in told.out
    Path("rvlstate.yaml").write_text("mine")
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    again = outcome(capsys, "init")
    assert again.code == 0
    assert again.out.count("kept ") == len(before) == 6
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before


def test_validate_is_offline_and_says_what_it_checked(cli: Cli) -> None:
    """An address that nothing answers to does not matter; a password in it is not shown."""
    told = cli.run("validate", "--redis-url", "redis://me:secret@127.0.0.1:1")
    assert told.code == 0
    assert "2 indexes, redis://me:***@127.0.0.1:1" in told.out
    assert "products    hash, 2 fields  indexes/products.yaml:1" in told.out
    data = cli.run("validate", "--format", "json").data
    assert (data["valid"], [index["name"] for index in data["indexes"]]) == (True, ["categories", "products"])


def test_validate_finds_circles(cli: Cli) -> None:
    """Without a server, with the circle shown."""
    file = cli.folder / "rvlstate.yaml"
    file.write_text(
        file.read_text() + "indexes: {products: {depends_on: [categories]}, categories: {depends_on: [products]}}\n"
    )
    told = cli.run("validate")
    assert told.code == 1
    assert "categories -> products -> categories" in told.err
