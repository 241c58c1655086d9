"""The action, the CronJob and the script for cron, executed."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest
import yaml
from ci_kit import ACTION, GithubRunner, Ran, bare_environment, template
from cli_kit import Cli
from forge_kit import github_job
from forge_server import ForgeServer

pytest_plugins = ("cli_fixtures", "forge_fixtures")

needs_flock = pytest.mark.skipif(shutil.which("flock") is None, reason="flock is not on this system")


Drift: TypeAlias = "Callable[..., subprocess.CompletedProcess[str]]"


class Action:
    """The composite action, used in a job of a pull request of a project."""

    def __init__(self, cli: Cli, forge: ForgeServer, outside: Path) -> None:
        self.cli, self.forge = cli, forge
        self.action = yaml.load((ACTION / "action.yml").read_text(), Loader=yaml.BaseLoader)  # noqa: S506
        environ = {**github_job(forge, outside), "GITHUB_ACTION_PATH": str(ACTION)}
        self.runner = GithubRunner(folder=cli.folder, temp=outside / "temp", values={}, environ=environ)
        self.ran = Ran()

    def run(self, command: str, **inputs: str) -> int:
        """Use it with these inputs; the exit code of the job."""
        declared = {name: given.get("default", "") for name, given in self.action["inputs"].items()}
        given = {"redis-url": self.cli.url, **{name.replace("_", "-"): text for name, text in inputs.items()}}
        values = {**declared, "command": command, "token": self.forge.token, **given}
        assert set(values) == set(declared), "an input that is not declared"
        self.runner.values = {f"inputs.{name}": text for name, text in values.items()}
        self.ran = self.runner.job(self.action["runs"]["steps"])
        return self.ran.code

    def outputs(self) -> dict[str, str]:
        """What the action puts out."""
        declared = self.action["outputs"].items()
        return {name: self.runner.evaluate(output["value"], self.ran) for name, output in declared}


@pytest.fixture
def action(cli: Cli, forge_host: ForgeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Action:
    """On a server that has nothing of what is declared."""
    monkeypatch.setenv("REDIS_URL", cli.url)
    file = cli.folder / "rvlstate.yaml"
    file.write_text("version: 1\nproject: shop\nredis: {url: '${REDIS_URL}'}\nschemas: [indexes/*.yaml]\n")
    outside = tmp_path / "forge"
    outside.mkdir()
    return Action(cli, forge_host, outside)


def test_the_action_plans_comments_and_applies_the_file(action: Action) -> None:
    """Plan with a comment, then apply with the file that it put out, then nothing to do; drift at the end."""
    assert action.run("plan", comment="true", status="true") == 0, action.ran.out
    planned = action.outputs()
    assert (planned["exit-code"], planned["has-changes"]) == ("2", "true")
    assert len(action.forge.bodies()) == len(action.forge.statuses) == 1
    assert action.ran.summary == ""
    reviewed = action.cli.folder / "reviewed.json"
    reviewed.write_bytes(Path(planned["plan-file"]).read_bytes())
    assert action.run("apply", plan_file="reviewed.json") == 0, action.ran.out
    assert action.outputs() == {"exit-code": "0", "plan-file": "reviewed.json", "has-changes": "false"}
    assert action.run("plan") == 0
    assert action.outputs()["has-changes"] == "false"
    assert "No changes" in action.ran.summary
    action.cli.client.execute_command("FT.ALTER", "products", "SCHEMA", "ADD", "hand", "TAG")
    assert action.run("drift") == 2
    assert action.outputs() == {"exit-code": "2", "plan-file": "", "has-changes": "true"}
    assert "hand" in action.ran.summary
    assert action.run("drift", fail_on_drift="false") == 0


def test_the_action_refuses_a_stale_plan(action: Action) -> None:
    """Exit code 3, and it is an output too."""
    assert action.run("plan", plan_file="old.json") == 0
    action.cli.applied()
    assert action.run("apply", plan_file="old.json") == 3
    assert action.outputs()["exit-code"] == "3"
    assert action.run("apply", plan_file="missing.json") == 1


def test_a_refused_plan_is_commented_before_the_action_fails(action: Action) -> None:
    """So that the reviewers see why."""
    action.cli.declare("products", "title:text", "vec:vector:4")
    action.cli.applied()
    action.cli.declare("products", "title:text", "vec:vector:8")
    assert action.run("plan", comment="true") == 3
    assert len(action.forge.bodies()) == 1


def test_the_action_works_in_a_folder_and_in_an_environment(action: Action) -> None:
    """With the inputs project, environment and working-directory."""
    below = action.cli.folder / "below"
    below.mkdir()
    (below / "x.yaml").write_text("version: 1\nproject: shop\nschemas: [../indexes/*.yaml]\n")
    (below / "x.prod.yaml").write_text("redis: {url: '${REDIS_URL}'}\n")
    assert (
        action.run("validate", working_directory="below", project="x.yaml", environment="prod", redis_url="redis://x")
        == 0
    )
    assert action.run("plan", working_directory="below", project="x.yaml", environment="prod") == 0, action.ran.out
    assert action.outputs()["has-changes"] == "true"


@pytest.mark.parametrize(
    ("command", "inputs", "code"),
    [("aply", {}, 64), ("plan", {"redis_url": ""}, 1), ("plan", {"redis_url": "redis://127.0.0.1:1"}, 1)],
)
def test_the_action_fails_where_it_should(action: Action, command: str, inputs: dict[str, str], code: int) -> None:
    """An unknown command, a secret that was not given, a server that does not answer."""
    assert action.run(command, **inputs) == code
    assert action.forge.bodies() == []


def test_an_input_is_no_code(action: Action) -> None:
    """What stands in an input is one word, whatever it looks like."""
    mark = action.cli.folder / "run"
    for text in (f"$(touch {mark})", f"`touch {mark}`", f"x; touch {mark}", f"' && touch {mark} #"):
        action.run("plan", project=text, plan_file=text, environment=text, comment="true", lock_timeout=text)
        action.run("apply", plan_file=text, lock_timeout=text)
    assert not mark.exists()


def test_the_cron_job_looks_for_drift(cli: Cli, tmp_path: Path) -> None:
    """Its command, with its project file and its secret: 0, then 2, which is not tried again; 1 is."""
    config, job = yaml.safe_load_all(template("kubernetes-cronjob.yaml"))
    pod = job["spec"]["jobTemplate"]["spec"]
    (container,) = pod["template"]["spec"]["containers"]
    (rule,) = pod["podFailurePolicy"]["rules"]
    assert container["env"][0]["name"] == "REDIS_URL"
    folder = tmp_path / "mounted"
    folder.mkdir()
    for name, text in config["data"].items():
        (folder / name).write_text(text)

    def ran(url: str) -> int:
        return subprocess.run(
            ["rvlstate", *container["args"]],
            cwd=folder,
            env={**bare_environment(), "REDIS_URL": url},
            capture_output=True,
            check=False,
        ).returncode

    cli.applied()
    assert ran(cli.url) == 0
    cli.client.execute_command("FT.ALTER", "products", "SCHEMA", "ADD", "hand", "TAG")
    assert ran(cli.url) in rule["onExitCodes"]["values"]
    assert ran("redis://127.0.0.1:1") not in rule["onExitCodes"]["values"]


@pytest.fixture
def drift(cli: Cli) -> Drift:
    """The script for cron in a project that was applied; call it for its outcome."""
    cli.applied()
    (cli.folder / "rvlstate.yaml").write_text(
        "version: 1\nproject: shop\nredis: {url: '${REDIS_URL}'}\nschemas: [indexes/*.yaml]\n"
    )
    script = cli.folder / "ci" / "rvlstate-drift.sh"
    script.parent.mkdir()
    script.write_text(template("rvlstate-drift.sh"))
    script.chmod(0o755)
    (cli.folder / "env").write_text(f"REDIS_URL='{cli.url}'\n")

    def run(settings: str = "env") -> subprocess.CompletedProcess[str]:
        environ = {**bare_environment(), "RVLSTATE_ENV": str(cli.folder / settings)}
        # As cron starts it: from elsewhere.
        return subprocess.run([script], cwd="/", env=environ, capture_output=True, text=True, check=False)

    return run


@needs_flock
def test_cron_hears_nothing_unless_there_is_drift(drift: Drift, cli: Cli) -> None:
    """No output, no mail; then what was changed, and exit code 2."""
    assert (drift().returncode, drift().stdout, drift().stderr) == (0, "", "")
    cli.client.execute_command("FT.ALTER", "products", "SCHEMA", "ADD", "hand", "TAG")
    told = drift()
    assert told.returncode == 2
    assert "field hand" in told.stdout


@needs_flock
def test_cron_hears_of_errors(drift: Drift, cli: Cli) -> None:
    """No settings, settings without the address, a server that does not answer: 1, and why."""
    (cli.folder / "empty").write_text("")
    (cli.folder / "gone").write_text("REDIS_URL=redis://me:s3cr3t@127.0.0.1:1\n")
    for settings, said in (("none", "cannot be read"), ("empty", "REDIS_URL"), ("gone", "Error: ")):
        told = drift(settings)
        assert told.returncode != 0
        assert said in told.stdout + told.stderr
        assert "s3cr3t" not in told.stdout + told.stderr


@needs_flock
def test_cron_starts_one_at_a_time(drift: Drift, cli: Cli) -> None:
    """One that takes long is not joined by the next, which says so."""
    lock = cli.folder / ".rvlstate" / "drift.lock"
    lock.parent.mkdir(exist_ok=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        told = drift()
    assert (told.returncode, told.stderr) == (1, "rvlstate-drift: the previous one is still at work\n")
    assert drift().returncode == 0


def test_crontab_has_five_times_and_a_command() -> None:
    """Each line is a comment, a variable or an entry."""
    entries = [line for line in template("crontab").splitlines() if line[0] != "#" and "=" not in line.split()[0]]
    assert [entry.split() for entry in entries] == [["17", "*", "*", "*", "*", "/srv/shop/ci/rvlstate-drift.sh"]]
