"""The linters of CI files; they are installed beside this Python, and none of them asks another host."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TypeAlias

Verdict: TypeAlias = "tuple[int, str]"
"""Exit code and words; 0 means that nothing was found."""


def workflow_schema(path: Path) -> Verdict:
    """A workflow of GitHub, by its schema."""
    return _run("check-jsonschema", "--builtin-schema", "vendor.github-workflows", path)


def action_schema(path: Path) -> Verdict:
    """An action of GitHub, by its schema."""
    return _run("check-jsonschema", "--builtin-schema", "vendor.github-actions", path)


def pipeline_schema(path: Path) -> Verdict:
    """A pipeline of GitLab, by its schema."""
    return _run("check-jsonschema", "--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci", path)


def kubernetes(path: Path) -> Verdict:
    """Manifests of Kubernetes, by its schemas; an unknown key is wrong."""
    return _run("kubernetes-validate", "--strict", path)


def zizmor(path: Path) -> Verdict:
    """A workflow or an action: injections, loose pins, wide permissions, dangerous triggers."""
    return _run("zizmor", "--offline", "--no-config", "--persona", "pedantic", path)


def shellcheck(*paths: Path) -> Verdict:
    """Scripts of a shell."""
    return _run("shellcheck", "--norc", *paths)


def _run(program: str, *words: str | Path) -> Verdict:
    done = subprocess.run(
        [str(Path(sys.executable).parent / program), *map(str, words)],
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr
