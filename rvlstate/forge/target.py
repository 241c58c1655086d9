"""Where a plan is to be posted: the forge, the repository, the pull request and the token, as values."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias
from urllib.parse import urlsplit

from rvlstate.errors import ForgeError, UsageError
from rvlstate.views.untrusted import printable

ForgeName: TypeAlias = Literal["github", "gitlab"]
FORGE_WORDS: Final[dict[ForgeName, str]] = {"github": "GitHub", "gitlab": "GitLab"}
REQUEST_WORDS: Final[dict[ForgeName, str]] = {"github": "pull request", "gitlab": "merge request"}
_NUMBER = re.compile(r"[1-9][0-9]{0,17}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the command line says instead of the environment; None or "" for what it does not say.

    `issues`: no pull request is meant, but the issues of the repository.
    """

    forge: ForgeName | None = None
    repository: str = ""
    number: int | None = None
    issues: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One pull request of one repository, or (`number` 0) its issues or its merge queue.

    The token is in no representation of it. `job_token` tells that it is that of the CI job itself on GitLab. `commit`
    is the head of the pull request, "" if the forge has to be asked; `status_repository` is where the pipeline runs,
    which for a fork is another one. `request_url` is the page of the pull request, `job_url` that of the CI job,
    `summary` the file of the job summary; each may be "".
    `user` is whom the token is known to act for without asking, "" if nobody told.
    """

    forge: ForgeName
    api: str
    repository: str
    number: int
    token: str = field(repr=False)
    job_token: bool = False
    commit: str = ""
    status_repository: str = ""
    pipeline: int | None = None
    request_url: str = ""
    job_url: str = ""
    summary: str = ""
    fork: bool = False
    user: str = ""

    @property
    def name(self) -> str:
        """The forge as people call it."""
        return FORGE_WORDS[self.forge]

    @property
    def place(self) -> str:
        """`pull request 5 of owner/name`, or just the repository."""
        return self.repository if not self.number else f"{REQUEST_WORDS[self.forge]} {self.number} of {self.repository}"


def api_url(text: str, variable: str) -> str:
    """The address of an API without user, query or trailing slash. Raises UsageError."""
    try:
        parts = urlsplit(text.strip())
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        parts, port = urlsplit(""), ""
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"{variable} is not the http(s) address of an API", next_step=f"set {variable}, or unset it.")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"


def clean_token(text: str, variable: str) -> str:
    """The token of a variable. Raises ForgeError, which does not show it, if it could be in no header."""
    token = text.strip()
    if not token.isascii() or any(not "!" <= char <= "~" for char in token):
        raise ForgeError(
            "the token holds characters that no token has",
            where=variable,
            why="There is white space in it, or it is not plain ASCII: more than the token was pasted.",
            next_step=f"set {variable} to the token alone.",
        )
    return token


def repository_name(text: str, pattern: re.Pattern[str], form: str) -> str:
    """A repository as it may stand in a path of the API. Raises UsageError."""
    if not pattern.fullmatch(text) or ".." in text.split("/") or "." in text.split("/"):
        raise UsageError(f'"{printable(text)[:100]}" is no repository', next_step=f"--repository {form}")
    return text


def number_of(value: object) -> int | None:
    """The number of a pull request, None for anything else."""
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    return int(text) if _NUMBER.fullmatch(text) else None


def no_number(forge: ForgeName, why: str) -> UsageError:
    """Nobody says which pull request is meant."""
    word = REQUEST_WORDS[forge]
    return UsageError(
        f"it is not known which {word} is meant", why=why, next_step=f"run it in a job of a {word}, or --pull-request N"
    )
