"""The gatekeeper: answers the effects of checks, and remembers what must outlive an index."""

from __future__ import annotations

from rvlstate.model.check import KnnCheck, QueryCheck
from rvlstate.plan.effects import Findings, Probe
from rvlstate.runtime.connect import Connection
from rvlstate.runtime.documents.topology import is_clustered
from rvlstate.runtime.gates.copies import NO_COPIES, Copies
from rvlstate.runtime.gates.neighbours import Neighbours
from rvlstate.runtime.gates.remembered import Remembered
from rvlstate.runtime.gates.search import Search
from rvlstate.runtime.stop import StopRequest


class GateKeeper:
    """Carries out checks for one project; `stop` is asked before each question to the server."""

    def __init__(self, connection: Connection, project: str, *, stop: StopRequest) -> None:
        self._connection = connection
        self._remembered = Remembered(connection.keys, project)
        self._stop = stop

    def probe(self, effect: Probe) -> Findings:
        """Carry out a check on one index, and keep what was found if its name is given.

        Raises GateFailedError when the server refuses the check's query, or the index is gone.
        """
        findings = self._measure(effect)
        if effect.remember:
            self._remembered.save(effect.remember, findings)
        return findings

    def recall(self, name: str) -> Findings | None:
        """What was kept under a name, `BASELINE/CHECK`; None if nothing was, or it has expired."""
        return self._remembered.load(name)

    def forget(self, baseline: str) -> None:
        """Forget all that was kept for a baseline."""
        self._remembered.forget(baseline)

    def _measure(self, effect: Probe) -> Findings:
        copies = self._copies(effect.stage)
        search = Search(self._connection, effect.index, self._stop, copies)
        match effect.check:
            case QueryCheck(query=query):
                return Findings(count=search.count(query), documents=search.count("*"))
            case KnnCheck() as check:
                asked = Neighbours(
                    connection=self._connection,
                    search=search,
                    definition=effect.definition,
                    check=check,
                    copies=copies,
                )
                return asked.measure(effect.like)

    def _copies(self, stage: str) -> Copies:
        return Copies(stage=stage, clustered=is_clustered(self._connection)) if stage else NO_COPIES
