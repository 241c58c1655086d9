"""The fixtures of the tests of `rvlstate comment`; a test module says `pytest_plugins = ("forge_fixtures",)`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from forge_kit import VARIABLES, Forge, github_job, gitlab_job
from forge_server import ForgeServer, forge_server


@pytest.fixture
def forge_host(monkeypatch: pytest.MonkeyPatch) -> Iterator[ForgeServer]:
    """A forge of its own, and an environment without any CI in it."""
    for name in [name for name in os.environ if name.startswith(VARIABLES)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with forge_server() as running:
        yield running


@pytest.fixture(params=["github", "gitlab"])
def forge(
    request: pytest.FixtureRequest,
    forge_host: ForgeServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Forge:
    """A job for the pull request, on both forges in turn."""
    made = Forge(request.param, forge_host, tmp_path, monkeypatch, capsys)
    for name, value in (github_job if made.name == "github" else gitlab_job)(forge_host, tmp_path).items():
        monkeypatch.setenv(name, value)
    return made


@pytest.fixture
def github(
    forge_host: ForgeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Forge:
    """A job for the pull request on GitHub alone."""
    for name, value in github_job(forge_host, tmp_path).items():
        monkeypatch.setenv(name, value)
    return Forge("github", forge_host, tmp_path, monkeypatch, capsys)


@pytest.fixture
def gitlab(
    forge_host: ForgeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Forge:
    """A job for the merge request on GitLab alone."""
    for name, value in gitlab_job(forge_host, tmp_path).items():
        monkeypatch.setenv(name, value)
    return Forge("gitlab", forge_host, tmp_path, monkeypatch, capsys)
