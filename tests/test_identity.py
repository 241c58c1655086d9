"""Who runs this, as CI systems and plain machines tell it."""

from __future__ import annotations

import os
import socket

import pytest

from rvlstate.runtime.clock import duration, iso_utc
from rvlstate.runtime.identity import identify, presentable, redact

GITHUB = {
    "GITHUB_ACTOR": "ada",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "shop/indexes",
    "GITHUB_RUN_ID": "7",
}


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        (GITHUB, "https://github.com/shop/indexes/actions/runs/7"),
        ({"CI_JOB_URL": "https://gitlab.com/shop/-/jobs/7"}, "https://gitlab.com/shop/-/jobs/7"),
        ({"BUILD_URL": "https://jenkins/job/7/"}, "https://jenkins/job/7/"),
        ({"BUILDKITE_BUILD_URL": "https://bk/1", "BUILDKITE_JOB_ID": "x"}, "https://bk/1#x"),
        (
            {"SYSTEM_COLLECTIONURI": "https://dev/", "SYSTEM_TEAMPROJECT": "shop", "BUILD_BUILDID": "7"},
            "https://dev/shop/_build/results?buildId=7",
        ),
        ({"GITHUB_RUN_ID": "7"}, ""),
        ({}, ""),
    ],
)
def test_the_job_is_found_by_its_variables(environ: dict[str, str], url: str) -> None:
    """Each CI system has its own variables; an incomplete set gives no address."""
    assert identify(environ).ci_url == url


def test_the_person_comes_before_the_account() -> None:
    """In CI the actor is named, elsewhere the account; host and process are this one's."""
    assert identify(GITHUB).who == "ada"
    here = identify({})
    assert here.who
    assert (here.host, here.pid) == (socket.gethostname(), os.getpid())


def test_a_token_in_the_address_of_the_job_is_hidden() -> None:
    """What CI puts into an address is not shown to others."""
    assert identify({"BUILD_URL": "https://bot:s3cret@jenkins/7"}).ci_url == "https://***@jenkins/7"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("redis://:p@ss@db:6379/0 and rediss://u:x@c", "redis://***@db:6379/0 and rediss://***@c"),
        ("https://example.com/a@b", "https://example.com/a@b"),
        ("no address", "no address"),
    ],
)
def test_credentials_are_redacted(text: str, shown: str) -> None:
    """User and password of each URL go, the rest stays."""
    assert redact(text) == shown


def test_a_presented_text_is_one_short_harmless_line() -> None:
    """Control characters, line ends and overlong texts do not reach a terminal, nor undecodable bytes Redis."""
    assert presentable("a\x1b[31m\nb\t") == "a [31m b"
    assert len(presentable("x" * 999)) == 300
    presentable("name-\udcff").encode()


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (-1, "0 s"), (99, "99 s"), (100, "1 min"), (7300, "2 h"), (200_000, "2 d")]
)
def test_durations_are_told_in_one_unit(seconds: float, text: str) -> None:
    """The unit grows with the length."""
    assert duration(seconds) == text


def test_instants_are_iso() -> None:
    """Milliseconds become ISO 8601 in UTC; none stays empty."""
    assert iso_utc(1_700_000_000_123) == "2023-11-14T22:13:20Z"
    assert iso_utc(0) == ""
