"""The command line: what it takes, what it prints where, and with which code it ends."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
import redis
from lock_holder import holder_process
from servers import EmbeddedServer, connected

from rvlstate.cli.catalogue import COMMANDS, LATER
from rvlstate.cli.main import root, run
from rvlstate.cli.reference import render_reference

DOCS = Path(__file__).parent.parent / "docs"
CREATED = ("index", "prefixes")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """Its result, as JSON."""
        return json.loads(self.out)


@dataclass(slots=True)
class Shop:
    """A project in a folder of its own, its server, and a way to run commands on it in this process."""

    folder: Path
    url: str
    client: redis.Redis
    capture: pytest.CaptureFixture[str]

    def run(self, *words: str) -> Outcome:
        """Run a command line."""
        self.capture.readouterr()
        code = run(words)
        out, err = self.capture.readouterr()
        return Outcome(code, out, err)

    def start(self, *words: str, **options: Any) -> subprocess.Popen[str]:
        """Run a command line as a process of its own."""
        command = [sys.executable, "-m", "rvlstate.cli.main", *words]
        return subprocess.Popen(command, cwd=self.folder, text=True, **options)

    def declare(self, name: str, *fields: str, prefix: str = "") -> None:
        """Write a schema file; fields are like `title:text` or `vec:vector:384`."""
        lines = [f"index: {{name: {name}, prefix: '{prefix or name}:'}}", "fields:"]
        for field in fields:
            kind, _, dims = field.partition(":")[2].partition(":")
            attrs = f", attrs: {{algorithm: hnsw, dims: {dims}, distance_metric: cosine}}" if dims else ""
            lines.append(f"  - {{name: {field.partition(':')[0]}, type: {kind}{attrs}}}")
        (self.folder / "indexes" / f"{name}.yaml").write_text("\n".join(lines) + "\n")

    def applied(self) -> None:
        """Apply what is declared."""
        outcome = self.run("apply", "--yes", "-q")
        assert outcome.code == 0, outcome.err


@pytest.fixture
def shop(
    tmp_path: Path,
    server: EmbeddedServer,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Shop]:
    """A project with two declared indexes on an empty server; it is the current folder."""
    (tmp_path / "indexes").mkdir()
    (tmp_path / "rvlstate.yaml").write_text(
        f"version: 1\nproject: shop\nredis: {{url: '{redis_url}'}}\nschemas: [indexes/*.yaml]\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "110")
    with connected(server) as client:
        shop = Shop(tmp_path, redis_url, client, capsys)
        shop.declare("products", "title:text", "price:numeric")
        shop.declare("categories", "label:tag")
        yield shop


# --- help, usage, completion: no server ---


def outcome(capsys: pytest.CaptureFixture[str], *words: str) -> Outcome:
    """Run a command line in this process."""
    code = run(words)
    out, err = capsys.readouterr()
    return Outcome(code, out, err)


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


@pytest.mark.parametrize("name", sorted(LATER))
@pytest.mark.parametrize("rest", [[], ["products", "--force"], ["--help"]])
def test_a_command_of_a_later_version_is_told_as_such(
    name: str, rest: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever stands behind it."""
    told = outcome(capsys, name, *rest)
    assert told.code == 64
    assert f"rvlstate {name} comes with a later version" in told.err


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
    return [item.partition(",")[2] for item in done.stdout.splitlines()]


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


# --- init and validate: files alone ---


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
    assert again.out.count("kept ") == len(before) == 5
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before


