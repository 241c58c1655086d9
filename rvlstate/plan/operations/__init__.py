"""The operations: what a step of a plan can be. One file each; the union is closed."""

from __future__ import annotations

from typing import TypeAlias

from rvlstate.plan.operations.add_fields import AddFields
from rvlstate.plan.operations.await_build import AwaitBuild
from rvlstate.plan.operations.base import Operation
from rvlstate.plan.operations.create_index import CreateIndex
from rvlstate.plan.operations.drop_alias import DropAlias
from rvlstate.plan.operations.drop_index import DropIndex
from rvlstate.plan.operations.point_alias import PointAlias
from rvlstate.plan.operations.record_index import ForgetIndex, RecordIndex
from rvlstate.plan.operations.take_name import TakeName
from rvlstate.plan.operations.verify_index import VerifyIndex

AnyOperation: TypeAlias = (
    CreateIndex
    | AwaitBuild
    | VerifyIndex
    | PointAlias
    | TakeName
    | DropAlias
    | DropIndex
    | AddFields
    | RecordIndex
    | ForgetIndex
)

__all__ = [
    "AddFields",
    "AnyOperation",
    "AwaitBuild",
    "CreateIndex",
    "DropAlias",
    "DropIndex",
    "ForgetIndex",
    "Operation",
    "PointAlias",
    "RecordIndex",
    "TakeName",
    "VerifyIndex",
]
