"""One schema file and its settings, defaults included, to one declared index."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rvlstate.files import spec
from rvlstate.files.blame import parse_block
from rvlstate.files.field_settings import SHAPE, check_field_settings
from rvlstate.files.hook_settings import declared_hooks
from rvlstate.files.schema_definition import definition_from_schema
from rvlstate.files.schema_file import SchemaFile
from rvlstate.files.schema_keys import no_fields
from rvlstate.files.spec import IndexBlock
from rvlstate.files.suggest import unknown_name
from rvlstate.files.transform_checks import check_transforms
from rvlstate.files.transform_steps import read_steps
from rvlstate.files.tree import Entry, Mapping, Scalar, as_mapping, merged, node_at, place_of, spec_error
from rvlstate.files.tree import Path as TreePath
from rvlstate.model.check import Check, KnnCheck, QueryCheck
from rvlstate.model.definition import IndexDefinition
from rvlstate.model.desired import DesiredIndex, FieldSettings
from rvlstate.model.field import VectorField
from rvlstate.model.transform import TransformStep

_NOTHING = IndexBlock()


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsTree:
    """The `defaults` and `indexes` of a project file, as written, and the folder that it is in."""

    defaults: Mapping
    indexes: Mapping
    folder: Path

    @property
    def protect_all(self) -> bool:
        """Whether the defaults protect every index from deletion."""
        node = self.defaults.get("prevent_destroy")
        return isinstance(node, Scalar) and node.value is True

    def of(self, schema: SchemaFile) -> Mapping | None:
        """The settings of an index with the defaults beneath; None if neither says anything."""
        entry = self.indexes.entries.get(schema.name)
        if entry is None and not self.defaults.entries:
            return None
        own = as_mapping(entry.value if entry else None, entry.place if entry else self.defaults.place)
        return merged(_for_fields_of(self.defaults, schema, own), own)


def settings_tree(tree: Mapping, folder: Path) -> SettingsTree:
    """The settings of a project file, which lies in `folder`."""
    return SettingsTree(
        defaults=as_mapping(tree.get("defaults"), place_of(tree, ("defaults",))),
        indexes=as_mapping(tree.get("indexes"), place_of(tree, ("indexes",))),
        folder=folder,
    )


def declared_index(schema: SchemaFile, settings: SettingsTree) -> DesiredIndex:
    """The index that a schema file declares, with its settings. Raises SpecError where they contradict each other."""
    tree = settings.of(schema) or Mapping(schema.place)
    block = parse_block(IndexBlock, tree, ("indexes", schema.name)) if tree.entries else _NOTHING
    _check(schema, block, tree)
    definition = definition_from_schema(schema.schema, block)
    if not definition.fields:
        raise no_fields(schema.fields_place)
    fields = _field_settings(block, tree, schema.name)
    check_transforms(schema.name, definition, fields, tree)
    return DesiredIndex(
        name=schema.name,
        definition=definition,
        source=f"{schema.place.file}:{schema.place.line}",
        depends_on=tuple(dict.fromkeys(block.depends_on)),
        aliases=tuple(dict.fromkeys(block.aliases)),
        renamed_from=block.renamed_from,
        fields=fields,
        strategy=block.strategy,
        prevent_destroy=block.prevent_destroy,
        batch_size=block.batch_size,
        max_docs_per_second=block.max_docs_per_second or 0,
        max_bad_rows=block.max_bad_rows,
        backup=block.backup or "",
        cutover=block.cutover,
        hooks=declared_hooks(tree, schema.name),
        checks=_checks(block, definition, tree, schema.name),
    )


def _check(schema: SchemaFile, block: IndexBlock, tree: Mapping) -> None:
    types = {name: str(getattr(field.type, "value", field.type)) for name, field in schema.schema.fields.items()}
    check_field_settings(block, tree, schema.name, types, schema.schema.index.storage_type.value)
    if block.definition.max_text_fields and block.definition.no_fields:
        raise spec_error(
            place_of(tree, ("definition", "max_text_fields")),
            f"indexes.{schema.name}.definition has both max_text_fields and no_fields",
            key=f"indexes.{schema.name}.definition.max_text_fields",
            why="Together they crash the server when it indexes the first document.",
            next_step="remove one of them.",
        )


def _field_settings(block: IndexBlock, tree: Mapping, name: str) -> tuple[tuple[str, FieldSettings], ...]:
    """The settings of fields that say how values come about, sorted by name."""
    found = {
        field: FieldSettings(
            transform=_steps(tree, field, name),
            reads=tuple(settings.reads),
            renamed_from=settings.renamed_from,
            version=settings.version,
        )
        for field, settings in block.fields.items()
    }
    return tuple((field, found[field]) for field in sorted(found) if found[field] != FieldSettings())


def _steps(tree: Mapping, field: str, name: str) -> tuple[TransformStep, ...]:
    node = node_at(tree, ("fields", field, "transform"))
    return () if node is None else read_steps(node, f"indexes.{name}.fields.{field}.transform")


def _checks(block: IndexBlock, definition: IndexDefinition, tree: Mapping, name: str) -> tuple[Check, ...]:
    """The gates; those of neighbours must be about a field of vectors."""
    vectors = [field.name for field in definition.fields if isinstance(field, VectorField)]
    found: list[Check] = []
    for number, check in enumerate(block.checks):
        if isinstance(check, spec.QueryCheck):
            found.append(QueryCheck(query=check.query, compare=check.compare))
            continue
        if check.knn not in vectors:
            key = f"indexes.{name}.checks[{number}].knn"
            place = place_of(tree, ("checks", number, "knn"))
            what = f'{key}: the index "{name}" has no field of vectors "{check.knn}"'
            raise unknown_name(place, what, check.knn, vectors, key=key)
        found.append(KnnCheck(knn=check.knn, samples=check.samples, k=check.k, min_overlap=check.min_overlap))
    return tuple(found)


def _for_fields_of(defaults: Mapping, schema: SchemaFile, own: Mapping) -> Mapping:
    """The defaults without settings of fields that this index lacks: `defaults.fields` means those that have it."""
    fields = defaults.get("fields")
    if not isinstance(fields, Mapping):
        return defaults
    named = as_mapping(own.get("fields"), own.place).entries
    kept = {
        name: entry
        for name, entry in fields.entries.items()
        if name in schema.schema.fields or name in named or _declares_shape(entry)
    }
    entry = Entry(defaults.entries["fields"].place, Mapping(fields.place, kept))
    return Mapping(defaults.place, {**defaults.entries, "fields": entry})


def _declares_shape(entry: Entry) -> bool:
    kind = entry.value.get("type") if isinstance(entry.value, Mapping) else None
    return isinstance(kind, Scalar) and kind.value == SHAPE


def unused_default_field(settings: SettingsTree, schemas: dict[str, SchemaFile]) -> tuple[str, TreePath] | None:
    """The first field of `defaults.fields` that no declared index has, with its path; None if all are of use."""
    fields = as_mapping(settings.defaults.get("fields"), settings.defaults.place)
    for name, entry in fields.entries.items():
        if not _declares_shape(entry) and not any(name in schema.schema.fields for schema in schemas.values()):
            return name, ("defaults", "fields", name)
    return None
