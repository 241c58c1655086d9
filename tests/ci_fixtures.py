"""The fixture of the workflow's tests; a test module says `pytest_plugins = (..., "ci_fixtures")`."""

from __future__ import annotations

from pathlib import Path

import pytest
from ci_hub import PROGRAMS, Hub, write_project
from ci_kit import GithubRunner
from cli_kit import Cli
from forge_kit import github_job
from forge_server import ForgeServer


@pytest.fixture
def hub(cli: Cli, forge_host: ForgeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """A pull request that declares two indexes, on a server that has none."""
    monkeypatch.setenv("REDIS_URL", cli.url)  # for what the tests do themselves; no job inherits it
    write_project(cli)
    outside = tmp_path / "forge"
    outside.mkdir()
    environ = github_job(forge_host, outside)
    answers = outside / "answers"
    environ |= {"FORGE_ANSWERS": str(answers), "FORGE_TOKEN": forge_host.token}
    runner = GithubRunner(
        folder=cli.folder,
        temp=outside / "temp",
        values={
            "secrets.REDIS_URL_READ": cli.url,
            "secrets.REDIS_URL": cli.url,
            "github.token": forge_host.token,
            "runner.temp": str(outside / "temp"),
        },
        environ=environ,
        programs=(PROGRAMS,),
    )
    return Hub(cli, forge_host, runner, answers)
