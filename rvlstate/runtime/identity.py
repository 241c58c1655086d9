"""Who runs this: user, host, process and CI job, as the lock and the history show it to others."""

from __future__ import annotations

import getpass
import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from rvlstate import __version__

LONGEST = 300
"""Characters of a text about the holder that are kept; the rest cannot help a reader."""

ACTORS = (
    "GITHUB_ACTOR",
    "GITLAB_USER_LOGIN",
    "BUILDKITE_BUILD_CREATOR",
    "CIRCLE_USERNAME",
    "BUILD_REQUESTEDFOR",
    "BITBUCKET_STEP_TRIGGERER_UUID",
)
"""Variables by which CI systems name the person; the account of the runner says nothing."""

JOB_TEMPLATES = (
    "{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}/actions/runs/{GITHUB_RUN_ID}",
    "{CI_JOB_URL}",
    "{BUILDKITE_BUILD_URL}#{BUILDKITE_JOB_ID}",
    "{CIRCLE_BUILD_URL}",
    "{SYSTEM_COLLECTIONURI}{SYSTEM_TEAMPROJECT}/_build/results?buildId={BUILD_BUILDID}",
    "https://bitbucket.org/{BITBUCKET_REPO_FULL_NAME}/pipelines/results/{BITBUCKET_BUILD_NUMBER}",
    "{TRAVIS_BUILD_WEB_URL}",
    "{DRONE_BUILD_LINK}",
    "{CI_PIPELINE_URL}",
    "{BUILD_URL}",
)
"""Addresses of the running job, by CI system; the first whose variables are all set is taken (Jenkins is last)."""

CREDENTIALS = re.compile(r"(?<=://)[^\s/]*@")
VARIABLE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A process that works on a project; `ci_url` is "" outside CI."""

    who: str
    host: str
    pid: int
    ci_url: str = ""
    version: str = __version__


def identify(environ: Mapping[str, str] | None = None) -> Identity:
    """The identity of this process, from `environ` (by default that of the process) and the system."""
    known = os.environ if environ is None else environ
    actor = next((known[name] for name in ACTORS if known.get(name)), "")
    return Identity(
        who=presentable(actor or _account()),
        host=presentable(socket.gethostname()),
        pid=os.getpid(),
        ci_url=presentable(_job_url(known)),
    )


def redact(text: str) -> str:
    """`text` with user and password of every URL in it replaced by stars."""
    return CREDENTIALS.sub("***@", text)


def presentable(text: str) -> str:
    """`text` in one short line that a terminal shows as it is: no secrets of URLs, no control characters."""
    line = "".join(letter if letter.isprintable() else " " for letter in redact(text))
    return line.strip()[:LONGEST]


def _account() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container whose user id has no name
        return f"uid {os.getuid()}"


def _job_url(known: Mapping[str, str]) -> str:
    for template in JOB_TEMPLATES:
        names = VARIABLE.findall(template)
        if all(known.get(name) for name in names):
            return template.format_map({name: known[name] for name in names})
    return ""
