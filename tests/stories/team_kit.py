"""A team at work: clones of one repository, pull requests with a CI that checks out and runs, a machine with cron."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from acl_kit import PASSWORD, send
from ci_kit import bare_environment
from cli_kit import Outcome
from forge_kit import github_job
from forge_server import COMMIT, ForgeServer
from servers import EmbeddedServer

PROGRAM = "rvlstate"
NOBODY = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
"""Git as it is without the settings of whoever runs the tests."""


def git(folder: Path, *words: str) -> str:
    """What git prints, which must succeed."""
    people = {"NAME": folder.name, "EMAIL": f"{folder.name}@shop.example"}
    named = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in people.items()}
    environ = {**bare_environment(), **NOBODY, **named}
    done = subprocess.run(["git", *words], cwd=folder, env=environ, text=True, capture_output=True, check=False)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout.strip()


@dataclass(frozen=True, slots=True)
class Clone:
    """Somebody's clone of the repository."""

    folder: Path

    def begin(self, branch: str) -> None:
        """A branch from what is on main now."""
        git(self.folder, "fetch", "-q")
        git(self.folder, "switch", "-q", "--no-track", "-c", branch, "origin/main")

    def revert(self, merge: str) -> None:
        """Commit the opposite of a merge."""
        git(self.folder, "revert", "--no-edit", "--mainline", "1", merge)

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace the one place of a text in a file."""
        path = self.folder / file
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, text
        path.write_text(text.replace(old, new), encoding="utf-8")

    def add(self, file: str, text: str) -> None:
        """Write at the end of a file."""
        with (self.folder / file).open("a", encoding="utf-8") as opened:
            opened.write(text)

    def push(self, message: str = "") -> str:
        """Commit what was edited, if that is not done already, and push; the commit."""
        if message:
            git(self.folder, "add", "--all")
            git(self.folder, "commit", "-q", "-m", message)
        git(self.folder, "push", "-q", "origin", "HEAD")
        return git(self.folder, "rev-parse", "HEAD")


@dataclass(slots=True)
class Team:
    """The repository, Redis with its users, and what the CI keeps: the plan file of each commit.

    A forge of the tests knows one pull request; so each pull request has a forge of its own.
    """

    home: Path
    server: EmbeddedServer
    client: Any
    plans: dict[str, bytes] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def clone(self, person: str) -> Clone:
        """A clone for somebody; the repository is made for the first one."""
        if not (self.home / "shop.git").exists():
            git(self.home, "init", "-q", "--bare", "-b", "main", "shop.git")
        git(self.home, "clone", "-q", "shop.git", person)
        return Clone(self.home / person)

    def by_hand(self, line: str) -> None:
        """What somebody types into redis-cli."""
        self.client.execute_command(*line.split())

    def url(self, user: str) -> str:
        """The address for one of the users plan, drift and apply, or for the administrator."""
        return self.server.url if user == "admin" else self.server.url.replace("://", f"://shop-{user}:{PASSWORD}@")

    def run(self, folder: Path, *words: str, user: str = "", **environ: str) -> Outcome:
        """Run the program in a folder, with no more in its environment than the address for a user."""
        with self.start(folder, *words, user=user, **environ) as process:
            out, err = process.communicate(timeout=60)
        return Outcome(process.returncode, out, err)

    def start(self, folder: Path, *words: str, user: str = "", **environ: str) -> subprocess.Popen[str]:
        """The same, without waiting for its end."""
        known = {**bare_environment(), **({"REDIS_URL": self.url(user)} if user else {}), **environ}
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen([PROGRAM, *words], cwd=folder, env=known, text=True, **streams)  # type: ignore[call-overload,no-any-return]

    def permit(self, folder: Path) -> None:
        """The administrator makes the users that the declared indexes need."""
        printed = self.run(folder, "acl", user="admin")
        assert printed.code == 0, printed.err
        for line in printed.out.splitlines():
            send(self.client, line)
        for role in ("plan", "drift", "apply"):
            send(self.client, f"ACL SETUSER shop-{role} >{PASSWORD}")

    def check_out(self, commit: str) -> Path:
        """A fresh checkout, as every job begins with one."""
        folder = self.home / f"runner-{next(self.numbers)}" / "shop"
        git(self.home, "clone", "-q", "--no-checkout", "shop.git", str(folder))
        git(folder, "switch", "-q", "--detach", commit)
        return folder

    def plan(self, request: ForgeServer, commit: str) -> tuple[Outcome, Outcome | None]:
        """The job of a pull request: plan, keep the file, comment; the second without an address of Redis."""
        folder = self.check_out(commit)
        planned = self.run(folder, "plan", "--out", "plan.json", "--detailed-exitcode", "--format", "json", user="plan")
        if not (folder / "plan.json").exists():
            return planned, None
        self.plans[commit] = (folder / "plan.json").read_bytes()
        job = forge_job(request, folder.parent, commit)
        return planned, self.run(folder, "comment", "--plan", "plan.json", "--status", **job)

    def merge(self, branch: str) -> str:
        """The forge merges a branch into main; the commit of the merge."""
        folder = self.check_out("origin/main")
        git(folder, "merge", "-q", "--no-ff", "-m", f"Merge {branch}", f"origin/{branch}")
        git(folder, "push", "-q", "origin", "HEAD:main")
        return git(folder, "rev-parse", "HEAD")

    def apply(self, merged: str, reviewed: str) -> Outcome:
        """The job after a merge: the plan file that the CI kept of the reviewed commit is carried out."""
        folder = self.check_out(merged)
        (folder / "plan.json").write_bytes(self.plans[reviewed])
        return self.run(folder, "apply", "plan.json", "--yes", "--lock-timeout", "60", user="apply")


def forge_job(request: ForgeServer, folder: Path, commit: str) -> dict[str, str]:
    """What GitHub Actions tells a job of a pull request whose last commit is this one."""
    variables = github_job(request, folder)
    event = folder / "event.json"
    event.write_text(event.read_text(encoding="utf-8").replace(COMMIT, commit), encoding="utf-8")
    return variables


@contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """A process that is gone once the block is left, however that ends."""
    with process:
        try:
            yield process
        finally:
            process.kill()
