"""One schema file and its settings, defaults included, to one declared index."""

from __future__ import annotations

from dataclasses import dataclass

from rvlstate.files.blame import parse_block
from rvlstate.files.field_settings import SHAPE, check_field_settings
from rvlstate.files.schema_definition import definition_from_schema
from rvlstate.files.schema_file import SchemaFile
from rvlstate.files.schema_keys import no_fields
from rvlstate.files.spec import IndexBlock
from rvlstate.files.tree import Entry, Mapping, Path, Scalar, as_mapping, merged, place_of, spec_error
from rvlstate.model.desired import DesiredIndex, FieldSettings

_NOTHING = IndexBlock()


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsTree:
    """The `defaults` and `indexes` of a project file, as written."""

    defaults: Mapping
    indexes: Mapping

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


def settings_tree(tree: Mapping) -> SettingsTree:
    """The settings of a project file."""
    return SettingsTree(
        defaults=as_mapping(tree.get("defaults"), place_of(tree, ("defaults",))),
        indexes=as_mapping(tree.get("indexes"), place_of(tree, ("indexes",))),
    )


def declared_index(schema: SchemaFile, settings: SettingsTree) -> DesiredIndex:
    """The index that a schema file declares, with its settings. Raises SpecError where they contradict each other."""
    tree = settings.of(schema)
    block = _NOTHING if tree is None else parse_block(IndexBlock, tree, ("indexes", schema.name))
    if tree is not None:
        _check(schema, block, tree)
    definition = definition_from_schema(schema.schema, block)
    if not definition.fields:
        raise no_fields(schema.fields_place)
    return DesiredIndex(
        name=schema.name,
        definition=definition,
        source=f"{schema.place.file}:{schema.place.line}",
        depends_on=tuple(dict.fromkeys(block.depends_on)),
        aliases=tuple(dict.fromkeys(block.aliases)),
        renamed_from=block.renamed_from,
        fields=tuple(sorted(_field_settings(block).items())),
        strategy=block.strategy,
        prevent_destroy=block.prevent_destroy,
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


def _field_settings(block: IndexBlock) -> dict[str, FieldSettings]:
    return {
        name: FieldSettings(transform=field.transform, reads=tuple(field.reads), renamed_from=field.renamed_from)
        for name, field in block.fields.items()
        if field.transform or field.reads or field.renamed_from
    }


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


def unused_default_field(settings: SettingsTree, schemas: dict[str, SchemaFile]) -> tuple[str, Path] | None:
    """The first field of `defaults.fields` that no declared index has, with its path; None if all are of use."""
    fields = as_mapping(settings.defaults.get("fields"), settings.defaults.place)
    for name, entry in fields.entries.items():
        if not _declares_shape(entry) and not any(name in schema.schema.fields for schema in schemas.values()):
            return name, ("defaults", "fields", name)
    return None
