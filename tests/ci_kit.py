"""Running the jobs of CI files: each step as the forge's runner would, but for pip install and the forge's actions."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from rvlstate.cli.ci_files import Filling

ROOT = Path(__file__).resolve().parents[1]
ACTION = ROOT / ".github" / "actions" / "rvlstate"
PROJECT = "shop"
INSTALL = re.compile(r'^python -m pip install "rvlstate(\[comment\])?==[0-9][^"\s]*"$')
EXPRESSION = re.compile(r"\$\{\{ (.*?) \}\}")
KEPT = ("HOME", "LANG", "TMPDIR", "RVLSTATE_REDIS_SERVER", "NO_PROXY")


def template(name: str, folder: str = "") -> str:
    """A CI template as `rvlstate init` would write it."""
    return Filling(project=PROJECT, folder=folder).fill(f"ci/{name}")


def loaded(name: str, folder: str = "") -> Any:
    """The same, parsed."""
    return yaml.load(template(name, folder), Loader=yaml.BaseLoader)  # noqa: S506 - BaseLoader makes texts alone


def bare_environment(*first: Path) -> dict[str, str]:
    """What a runner's shell has before anything is said: nothing of this process but where programs are."""
    folders = [*map(str, first), str(Path(sys.executable).parent), os.environ["PATH"]]
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return {**kept, "PATH": os.pathsep.join(folders), "COLUMNS": "110"}


def pairs(file: Path) -> dict[str, str]:
    """The lines NAME=VALUE of a file, {} if there is none."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return dict(line.split("=", 1) for line in lines)


@dataclass(slots=True, kw_only=True)
class Ran:
    """How a job ended: exit code of the step that failed (0: none did), what was printed, the job summary."""

    code: int = 0
    out: str = ""
    steps: list[str] = field(default_factory=list)
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)
    summary: str = ""


@dataclass(slots=True, kw_only=True)
class GithubRunner:
    """Runs jobs of a workflow, or the steps of an action, in a checked-out project.

    `values` are the contexts that expressions may name, such as `secrets.REDIS_URL`; any other expression is an error,
    but what is unset is empty. `artifacts` holds what was uploaded: name -> the file's bytes.
    """

    folder: Path
    temp: Path
    values: dict[str, str]
    environ: dict[str, str]
    artifacts: dict[str, bytes] = field(default_factory=dict)
    programs: tuple[Path, ...] = ()

    def job(self, steps: list[dict[str, Any]], defaults: Mapping[str, str] | None = None) -> Ran:
        """Run steps in order; after a failure, only those that ask for it."""
        shutil.rmtree(self.temp, ignore_errors=True)
        self.temp.mkdir(parents=True)
        ran = Ran()
        for step in steps:
            if self._wanted(step.get("if", "success()"), ran):
                self._step(step, ran, defaults or {})
        summary = self.temp / "summary.md"
        ran.summary = summary.read_text(encoding="utf-8") if summary.exists() else ""
        return ran

    def evaluate(self, text: str, ran: Ran) -> str:
        """Text with its expressions filled in; `a || b` takes the first that is not empty."""

        def value(name: str) -> str:
            if match := re.fullmatch(r"steps\.([\w-]+)\.outputs\.([\w-]+)", name):
                return ran.outputs.get(match[1], {}).get(match[2], "")
            if name.startswith(("secrets.", "inputs.", "github.event.")):
                return self.values.get(name, "")
            return self.values[name]

        return EXPRESSION.sub(lambda found: next((v for n in found[1].split(" || ") if (v := value(n))), ""), text)

    def _wanted(self, condition: str, ran: Ran) -> bool:
        if condition in ("success()", "failure()"):
            return (ran.code == 0) == (condition == "success()")
        return ran.code == 0 and all(self._holds(part, ran) for part in condition.split(" && "))

    def _holds(self, part: str, ran: Ran) -> bool:
        match = re.fullmatch(r"([\w.-]+) (==|!=) '([^']*)'", part)
        assert match, f"not understood: {part}"
        return (self.evaluate("${{ " + match[1] + " }}", ran) == match[3]) == (match[2] == "==")

    def _step(self, step: dict[str, Any], ran: Ran, defaults: Mapping[str, str]) -> None:
        if "uses" in step:
            self._use(step["uses"], {key: self.evaluate(text, ran) for key, text in step.get("with", {}).items()})
            return
        if step.get("name") == "Install":
            return
        name = step["name"]
        told, written = self.temp / "output", self.temp / "summary.md"
        told.write_text("")
        environ = {
            **bare_environment(*self.programs),
            **{key: text for key, text in self.environ.items() if key not in ("GITHUB_TOKEN", "GH_TOKEN")},
            "GITHUB_OUTPUT": str(told),
            "GITHUB_STEP_SUMMARY": str(written),
            "RUNNER_TEMP": str(self.temp),
            **{key: self.evaluate(text, ran) for key, text in step.get("env", {}).items()},
        }
        script = self.temp / "step.sh"
        script.write_text(step["run"])
        where = self.evaluate(step.get("working-directory", defaults.get("working-directory", ".")), ran)
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            cwd=self.folder / where,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
        )
        ran.steps.append(name)
        ran.out += done.stdout
        ran.outputs[step.get("id", name)] = pairs(told)
        ran.code = ran.code or done.returncode

    def _use(self, action: str, given: Mapping[str, str]) -> None:
        """What the forge's own actions do, as far as our steps can see it."""
        match action.partition("@")[0]:
            case "actions/upload-artifact":
                path = Path(given["path"])
                assert path.exists() or given["if-no-files-found"] == "ignore"
                if path.exists():
                    self.artifacts[given["name"]] = path.read_bytes()
            case "actions/download-artifact":
                into = Path(given["path"])
                into.mkdir(parents=True)
                (into / "plan.json").write_bytes(self.artifacts[given["name"]])
            case "actions/checkout" | "actions/setup-python":
                pass
            case other:
                raise AssertionError(other)


def scripts_of_github(workflow: Any) -> Iterator[tuple[str, str]]:
    """Every piece of shell of a workflow or an action, with a name."""
    jobs = workflow["jobs"].items() if "jobs" in workflow else [("action", workflow["runs"])]
    for name, job in jobs:
        for step in job["steps"]:
            if "run" in step:
                yield f"{name}/{step['name']}", step["run"]


def scripts_of_gitlab(pipeline: Any) -> Iterator[tuple[str, str]]:
    """Every job's whole script, as GitLab makes one of its lines."""
    for name, job in pipeline.items():
        lines = [*job.get("before_script", []), *job.get("script", [])]
        yield name, "\n".join(lines) + "\n"


def run_gitlab_job(pipeline: Any, name: str, folder: Path, environ: Mapping[str, str], parts: int | None = None) -> Ran:
    """Run a job's script, or its first parts, as GitLab's runner would: one shell, stopped by the first error."""
    base = pipeline[pipeline[name]["extends"]]
    lines = [*base["before_script"], *pipeline[name]["script"][:parts]]
    script = folder.parent / "job.sh"
    script.write_text("set -eo pipefail\n" + "\n".join(line for line in lines if not INSTALL.match(line)) + "\n")
    variables = {**base["variables"], **pipeline[name].get("variables", {})}
    done = subprocess.run(
        ["bash", str(script)],
        cwd=folder,
        env={**bare_environment(), **variables, **environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    return Ran(code=done.returncode, out=done.stdout, steps=[name])


def write_json(path: Path, data: object) -> None:
    """Write data as JSON, with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data), encoding="utf-8")
