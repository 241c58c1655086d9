"""What `rvlstate init` writes: a project that loads, in a folder where nothing is overwritten."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from rvlstate.errors import SpecError
from rvlstate.files.project_file import load_project
from rvlstate.files.samples import SAMPLES, write_samples


def test_the_samples_are_a_project_that_loads(tmp_path: Path) -> None:
    """In a new folder, whose name becomes the project's."""
    folder = tmp_path / "My Shop"
    samples = write_samples(folder)
    assert [sample.path.relative_to(folder).as_posix() for sample in samples] == [*SAMPLES, ".gitignore"]
    assert {sample.outcome for sample in samples} == {"written"}
    project = load_project(folder, {})
    assert project.project == "my-shop"
    assert project.redis_url == f"embedded://{folder}/.rvlstate/redis"
    assert [index.name for index in project.desired.indexes] == ["products"]
    assert project.desired.indexes[0].prevent_destroy
    assert project.warnings == ()


def test_the_commented_keys_of_the_sample_are_right(tmp_path: Path) -> None:
    """With its comments taken away, the sample still has no key that is unknown or of another type."""
    write_samples(tmp_path)
    path = tmp_path / "rvlstate.yaml"
    lines = path.read_text(encoding="utf-8").splitlines()
    shown = [line.replace("    # ", "    ", 1) if line.startswith("    # ") else line for line in lines]
    path.write_text("\n".join(shown), encoding="utf-8")
    for name, field in (("categories", "name"), ("products", "headline")):
        schema = f"version: '0.1.0'\nindex: {{name: {name}}}\nfields: [{{name: {field}, type: text}}]\n"
        (tmp_path / "indexes" / f"{name}.yaml").write_text(schema, encoding="utf-8")
    index = load_project(tmp_path, {}).desired.index("products")
    assert index is not None
    assert (index.depends_on, index.renamed_from) == (("categories",), "goods")
    assert index.definition.filter == "@price > 0"


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """A second time all files are kept, whatever is in them."""
    write_samples(tmp_path)
    path = tmp_path / "rvlstate.yaml"
    path.write_text("mine", encoding="utf-8")
    assert {sample.outcome for sample in write_samples(tmp_path)} == {"kept"}
    assert path.read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    ("before", "after", "outcome"),
    [
        (b"*.pyc\n", b"*.pyc\n.rvlstate/\n", "extended"),
        (b"*.pyc", b"*.pyc\n.rvlstate/\n", "extended"),
        (b"", b".rvlstate/\n", "extended"),
        (b"\xff\n", b"\xff\n.rvlstate/\n", "extended"),
        (b"/.rvlstate\n*.pyc\n", b"/.rvlstate\n*.pyc\n", "kept"),
    ],
)
def test_the_folder_of_the_server_is_ignored(before: bytes, after: bytes, outcome: str, tmp_path: Path) -> None:
    """An existing .gitignore gets one line at its end, unless it has it."""
    path = tmp_path / ".gitignore"
    path.write_bytes(before)
    assert write_samples(tmp_path)[-1].outcome == outcome
    assert path.read_bytes() == after


def test_the_workflow_plans_applies_and_looks_for_drift(tmp_path: Path) -> None:
    """It is YAML, with one job for each; apply runs on the main branch only, and one at a time."""
    write_samples(tmp_path)
    workflow = yaml.safe_load((tmp_path / ".github" / "workflows" / "rvlstate.yml").read_text(encoding="utf-8"))
    commands = {
        name: [step["run"] for step in job["steps"] if step.get("run", "").startswith("rvlstate")]
        for name, job in workflow["jobs"].items()
    }
    assert commands == {
        "plan": ["rvlstate validate", "rvlstate plan --format markdown > plan.md"],
        "apply": ["rvlstate apply --yes --lock-timeout 300"],
        "drift": ["rvlstate drift"],
    }
    assert workflow["jobs"]["apply"]["if"] == "github.event_name == 'push'"
    assert workflow["jobs"]["apply"]["concurrency"]["cancel-in-progress"] is False


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A file in the way of a folder is an error with the path."""
    (tmp_path / "indexes").write_text("", encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        write_samples(tmp_path)
    assert str(caught.value) == f"{tmp_path}/indexes: cannot be written: File exists"


def test_init_needs_no_heavy_library() -> None:
    """Writing samples imports neither redisvl nor redis nor pydantic."""
    code = "import sys, rvlstate.files.samples; print({'redisvl', 'redis', 'pydantic', 'yaml'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