def test_the_ci_templates_are_yaml_that_calls_existing_options(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every rvlstate command line in them is one that this version takes."""
    import yaml

    outcome(capsys, "init", str(tmp_path))
    lines = []
    for file in (tmp_path / "ci").iterdir():
        text = file.read_text()
        assert isinstance(yaml.safe_load(text), dict)
        lines += re.findall(r"(?:run: |- )(rvlstate [^|\n]*)$", text, re.MULTILINE)
    assert len(lines) == 9
    for line in lines:
        words = line.split(">")[0].split()[1:]
        assert "comes with a later" not in outcome(capsys, *words, "--help").err
        assert outcome(capsys, *words, "--help").code == 0


def test_validate_is_offline_and_says_what_it_checked(shop: Shop) -> None:
    """An address that nothing answers to does not matter; a password in it is not shown."""
    told = shop.run("validate", "--redis-url", "redis://me:secret@127.0.0.1:1")
    assert told.code == 0
    assert "2 indexes, redis://me:***@127.0.0.1:1" in told.out
    assert "products    hash, 2 fields  indexes/products.yaml:1" in told.out
    data = shop.run("validate", "--format", "json").data
    assert (data["valid"], [index["name"] for index in data["indexes"]]) == (True, ["categories", "products"])


def test_validate_finds_circles(shop: Shop) -> None:
    """Without a server, with the circle shown."""
    file = shop.folder / "rvlstate.yaml"
    file.write_text(
        file.read_text() + "indexes: {products: {depends_on: [categories]}, categories: {depends_on: [products]}}\n"
    )
    told = shop.run("validate")
    assert told.code == 1
    assert "categories -> products -> categories" in told.err


# --- plan, apply, drift and the rest, on a real server ---


def test_the_whole_story(shop: Shop) -> None:
    """Plan, save, apply the file, be in sync, change by hand, find the drift, plan it away."""
    plan = shop.run("plan", "--out", "plan.json", "--detailed-exitcode")
    assert plan.code == 2
    assert "2 to create." in plan.out
    assert "Run: rvlstate apply plan.json" in plan.out
    assert plan.err == "Saved the plan to plan.json.\n"
    assert Path("plan.json").stat().st_mode & 0o777 == 0o600

    applied = shop.run("apply", "plan.json", "--yes")
    assert applied.code == 0, applied.err
    assert "Applied: 8 steps" in applied.out
    assert "1/8  create categories@1" in applied.err

    synced = shop.run("plan", "--detailed-exitcode")
    assert synced.code == 0
    assert "No changes. Live matches the declared set." in synced.out

    again = shop.run("apply", "plan.json", "--yes")
    assert again.code == 3
    assert "applied already" in again.err

    assert shop.run("drift").code == 0
    shop.client.execute_command("FT.ALTER", "products@1", "SCHEMA", "ADD", "extra", "TAG")
    drift = shop.run("drift")
    assert drift.code == 2
    assert "+ field extra  tag  drift: changed outside rvlstate" in drift.out
    assert shop.run("drift", "--format", "json").data["indexes"][0]["changes"][0]["address"] == "products.fields.extra"
    assert "+ field extra  tag" in shop.run("drift", "--format", "markdown").out
    assert "drift: changed outside rvlstate" in shop.run("plan").out


def test_the_plan_as_json_and_markdown(shop: Shop) -> None:
    """Results alone are on stdout."""
    told = shop.run("plan", "--format", "json")
    assert (told.code, told.err) == (0, "")
    assert told.data["summary"]["create"] == 2
    markdown = shop.run("plan", "--format", "markdown")
    assert markdown.out.startswith("### rvlstate plan: `shop`\n\n**2 to create.** 8 steps, 8 reversible.\n")


def test_a_plan_for_a_target_leaves_the_rest_alone(shop: Shop) -> None:
    """For plan and apply; an unknown name is a usage error that lists the known ones."""
    assert shop.run("plan", "--format", "json", "--target", "products").data["summary"]["create"] == 1
    assert shop.run("apply", "--yes", "--target", "products").code == 0
    assert shop.run("plan", "--format", "json").data["summary"] | {"unchanged": 0} == {
        **{key: 0 for key in shop.run("plan", "--format", "json").data["summary"]},
        "create": 1,
        "in_place": 1,
    }
    unknown = shop.run("plan", "--target", "product")
    assert unknown.code == 64
    assert "categories, products" in unknown.err


def test_a_consequence_needs_an_agreement(shop: Shop) -> None:
    """Deleting exits 3 and prints the flag to add; with the flag it is done."""
    shop.applied()
    (shop.folder / "indexes" / "categories.yaml").unlink()
    plan = shop.run("plan")
    assert plan.code == 0
    assert "Not allowed yet: DELETES_INDEX\nRun: rvlstate apply --allow DELETES_INDEX" in plan.out
    refused = shop.run("apply", "--yes", "--format", "json")
    assert (refused.code, refused.out) == (3, "")
    assert json.loads(refused.err.splitlines()[-1])["codes"] == ["DELETES_INDEX"]
    assert b"categories@1" in shop.client.execute_command("FT._LIST")
    assert shop.run("apply", "--yes", "--allow", "DELETES_INDEX").code == 0
    assert shop.client.execute_command("FT._LIST") == [b"products@1"]


def test_a_change_that_cannot_be_made_exits_3_after_the_plan_was_shown(shop: Shop) -> None:
    """plan and apply both; the plan offers the rest alone, and that works."""
    shop.declare("products", "title:text", "vec:vector:4")
    shop.applied()
    shop.declare("products", "title:text", "vec:vector:8")
    shop.declare("categories", "label:tag", "more:tag")
    plan = shop.run("plan")
    assert plan.code == 3
    assert "x field vec  dims 4 -> 8" in plan.out
    assert "The rest alone: rvlstate apply --target categories" in plan.out
    refused = shop.run("apply", "--yes")
    assert refused.code == 3
    assert "the plan cannot be carried out" in refused.err
    assert shop.run("apply", "--yes", "--target", "categories").code == 0


def test_what_a_later_version_carries_out_is_planned_and_not_applied(shop: Shop) -> None:
    """plan shows it and exits 0, apply exits 3."""
    shop.applied()
    shop.declare("products", "title:text", "price:numeric", prefix="item")
    plan = shop.run("plan")
    assert plan.code == 0
    assert "not yet: " in plan.out
    assert "Not yet: products (see above)" in plan.out
    assert shop.run("plan", "--detailed-exitcode").code == 2
    assert shop.run("apply", "--yes").code == 3


def test_apply_without_a_terminal_needs_yes(shop: Shop) -> None:
    """It refuses before it asks the server anything."""
    told = shop.run("apply", "--redis-url", "redis://127.0.0.1:1")
    assert told.code == 64
    assert "there is no terminal to ask on" in told.err


def test_the_report_as_json_is_all_of_stdout(shop: Shop) -> None:
    """Progress and plan stay away from it."""
    report = shop.run("apply", "--yes", "--format", "json").data
    assert (report["result"], report["plan_empty"], len(report["steps"])) == ("done", True, 8)
    assert {step["result"] for step in report["steps"]} == {"done"}
    assert shop.run("apply", "--yes", "--format", "json").data["result"] == "nothing"


def test_the_json_log_tells_the_run(shop: Shop) -> None:
    """Every line of stderr is an object; a run begins, takes its steps and ends."""
    told = shop.run("apply", "--yes", "--log-format", "json")
    names = [json.loads(line)["event"] for line in told.err.splitlines()]
    assert (names[0], names[-1]) == ("run_started", "run_finished")
    assert names.count("step_started") == names.count("step_finished") == 8


def test_quiet_and_verbose(shop: Shop) -> None:
    """-q: nothing on stderr. -v: commands in the plan and in the progress; before or after the command."""
    assert shop.run("-v", "plan").out == shop.run("plan", "-v").out
    verbose = shop.run("apply", "--yes", "-v", "--target", "products")
    assert "FT.CREATE products@1" in verbose.out
    assert "> FT.CREATE products@1" in verbose.err
    assert shop.run("-q", "apply", "--yes").err == ""


def test_the_option_behind_the_command_wins(shop: Shop) -> None:
    """Global options stand before or after the command."""
    wrong, right = "redis://127.0.0.1:1", shop.url
    assert shop.run("--redis-url", wrong, "plan", "--redis-url", right).code == 0
    assert shop.run("--redis-url", right, "plan", "--redis-url", wrong).code == 1


def test_the_project_file_is_found_upwards(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a folder below, as git does; the commands that are offered keep an explicit --project."""
    monkeypatch.chdir(shop.folder / "indexes")
    assert shop.run("plan").code == 0
    elsewhere = shop.folder / "else where"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    told = shop.run("plan", "--project", "../rvlstate.yaml")
    assert "Run: rvlstate --project ../rvlstate.yaml apply" in told.out


def test_colours_only_where_they_are_wanted(shop: Shop) -> None:
    """On a terminal, unless NO_COLOR or --no-color says otherwise; a pipe gets none."""
    assert "\x1b[" not in shop.run("plan").out
    environ = {key: value for key, value in os.environ.items() if key != "NO_COLOR"} | {"TERM": "xterm-256color"}
    assert "\x1b[" in on_terminal(shop, ["plan"], environ=environ).out
    assert "\x1b[" not in on_terminal(shop, ["plan", "--no-color"], environ=environ).out
    assert "\x1b[" not in on_terminal(shop, ["plan"], environ=environ | {"NO_COLOR": "1"}).out


def test_on_a_terminal_apply_asks_and_obeys(shop: Shop) -> None:
    """Anything but yes changes nothing and exits 1; yes is carried out, with a bar."""
    refused = on_terminal(shop, ["apply"], answer="y\n")
    assert refused.code == 1
    assert "not applied" in refused.out
    assert shop.client.execute_command("FT._LIST") == []
    done = on_terminal(shop, ["apply"], answer="yes\n")
    assert done.code == 0, done.out
    assert "Carry out 8 steps for shop on" in done.out
    assert "\x1b[?25h" in done.out
    assert "Applied: 8 steps" in done.out


def test_the_keyboard_stops_it_at_the_question(shop: Shop) -> None:
    """Ctrl-C ends without a traceback, and nothing was changed."""
    stopped = on_terminal(shop, ["apply"], answer="\x03")
    assert stopped.code == 130
    assert "Traceback" not in stopped.out
    assert shop.client.execute_command("FT._LIST") == []


def test_what_is_refused_is_not_asked_about(shop: Shop) -> None:
    """Nobody is asked for a yes that is then turned down."""
    shop.applied()
    (shop.folder / "indexes" / "categories.yaml").unlink()
    told = on_terminal(shop, ["apply"])
    assert told.code == 3
    assert "Only yes is taken" not in told.out


def test_a_lock_that_is_held_exits_4_and_names_the_holder(shop: Shop) -> None:
    """And while it is held there is no drift; status shows the holder; unlock takes it away."""
    shop.applied()
    shop.declare("products", "title:text", "price:numeric", "more:tag")
    with holder_process(shop.url, "shop", lease_seconds=60) as holder:
        lock = holder.ask("acquire").split()[1]
        refused = shop.run("apply", "--yes", "--format", "json")
        assert refused.code == 4
        assert json.loads(refused.err.splitlines()[-1])["lock_id"] == lock
        shop.client.execute_command("FT.ALTER", "products@1", "SCHEMA", "ADD", "by_hand", "TAG")
        drift = shop.run("drift")
        assert drift.code == 0
        assert "An apply is in progress" in drift.out
        assert lock in shop.run("status").out
        assert shop.run("unlock", "wrong-id").code != 0
        unlocked = shop.run("unlock", lock)
        assert unlocked.code == 0
        assert unlocked.out.startswith("Unlocked.\nHeld by apply of ")
    assert shop.run("drift").code == 2


def test_waiting_for_the_lock_is_told(shop: Shop) -> None:
    """With --lock-timeout the holder is shown while it waits, and the end is still exit code 4."""
    with holder_process(shop.url, "shop", lease_seconds=60) as holder:
        holder.ask("acquire")
        told = shop.run("apply", "--yes", "--lock-timeout", "0.3")
        assert told.code == 4
        assert "waiting for the lock" in told.err


def test_status_and_its_next_step(shop: Shop) -> None:
    """Nothing managed, then serving; text and JSON; --follow ends at once while nobody is at work."""
    assert "Nothing is managed yet." in shop.run("status").out
    shop.applied()
    told = shop.run("status", "--follow")
    assert told.code == 0
    assert re.search(r"products +serving +products@1 +0 documents", told.out)
    assert [index["state"] for index in shop.run("status", "--format", "json").data["indexes"]] == ["serving"] * 2


def test_status_follows_a_run_until_it_ends(shop: Shop) -> None:
    """It ends by itself when the lock is free."""
    shop.applied()
    with holder_process(shop.url, "shop", lease_seconds=60) as holder:
        holder.ask("acquire")
        with shop.start("status", "--follow", stdout=subprocess.PIPE) as follower:
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


def test_status_history_and_unlock_work_while_a_schema_is_broken(shop: Shop) -> None:
    """At 3 a.m. it must not matter that somebody is editing a file."""
    shop.applied()
    (shop.folder / "indexes" / "products.yaml").write_text("{[")
    for words in (["status"], ["history"], ["drift"], ["state", "show"], ["state", "pull"]):
        assert shop.run(*words).code == 0, words
    assert shop.run("plan").code == 1


def test_history_and_one_run(shop: Shop) -> None:
    """The list, newest first, and the report of one; an unknown id is an error."""
    assert shop.run("history").out == "No runs yet.\n"
    shop.applied()
    (run_of_it,) = shop.run("history", "--format", "json").data["runs"]
    assert (run_of_it["result"], run_of_it["steps_done"]) == ("done", 8)
    assert f"{run_of_it['id']}  apply  done  8 of 8 steps" in shop.run("history").out
    report = shop.run("history", run_of_it["id"])
    assert "create categories@1" in report.out
    assert len(shop.run("history", run_of_it["id"], "--format", "json").data["steps"]) == 8
    assert shop.run("history", "nope").code == 1


def test_the_state_is_shown_pulled_and_rebuilt(shop: Shop) -> None:
    """show is for reading, pull for keeping, rebuild asks or wants --yes."""
    assert shop.run("state", "show").out == "The state is empty: nothing was applied or imported yet.\n"
    shop.applied()
    assert re.search(r"products +products@1 +hash \[products:\] +2 fields", shop.run("state", "show").out)
    assert len(shop.run("state", "show", "--format", "json").data["records"]) == 2
    assert shop.run("state", "pull").data["payload"]["records"]
    assert shop.run("state", "rebuild").code == 64
    before = shop.run("state", "show", "--format", "json").data
    rebuilt = shop.run("state", "rebuild", "--yes", "--format", "json").data
    assert [record["physical"] for record in rebuilt["records"]] == ["categories@1", "products@1"]
    assert rebuilt["lineage"] != before["lineage"]
    assert shop.run("plan", "--detailed-exitcode").code == 0


def test_an_import_takes_indexes_in(shop: Shop) -> None:
    """It writes the schema, and the next plan is empty; what the server hides is listed."""
    shop.applied()
    shop.client.execute_command("FT.CREATE", "legacy", "PREFIX", "1", "l:", "SCHEMA", "t", "TEXT")
    assert "Not managed: legacy; take it in with: rvlstate import legacy" in shop.run("plan").out
    told = shop.run("import", "legacy")
    assert told.code == 0, told.err
    assert "= legacy  wrote indexes/legacy.yaml" in told.out
    assert "legacy.fields.t.phonetic_matcher" in told.out
    assert shop.run("plan", "--detailed-exitcode").code == 0
    assert shop.run("import", "--all", "--format", "json").data == {"imported": []}
    assert "Nothing to import" in shop.run("import", "--all").out


def test_the_graph_of_the_plan(shop: Shop) -> None:
    """Mermaid by default, dot on demand."""
    assert shop.run("graph").out.startswith("flowchart TD\n")
    assert shop.run("graph", "--format", "dot", "--target", "products").out.startswith('digraph "shop" {\n')


def test_the_embedded_server_is_started_looked_at_and_stopped(shop: Shop, server_folder: Path) -> None:
    """By its folder; that of the project must be an embedded one."""
    assert shop.run("server", "status", str(server_folder), "--format", "json").data["running"] is False
    started = shop.run("server", "start", str(server_folder))
    assert started.code == 0, started.err
    assert started.out.startswith("Running: ")
    assert shop.run("server", "status", str(server_folder), "--format", "json").data["running"] is True
    assert shop.run("plan", "--redis-url", f"embedded://{server_folder}").code == 0
    assert shop.run("server", "stop", str(server_folder)).out.startswith("Stopped the server of ")
    assert shop.run("server", "stop", str(server_folder)).out.startswith("No server runs for ")
    other = shop.run("server", "status")
    assert other.code == 64
    assert "no embedded server" in other.err


def test_a_server_that_does_not_answer_is_an_error_not_a_plan(shop: Shop) -> None:
    """Exit 1, and nothing on stdout that looks like a result."""
    told = shop.run("plan", "--redis-url", "redis://127.0.0.1:1", "--format", "json")
    assert (told.code, told.out) == (1, "")


def test_no_output_shows_the_password(shop: Shop) -> None:
    """Not in any form, not in the plan file, not in errors, not in the log."""
    shop.client.execute_command("ACL", "SETUSER", "planner", "on", ">s3cr3t", "~*", "&*", "+@all")
    try:
        url = shop.url.replace("unix://", "unix://planner:s3cr3t@")
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
            told = shop.run("--redis-url", url, *words)
            assert "s3cr3t" not in told.out + told.err, words
        assert "s3cr3t" not in Path("plan.json").read_text()
        assert shop.run("--redis-url", url, "plan", "--detailed-exitcode").code == 0
    finally:
        shop.client.execute_command("ACL", "DELUSER", "planner")


# --- readers who leave, disks that are full ---


def test_a_reader_who_leaves_is_no_error(shop: Shop) -> None:
    """`rvlstate plan | head -1` shows one line and no traceback."""
    line = f"{sys.executable} -m rvlstate.cli.main plan -v | head -1"
    done = subprocess.run(["bash", "-c", line], cwd=shop.folder, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("Project shop on")
    assert done.stderr == ""


def test_an_apply_whose_reader_has_left_is_carried_out(shop: Shop) -> None:
    """Both outputs are closed pipes, and everything is applied all the same, with the exit code of success."""
    outputs = [os.pipe() for _ in range(2)]
    for reader, _ in outputs:
        os.close(reader)
    (_, out), (_, err) = outputs
    with shop.start("apply", "--yes", stdout=out, stderr=err, stdin=subprocess.DEVNULL) as process:
        os.close(out)
        os.close(err)
    assert process.returncode == 0
    assert shop.run("plan", "--detailed-exitcode").code == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_result_that_cannot_be_written_is_an_error(shop: Shop) -> None:
    """A full disk does not look like success."""
    with Path("/dev/full").open("w") as full, shop.start("plan", stdout=full, stderr=subprocess.PIPE) as process:
        _, err = process.communicate()
    assert process.returncode == 1
    assert "stdout: the result cannot be written" in err
    assert "Traceback" not in err


def test_an_output_that_lacks_a_letter_gets_an_escape(shop: Shop) -> None:
    """A terminal in ASCII shows a foreign name escaped instead of crashing."""
    shop.declare("städte", "name:text")
    environ = {**os.environ, "PYTHONIOENCODING": "ascii"}
    with shop.start("plan", stdout=subprocess.PIPE, env=environ) as process:
        out, _ = process.communicate()
    assert process.returncode == 0
    assert "+ st\\xe4dte  (new, as st\\xe4dte@1" in out


def on_terminal(shop: Shop, words: list[str], *, answer: str = "", environ: dict[str, str] | None = None) -> Outcome:
    """Run a command on a terminal of its own, and type the answer once it asks."""
    control, terminal = pty.openpty()
    environ = {**(environ or {**os.environ, "TERM": "xterm-256color"}), "COLUMNS": "110"}
    streams = {"stdin": terminal, "stdout": terminal, "stderr": terminal}
    shown, deadline = "", time.monotonic() + 60
    with shop.start(*words, env=environ, start_new_session=True, preexec_fn=_own_terminal, **streams) as process:
        os.close(terminal)
        while time.monotonic() < deadline:
            if select.select([control], [], [], 0.1)[0]:
                try:
                    shown += os.read(control, 65_536).decode()
                except OSError:  # the other end is closed
                    break
            if answer and "Only yes is taken: " in shown:
                os.write(control, answer.encode())
                answer = ""
        process.wait(timeout=10)
    os.close(control)
    return Outcome(process.returncode, shown, "")


def _own_terminal() -> None:
    """Make the terminal at stdin the one whose keyboard stops this process."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
