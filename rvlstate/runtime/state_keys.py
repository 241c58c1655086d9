"""The keys of a project in Redis: one hash tag for all, so that a script may touch several of them on a cluster.

None is a hash or a JSON document: an index over hashes with an empty prefix would take it for a document (measured).
"""

from __future__ import annotations

from dataclasses import dataclass

PROJECTS = "rvlstate:projects"
"""Set: the projects that keep a state on this server, so that none takes another's index for nobody's."""


@dataclass(frozen=True, slots=True)
class StateKeys:
    """The names of all keys of one project."""

    project: str

    @property
    def tag(self) -> str:
        """What all keys of the project begin with; it decides their slot."""
        return f"{{rvlstate:{self.project}}}"

    @property
    def state(self) -> str:
        """String: a line of JSON about the state, then the state itself."""
        return f"{self.tag}:state"

    @property
    def lock(self) -> str:
        """String with an expiry: the holder of the lease, as JSON."""
        return f"{self.tag}:lock"

    @property
    def fence(self) -> str:
        """String: the fencing token that was given out last; it outlives the lock, and only grows."""
        return f"{self.tag}:fence"

    @property
    def control(self) -> str:
        """String: orders to a run in progress."""
        return f"{self.tag}:control"

    @property
    def events(self) -> str:
        """Stream: what runs told, the oldest dropped first."""
        return f"{self.tag}:events"

    @property
    def history(self) -> str:
        """List: ids of runs, newest first."""
        return f"{self.tag}:history"

    def run(self, run_id: str) -> str:
        """String: the report of one run, as JSON."""
        return f"{self.tag}:run:{run_id}"
