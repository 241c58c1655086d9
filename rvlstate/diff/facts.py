"""Facts: what happened between `before` and `after`, one frozen value per kind of difference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from rvlstate.model.address import field_address, index_address
from rvlstate.model.field import Field, Value


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldAdded:
    """A field is there that was not."""

    index: str
    field: Field

    @property
    def address(self) -> str:
        """Where the difference is."""
        return field_address(self.index, self.field.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldRemoved:
    """A field is gone."""

    index: str
    field: Field

    @property
    def address(self) -> str:
        """Where the difference is."""
        return field_address(self.index, self.field.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldRenamed:
    """A field goes by another name, as `renamed_from` declares; its attributes are compared beside this fact."""

    index: str
    before: Field
    after: Field

    @property
    def address(self) -> str:
        """Where the difference is."""
        return field_address(self.index, self.after.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldRetyped:
    """A field kept its name and became another type."""

    index: str
    before: Field
    after: Field

    @property
    def address(self) -> str:
        """Where the difference is."""
        return field_address(self.index, self.after.name, "type")


@dataclass(frozen=True, slots=True, kw_only=True)
class RenameContradicted:
    """`renamed_from` cannot be meant: the old field is still declared, or two fields claim it."""

    index: str
    field: str
    renamed_from: str

    @property
    def address(self) -> str:
        """Where the difference is."""
        return field_address(self.index, self.field)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeChanged:
    """One attribute of a field has another value."""

    index: str
    field: str
    type: str
    attribute: str
    before: Value
    after: Value

    @property
    def address(self) -> str:
        """Where the difference is."""
        return field_address(self.index, self.field, self.attribute)


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingChanged:
    """One attribute of the index itself has another value."""

    index: str
    setting: str
    before: Value
    after: Value

    @property
    def address(self) -> str:
        """Where the difference is."""
        return index_address(self.index, self.setting)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValuesOutdated:
    """The values of a field are those of an earlier version of its transform."""

    index: str
    field: str
    before: int
    after: int

    @property
    def address(self) -> str:
        """Where the difference is."""
        return field_address(self.index, self.field, "version")


Fact: TypeAlias = (
    FieldAdded
    | FieldRemoved
    | FieldRenamed
    | FieldRetyped
    | RenameContradicted
    | AttributeChanged
    | SettingChanged
    | ValuesOutdated
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All facts about one index, sorted by address, and the addresses whose live value nobody can tell."""

    facts: tuple[Fact, ...] = ()
    unverifiable: tuple[str, ...] = ()
