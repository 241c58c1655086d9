"""The operations: what a step of a plan can be. One file each; the union is closed."""

from __future__ import annotations

from typing import TypeAlias

from rvlstate.plan.operations.add_fields import AddFields
from rvlstate.plan.operations.await_build import AwaitBuild
from rvlstate.plan.operations.base import Operation
from rvlstate.plan.operations.create_index import CreateIndex
from rvlstate.plan.operations.drop_alias import DropAlias
from rvlstate.plan.operations.drop_index import DropIndex
from rvlstate.plan.operations.give_up_rewrite import GiveUpRewrite
from rvlstate.plan.operations.hold_cutover import HoldCutover
from rvlstate.plan.operations.keep_old import KeepOld
from rvlstate.plan.operations.point_alias import PointAlias
from rvlstate.plan.operations.promote_documents import PromoteDocuments
from rvlstate.plan.operations.record_index import ForgetIndex, RecordIndex
from rvlstate.plan.operations.rehearse_rewrite import RehearseRewrite
from rvlstate.plan.operations.restore_documents import FinishRollback, RestoreDocuments
from rvlstate.plan.operations.rewrite_documents import RewriteDocuments
from rvlstate.plan.operations.run_hook import RunCutoverHook
from rvlstate.plan.operations.settle_documents import SettleDocuments
from rvlstate.plan.operations.stage_documents import StageDocuments
from rvlstate.plan.operations.take_baseline import TakeBaseline
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
    | GiveUpRewrite
    | TakeBaseline
    | RehearseRewrite
    | RewriteDocuments
    | StageDocuments
    | HoldCutover
    | KeepOld
    | RunCutoverHook
    | PromoteDocuments
    | SettleDocuments
    | RestoreDocuments
    | FinishRollback
)

__all__ = [
    "AddFields",
    "AnyOperation",
    "AwaitBuild",
    "CreateIndex",
    "DropAlias",
    "DropIndex",
    "FinishRollback",
    "ForgetIndex",
    "GiveUpRewrite",
    "HoldCutover",
    "KeepOld",
    "Operation",
    "PointAlias",
    "PromoteDocuments",
    "RecordIndex",
    "RehearseRewrite",
    "RestoreDocuments",
    "RewriteDocuments",
    "RunCutoverHook",
    "SettleDocuments",
    "StageDocuments",
    "TakeBaseline",
    "TakeName",
    "VerifyIndex",
]
