"""The worker behind Sweep and Tidy: passes over the documents of a rewrite, and the end of what they kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import redis

from rvlstate.model.rewrite import Rewrite
from rvlstate.plan.bad_rows import too_many_bad_rows
from rvlstate.plan.effects import Sweep, Tally
from rvlstate.runtime.connect import Connection
from rvlstate.runtime.documents.beside import Beside
from rvlstate.runtime.documents.blueprint import blueprint_of
from rvlstate.runtime.documents.calm import Calm
from rvlstate.runtime.documents.fence import Fence, Holding, fence_of
from rvlstate.runtime.documents.hints import Hints
from rvlstate.runtime.documents.members import Members
from rvlstate.runtime.documents.node import Node
from rvlstate.runtime.documents.originals import Originals
from rvlstate.runtime.documents.pacing import Pacer
from rvlstate.runtime.documents.parts import NO_HINTS, Named, documents_of, hinted_by, parts_of, renames, stager_of
from rvlstate.runtime.documents.reconcile import Quota, Reconciler
from rvlstate.runtime.documents.records import Records
from rvlstate.runtime.documents.sweep import Gate, Pass, Tell
from rvlstate.runtime.documents.tidy import remove_copies, remove_marks
from rvlstate.runtime.documents.topology import is_clustered
from rvlstate.runtime.inspect import inspect_index
from rvlstate.runtime.server_errors import is_unknown_command


class DocumentWorker:
    """Carries out Sweep and Tidy for one project over one connection.

    `guard` raises when `lease` is not ours any more, `pacer` when the run is to stop. `functions` are the user's own
    callables by `module:name`, called by one thread at a time. `tell` is told note, documents done, documents in all
    (0: unknown) and figures, about five times a second. `originals` gets what documents held before they are written.
    """

    def __init__(
        self,
        connection: Connection,
        project: str,
        *,
        lease: Holding,
        guard: Callable[[], None],
        pacer: Pacer,
        functions: Mapping[str, Callable[..., Any]],
        tell: Tell,
        originals: Originals | None = None,
    ) -> None:
        self._connection = connection
        self._project = project
        self._lease = lease
        self._gate = Gate(pacer=pacer, guard=guard)
        self._functions = functions
        self._tell = tell
        self._originals = originals

    def sweep(self, effect: Sweep, hints: Hints | None = None) -> Tally:
        """One pass over all documents; over those that `hints` name alone where that is asked for and certain.

        A rehearsal with more bad rows than allowed raises GateFailedError at its end, with the whole count; a pass that
        writes counts them and goes on: there the index may be gone already, and whoever asked decides.
        Raises StepFailedError when the server has no memory left, CommandRefusedError when it refuses a script, redis
        errors when it stays away, and what `guard` and `pacer` raise. No thread is left running.
        """
        rehearses = effect.mode == "rehearse"
        originals = None if rehearses else self._originals
        beside = self._beside(effect.rewrite)
        blueprint = blueprint_of(effect.rewrite, field_expiry=self._has_field_expiry(), originals=originals is not None)
        search = Node(self._connection, self._connection.search)
        reconciler = Reconciler(
            blueprint=blueprint,
            beside=beside,
            functions=self._functions,
            members=Members(search, effect.members) if effect.members else None,
            originals=originals,
            quota=Quota(effect.user_rows) if rehearses else None,
            before_write=self._gate.before_write,
            fence=self._fence(beside),
        )
        taken = hints.take() if hints is not None else NO_HINTS
        stager = stager_of(
            effect,
            reconciler,
            hinted=hinted_by(taken, hints),
            calm=self._calm(effect.rewrite.target) if renames(effect) else None,
        )
        if effect.hinted and taken.certain and stager is not None:
            named = Named(connection=self._connection, gate=self._gate, batch_size=effect.pace.batch_size)
            return replace(named.reconciled(stager, documents_of(effect, reconciler), taken.keys), hints=taken.received)
        tally = Pass(
            connection=self._connection,
            effect=effect,
            parts=parts_of(effect, reconciler, stager),
            records=self._records(effect.rewrite),
            gate=self._gate,
            tell=self._tell,
        ).run()
        if rehearses and tally.bad > effect.max_bad_rows:
            raise too_many_bad_rows(effect.rewrite.name, tally, effect.max_bad_rows)
        return replace(tally, hints=tally.hints + taken.received)

    def tidy(self, rewrite: Rewrite) -> None:
        """Remove staged copies, digests, progress and the list of bad rows; may be called twice.

        Copies under a new prefix stay: they are the documents. Raises what `guard` and `pacer` raise.
        """
        self._gate.ask()
        beside = self._beside(rewrite)
        if rewrite.stage:
            remove_copies(self._connection, beside, rewrite.stage, admit=self._gate.admit, fence=self._fence(beside))
        if rewrite.promotion or blueprint_of(rewrite, field_expiry=False, originals=False).noted:
            remove_marks(self._connection, beside)
        self._records(rewrite).remove()

    def _calm(self, index: str) -> Calm:
        """Knows when no scan of an index is running."""

        def scanned() -> bool:
            seen = inspect_index(self._connection, index)
            return seen is not None and bool(seen.statistics.indexing)

        return Calm(scanned=scanned, wait=self._gate.wait)

    def _fence(self, beside: Beside) -> Fence:
        return fence_of(self._project, self._lease, self._gate.ask, clustered=beside.clustered)

    def _beside(self, rewrite: Rewrite) -> Beside:
        return Beside(project=self._project, rewrite=rewrite.id, clustered=is_clustered(self._connection))

    def _records(self, rewrite: Rewrite) -> Records:
        return Records(self._connection.keys, self._project, rewrite.id)

    def _has_field_expiry(self) -> bool:
        """Whether fields of a hash may expire on this server (Redis 7.4 and later)."""
        key = self._beside_probe()
        client: Any = self._connection.keys
        try:
            client.execute_command("HPEXPIRETIME", key, "FIELDS", 1, "0")
        except redis.ResponseError as error:
            if not is_unknown_command(error):
                raise
            return False
        return True

    def _beside_probe(self) -> str:
        return f"{{rvlstate:{self._project}}}:probe"
