"""`rvlstate init --ci`: what is written where, and that nothing is overwritten."""

from __future__ import annotations

from pathlib import Path

import pytest
from ci_kit import template
from cli_kit import outcome


def files(folder: Path) -> set[str]:
    """All files below a folder, but git's own."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and ".git/" not in str(path)}


PROJECT_FILES = {"rvlstate.yaml", "indexes/products.yaml", ".gitignore", "rvlstate.schema.json"}


@pytest.mark.parametrize(
    ("words", "written"),
    [
        ([], {"ci/github-actions.yml", "ci/gitlab-ci.yml"}),
        (["--ci", "none"], set()),
        (["--ci", "github"], {".github/workflows/rvlstate.yml"}),
        (["--ci", "gitlab"], {".gitlab/rvlstate.gitlab-ci.yml", ".gitlab-ci.yml"}),
        (
            ["--ci", "cron", "--ci", "kubernetes", "--ci", "cron"],
            {"ci/rvlstate-drift.sh", "ci/crontab", "ci/kubernetes-cronjob.yaml", "ci/Dockerfile"},
        ),
    ],
)
def test_init_writes_the_ci_that_is_asked_for(
    words: list[str], written: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """To where it takes effect, and changes no file that is there; the script can be run."""
    folder = tmp_path / "shop"
    told = outcome(capsys, "init", str(folder), *words)
    assert told.code == 0, told.err
    assert files(folder) == PROJECT_FILES | written
    for name in files(folder):
        (folder / name).write_text("mine")
    assert outcome(capsys, "init", str(folder), *words).out.count("kept ") == len(PROJECT_FILES | written)
    assert {(folder / name).read_text() for name in files(folder)} == {"mine"}
    assert all((folder / name).stat().st_mode & 0o100 for name in written if name.endswith(".sh"))


def test_in_a_repository_workflows_stand_at_its_top(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forges look there alone; the paths in them are those of the project. A .gitlab-ci.yml that is there stays."""
    (tmp_path / ".git").mkdir()
    (tmp_path / ".gitlab-ci.yml").write_text("mine")
    folder = tmp_path / "services" / "shop"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    told = outcome(capsys, "init", "--ci", "github", "--ci", "gitlab", "--ci", "cron")
    assert told.code == 0, told.err
    assert (tmp_path / ".github/workflows/rvlstate.yml").read_text() == template("github-actions.yml", "services/shop")
    assert (tmp_path / ".gitlab/rvlstate.gitlab-ci.yml").read_text() == template("gitlab-ci.yml", "services/shop")
    assert (tmp_path / ".gitlab-ci.yml").read_text() == "mine"
    assert (folder / "ci" / "crontab").exists()
    assert "let .gitlab-ci.yml include it" in told.out


def test_a_folder_that_ci_files_cannot_name_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is written; what does not name it is."""
    (tmp_path / ".git").mkdir()
    folder = tmp_path / 'my "$(shop)"'
    told = outcome(capsys, "init", str(folder), "--ci", "github")
    assert told.code == 64
    assert "does not fit into CI files" in told.err
    assert not folder.exists()
    assert outcome(capsys, "init", str(folder), "--ci", "cron").code == 0
    assert outcome(capsys, "init", str(folder)).code == 0


def test_none_and_another_ci_exclude_each_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A usage error, and nothing is written."""
    assert outcome(capsys, "init", str(tmp_path / "x"), "--ci", "none", "--ci", "cron").code == 64
    assert outcome(capsys, "init", str(tmp_path / "x"), "--ci", "jenkins").code == 64
    assert not (tmp_path / "x").exists()


def test_a_file_where_a_folder_is_to_be_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is not taken for the file that would have been in there."""
    (tmp_path / "indexes").write_text("mine")
    told = outcome(capsys, "init", str(tmp_path))
    assert told.code == 1
    assert f"{tmp_path / 'indexes'} is a file" in told.err
    assert (tmp_path / "indexes").read_text() == "mine"
