"""The project file, `rvlstate.yaml`, with everything that it declares; loading it needs no server."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from rvlstate.errors import SpecError
from rvlstate.files.blame import parse_block
from rvlstate.files.index_settings import SettingsTree, declared_index, settings_tree, unused_default_field
from rvlstate.files.interpolation import expander
from rvlstate.files.not_yet import refuse_not_yet
from rvlstate.files.overlay import with_overlay
from rvlstate.files.redis_url import resolve_url, url_fault
from rvlstate.files.references import check_references, undeclared_names
from rvlstate.files.schema_file import SchemaFile
from rvlstate.files.schema_set import load_schemas
from rvlstate.files.spec import PolicyBlock, ProjectBlock, seconds
from rvlstate.files.suggest import unknown_name
from rvlstate.files.tree import Mapping as Tree
from rvlstate.files.tree import place_of, spec_error
from rvlstate.files.yaml_text import parse_tree, read_text
from rvlstate.model.desired import Desired, DesiredIndex, Policy
from rvlstate.model.hazard import HAZARD_CODES

FILE_NAME = "rvlstate.yaml"
"""The project file's name in a project's folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectFile:
    """A project as loaded; `patterns` are its schema globs, `warnings` what redisvl and we would have looked at.

    `redis_url` may hold a password and is left out of the value's repr; `environment` is "" where none was chosen.
    """

    path: Path
    project: str
    redis_url: str = field(repr=False)
    desired: Desired
    patterns: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    environment: str = ""


def load_project(path: Path, environ: Mapping[str, str], environment: str = "") -> ProjectFile:
    """The project at `path`, a file or its folder, as it is in an environment ("": without an overlay).

    Raises SpecError, NoSchemasError for an empty set, or NotYetError for what a later version does.
    """
    bare, tree = _load(path, environ, environment)
    schemas = load_schemas(bare.path, tree)
    settings = settings_tree(tree, bare.path.parent)
    indexes = _indexes(schemas, settings)
    check_references(indexes, tree)
    undeclared, slips = undeclared_names(tree, schemas)
    desired = replace(
        bare.desired,
        indexes=indexes,
        protected=_chosen(undeclared, protected=True),
        released=_chosen(undeclared, protected=False) if settings.protect_all else None,
    )
    return replace(
        bare,
        desired=desired,
        warnings=(*(warning for schema in schemas.values() for warning in schema.warnings), *slips),
    )


def load_settings(path: Path, environ: Mapping[str, str], environment: str = "") -> ProjectFile:
    """The project file alone, with no index declared: for commands that must work while schema files are broken."""
    return _load(path, environ, environment)[0]


def _load(path: Path, environ: Mapping[str, str], environment: str) -> tuple[ProjectFile, Tree]:
    file = path / FILE_NAME if path.is_dir() else path
    expand = expander(environ)
    tree = parse_tree(_project_text(file), file.as_posix(), expand)
    tree = with_overlay(tree, file, environment, expand)
    block = parse_block(ProjectBlock, tree)
    refuse_not_yet(block, tree)
    project = ProjectFile(
        path=file,
        project=block.project,
        redis_url=_redis_url(block.redis.url, file.parent, tree),
        desired=Desired(project=block.project, policy=_policy(block.policy, tree)),
        patterns=tuple(block.schemas),
        environment=environment,
    )
    return project, tree


def _project_text(file: Path) -> str:
    if not file.exists() and not file.is_symlink():
        raise SpecError("there is no project file", file=file.as_posix(), next_step="rvlstate init writes one.")
    return read_text(file)


def _policy(block: PolicyBlock, tree: Tree) -> Policy:
    for number, code in enumerate(block.allow):
        if code not in HAZARD_CODES:
            place = place_of(tree, ("policy", "allow", number))
            raise unknown_name(
                place, f'unknown hazard "{code}" in policy.allow', code, HAZARD_CODES, key="policy.allow"
            )
    allow = tuple(sorted(set(block.allow)))
    return Policy(
        allow=allow,
        naming=block.naming,
        max_memory_ratio=block.max_memory_ratio,
        settle=seconds(block.settle),
        retain_old=seconds(block.retain_old),
        await_replicas=block.await_replicas,
    )


def _redis_url(url: str, folder: Path, tree: Tree) -> str:
    fault = url_fault(url)
    if fault:
        what, next_step = fault
        raise spec_error(place_of(tree, ("redis", "url")), f"redis.url {what}", key="redis.url", next_step=next_step)
    return resolve_url(url, folder)


def _chosen(undeclared: Mapping[str, bool], *, protected: bool) -> tuple[str, ...]:
    return tuple(sorted(name for name, protection in undeclared.items() if protection is protected))


def _indexes(schemas: dict[str, SchemaFile], settings: SettingsTree) -> tuple[DesiredIndex, ...]:
    unused = unused_default_field(settings, schemas)
    if unused:
        name, path = unused
        place = place_of(settings.defaults, path[1:])
        known = {field for schema in schemas.values() for field in schema.schema.fields}
        raise unknown_name(place, f'defaults.fields.{name}: no index has a field "{name}"', name, known, key=name)
    return tuple(declared_index(schemas[name], settings) for name in sorted(schemas))


def schema_folder(project: ProjectFile) -> Path:
    """The folder in which new schema files are found by the project's first pattern."""
    first = project.patterns[0] if project.patterns else "indexes/*.yaml"
    fixed = itertools.takewhile(lambda part: not any(sign in part for sign in "*?["), Path(first).parent.parts)
    return project.path.parent.joinpath(*fixed)
