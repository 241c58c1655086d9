"""The CI files that `rvlstate init` writes: which template goes where, and what is filled in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from rvlstate import __version__
from rvlstate.errors import UsageError

TEMPLATES: Final = Path(__file__).parent / "templates"
CiName: TypeAlias = Literal["github", "gitlab", "kubernetes", "cron", "none"]
Place: TypeAlias = Literal["repository", "project"]
CI_NAMES: Final[tuple[CiName, ...]] = ("github", "gitlab", "kubernetes", "cron", "none")

COPIES: Final = (("ci/github-actions.yml", "ci/github-actions.yml"), ("ci/gitlab-ci.yml", "ci/gitlab-ci.yml"))
"""What is written where no CI is named: file of the project, template; nothing runs there."""

PLACES: Final[dict[CiName, tuple[tuple[Place, str, str], ...]]] = {
    "github": (("repository", ".github/workflows/rvlstate.yml", "ci/github-actions.yml"),),
    "gitlab": (
        ("repository", ".gitlab/rvlstate.gitlab-ci.yml", "ci/gitlab-ci.yml"),
        ("repository", ".gitlab-ci.yml", "ci/gitlab-include.yml"),
    ),
    "kubernetes": (
        ("project", "ci/kubernetes-cronjob.yaml", "ci/kubernetes-cronjob.yaml"),
        ("project", "ci/Dockerfile", "ci/Dockerfile"),
    ),
    "cron": (("project", "ci/rvlstate-drift.sh", "ci/rvlstate-drift.sh"), ("project", "ci/crontab", "ci/crontab")),
    "none": (),
}
"""What is written for a CI that is named: below which folder, the file where it takes effect, its template."""

NEXT: Final[dict[CiName, str]] = {
    "github": "GitHub: set the secrets REDIS_URL_READ and REDIS_URL as the first lines of the workflow say.",
    "gitlab": "GitLab: set REDIS_URL_READ, REDIS_URL and GITLAB_TOKEN as the first lines of the file say, and let "
    ".gitlab-ci.yml include it: {local: .gitlab/rvlstate.gitlab-ci.yml}",
    "kubernetes": "Kubernetes: build the image and make the secret as the first lines of the manifest say.",
    "cron": "cron: put REDIS_URL into /etc/rvlstate/env (mode 600), and the lines of ci/crontab into crontab -e.",
    "none": "",
}
_PLAIN: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filling:
    """What stands in the templates: the project's name and its folder within the repository ("": the repository)."""

    project: str
    folder: str = ""

    def fill(self, template: str) -> str:
        """A template's text with everything filled in."""
        text = (TEMPLATES / template).read_text(encoding="utf-8")
        values = {
            "@PROJECT@": self.project,
            "@VERSION@": __version__,
            "@FOLDER@": self.folder or ".",
            "@PREFIX@": f"{self.folder}/" if self.folder else "",
        }
        for mark, value in values.items():
            text = text.replace(mark, value)
        return text


def repository_of(folder: Path) -> Path:
    """The folder of the git repository that a folder is in, else the folder itself."""
    here = folder.resolve()
    return next((above for above in (here, *here.parents) if (above / ".git").exists()), here)


def folder_within(repository: Path, folder: Path, *, strict: bool) -> str:
    """The folder as CI files name it, "" for the repository itself.

    Raises UsageError, or says "" unless `strict`, for a name that would mean something else in YAML, a glob or a shell.
    """
    name = folder.resolve().relative_to(repository).as_posix()
    if name == "." or _PLAIN.fullmatch(name):
        return "" if name == "." else name
    if not strict:
        return ""
    raise UsageError(
        "the name of this folder does not fit into CI files",
        where=name,
        why="It has characters that mean something else in YAML, in patterns of paths or in a shell.",
        next_step="use a folder whose name has letters, digits, dots, dashes and underscores alone.",
    )
