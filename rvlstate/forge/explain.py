"""Failures of a forge in words: which are a notice because the token may not write, and which are errors."""

from __future__ import annotations

from rvlstate.errors import ForgeError
from rvlstate.forge.failure import ForgeFailure
from rvlstate.forge.target import Target

FORBIDDEN = frozenset({401, 403, 404})
"""How forges say that a token may not write; 404 because they do not tell that there is something."""

CLOSED_WORDS = ("locked", "archived")
"""What a 403 speaks of where no token may write: a locked conversation, an archived repository."""

UNAUTHORISED, MISSING, GONE, UNPROCESSABLE = 401, 404, 410, 422
GRANTS = {
    ("github", "comment"): "grant permissions: pull-requests: write to the job",
    ("github", "status"): "grant permissions: statuses: write to the job",
    ("github", "issue"): "grant permissions: issues: write to the job",
    ("gitlab", "comment"): "set GITLAB_TOKEN to a project access token with the scope api and the role Reporter",
    ("gitlab", "status"): "set GITLAB_TOKEN to a project access token with the scope api and the role Developer",
    ("gitlab", "issue"): "set GITLAB_TOKEN to a project access token with the scope api and the role Reporter",
}


def may_not(failure: ForgeFailure, target: Target) -> bool:
    """Whether a failure only says that this token may not write here: nothing is wrong but its rights."""
    if failure.rate_limited or failure.status not in FORBIDDEN:
        return False
    return failure.writing or target.job_token or failure.status == 403  # noqa: PLR2004


def notice(failure: ForgeFailure | None, target: Target, what: str) -> str:
    """Why a comment or a status was not written, and what would let it be; None if there was no token at all."""
    reason = f" {failure.describe()}" if failure else " There is no token: jobs of a fork get no secrets."
    if failure and any(word in failure.message.lower() for word in CLOSED_WORDS):
        hint = f"That is a setting of {target.place} and no matter of rights: unlock it to have it written."
    elif target.fork:
        hint = "The request comes from a fork, whose jobs may only read."
    elif target.job_token:
        hint = f"The token of a CI job may not do this: {_grant(target, what)}."
    else:
        hint = f"To have it written, {_grant(target, what)}."
    return f"{target.name} did not take the {what} for {target.place}.{_dot(reason)} {hint}"


def error_of(failure: ForgeFailure, target: Target, what: str, longest_wait: float) -> ForgeError:
    """The error that a failure is, with what to do about it."""
    if failure.trouble in ("unreachable", "timeout"):
        return _error(
            f"{target.name} cannot be reached", failure, target, "check the network, a proxy, and run it again."
        )
    if failure.trouble == "nonsense":
        variable = "GITHUB_API_URL" if target.forge == "github" else "CI_API_V4_URL"
        next_step = f"see that {variable} is the address of the API, and that no proxy answers in its place."
        return _error(f"{target.name} did not answer as its API does", failure, target, next_step)
    if failure.rate_limited:
        more = f", or allow more than {longest_wait:.0f} s with --wait" if target.number else ""
        next_step = f"run the job again later{more}."
        return _error(f"{target.name} asks for a longer wait than is allowed", failure, target, next_step)
    return _answered(failure, target, what)


def _answered(failure: ForgeFailure, target: Target, what: str) -> ForgeError:
    if failure.status == UNAUTHORISED:
        return _error(
            f"{target.name} does not know the token", failure, target, f"renew the token, or {_token(target)}"
        )
    if failure.status == MISSING:
        options = "--repository and --pull-request" if target.number else "--repository, and that issues are enabled"
        next_step = f"check {options}; if they are right, {_grant(target, what)}."
        why = "A token that may not read a private repository gets the same answer."
        return _error(f"{target.place} was not found", failure, target, next_step, why)
    if failure.transient:
        return _error(f"{target.name} fails at the moment", failure, target, "run the job again when it is well.")
    refused = f"{target.name} refused the {what} for {target.place}"
    next_step = "report this reply if it is not about the repository's settings."
    if failure.status == UNPROCESSABLE and what == "status":
        next_step = "see that the commit is in the repository."
    if failure.status == GONE and what == "issue":
        next_step = "enable issues in the settings of the repository, or name another one with --repository."
    return _error(refused, failure, target, next_step)


def _error(what: str, failure: ForgeFailure, target: Target, next_step: str, why: str = "") -> ForgeError:
    return ForgeError(
        what, where=target.api, why="\n".join(part for part in (failure.describe(), why) if part), next_step=next_step
    )


def _grant(target: Target, what: str) -> str:
    return GRANTS[target.forge, what]


def _token(target: Target) -> str:
    if target.forge == "github":
        return "use that of the job: env: {GITHUB_TOKEN: ${{ github.token }}}."
    return "see whether the project access token has expired."


def _dot(text: str) -> str:
    return text if text.endswith((".", "...")) else f"{text}."
