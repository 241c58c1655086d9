"""The variables of a CI job, turned into where a plan is to be posted."""

from __future__ import annotations

from collections.abc import Mapping

from rvlstate.errors import UsageError
from rvlstate.forge.on_github import github_target
from rvlstate.forge.on_gitlab import gitlab_target
from rvlstate.forge.target import ForgeName, Target, Wishes


def find_target(environ: Mapping[str, str], wishes: Wishes) -> Target:
    """Where to post: what was wished, else what the CI environment says. Raises UsageError, ForgeError."""
    match wishes.forge or _forge(environ, wishes):
        case "github":
            return github_target(environ, wishes)
        case "gitlab":
            return gitlab_target(environ, wishes)


def _forge(environ: Mapping[str, str], wishes: Wishes) -> ForgeName:
    """The forge whose CI runs us, else the only one that there are variables of."""
    if environ.get("GITHUB_ACTIONS") == "true":
        return "github"
    if environ.get("GITLAB_CI") == "true":
        return "gitlab"
    github = any(environ.get(name) for name in ("GITHUB_REPOSITORY", "GITHUB_TOKEN", "GH_TOKEN"))
    gitlab = any(environ.get(name) for name in ("CI_PROJECT_ID", "GITLAB_TOKEN", "CI_API_V4_URL"))
    if github == gitlab:
        rest = "--repository" if wishes.issues else "--repository and --pull-request"
        raise UsageError(
            f"it is not known where to {'open an issue' if wishes.issues else 'comment'}",
            why="There are the variables of both GitHub and GitLab."
            if github
            else "This is no job of GitHub or GitLab.",
            next_step=f"add --forge github or --forge gitlab, with {rest}.",
        )
    return "github" if github else "gitlab"
