"""Finding and opening the project that a command is about."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from rvlstate.cli.options import Globals
from rvlstate.cli.output import note

if TYPE_CHECKING:
    from rvlstate.project import Project
    from rvlstate.views.plan_words import Offer

Schemas: TypeAlias = Literal["required", "optional", "ignored"]
FILE_NAME = "rvlstate.yaml"


def find_project_file(settings: Globals) -> Path:
    """The file that --project names, else the nearest one from here upwards; here if there is none at all."""
    if settings.project:
        return Path(settings.project)
    here = Path.cwd()
    folder = next((folder for folder in (here, *here.parents) if (folder / FILE_NAME).is_file()), here)
    return Path(os.path.relpath(folder / FILE_NAME))


def open_project(settings: Globals, schemas: Schemas = "required") -> Project:
    """The project, loaded and checked as far as `schemas` says (see `Project.load`); its warnings are told."""
    from rvlstate.project import Project

    project = Project.load(find_project_file(settings), redis_url=settings.redis_url, schemas=schemas, env=settings.env)
    settings.log.project = project.name
    for warning in project.warnings:
        note(settings, f"warning: {warning}")
    return project


def offer(
    settings: Globals,
    project: Project,
    *,
    allowed: tuple[str, ...] = (),
    plan_file: str = "",
    postpone: bool = False,
) -> Offer:
    """What the reader of a view may do next."""
    from rvlstate.model.secret import redact_url
    from rvlstate.views.plan_words import Offer

    return Offer(
        program=settings.program,
        allowed=(*allowed, *project.desired.policy.allow),
        plan_file=plan_file,
        server=redact_url(project.redis_url),
        postpone=postpone,
    )
