"""A session: a loaded project with its connection, what is recorded of it, and orders to a run in progress."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal

from rvlstate.checked import checked
from rvlstate.errors import NoSchemasError, UsageError
from rvlstate.events import Event, LockAwaited, OnEvent
from rvlstate.files.project_file import ProjectFile, load_project, load_settings, schema_folder
from rvlstate.files.redis_url import resolve_url
from rvlstate.model.state import State
from rvlstate.runtime import control
from rvlstate.runtime.connect import Connection, connect
from rvlstate.runtime.control import Ordered
from rvlstate.runtime.identity import identify
from rvlstate.runtime.journal import Journal
from rvlstate.runtime.lease import Lease
from rvlstate.runtime.lock import acquire, chosen_lease, unlock
from rvlstate.runtime.lock_info import LockInfo
from rvlstate.runtime.permissions import refuse_onlooker
from rvlstate.runtime.run_report import Event as ToldEvent
from rvlstate.runtime.run_report import RunReport, RunSummary
from rvlstate.runtime.state_store import StateStore
from rvlstate.runtime.stop import StopRequest
from rvlstate.runtime.translate import translated

if TYPE_CHECKING:
    from typing_extensions import Self  # in the standard library from 3.11 on

    from rvlstate.runtime.granting import Grant, Role


def ignore(_event: Event) -> None:
    """Listen to nothing."""


@checked
class Session:
    """A loaded project; connects when it is first asked about the server. A context manager that closes its sockets."""

    def __init__(self, spec: ProjectFile, redis_url: str) -> None:
        self.path = spec.path
        self.environment = spec.environment
        self.redis_url = redis_url
        self.desired = spec.desired
        self.warnings = spec.warnings
        self.schema_folder = schema_folder(spec)
        self._connection: Connection | None = None
        self._closed = False
        self._may_work = False

    @classmethod
    def load(
        cls,
        path: str | Path = "rvlstate.yaml",
        *,
        redis_url: str | None = None,
        environ: Mapping[str, str] | None = None,
        schemas: Literal["required", "optional", "ignored"] = "required",
        env: str = "",
    ) -> Self:
        """Read and check the project file and all schema files. Raises SpecError; does not connect.

        `schemas`: "optional" accepts a set that is still empty (import fills it); "ignored" reads the project file
        alone, for commands that must work while a schema is broken (status, unlock). `env`: the environment, whose
        overlay `rvlstate.<env>.yaml` is laid over the project file.
        """
        variables = os.environ if environ is None else environ
        if schemas == "ignored":
            spec = load_settings(Path(path), variables, env)
        else:
            try:
                spec = load_project(Path(path), variables, env)
            except NoSchemasError:
                if schemas == "required":
                    raise
                spec = load_settings(Path(path), variables, env)
        return cls(spec, resolve_url(redis_url, Path()) if redis_url else spec.redis_url)

    @property
    def name(self) -> str:
        """The name of the project, which also names its state in Redis."""
        return self.desired.project

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close every socket; whatever asks the server afterwards raises UsageError."""
        self._closed = True
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def state(self) -> State:
        """The recorded state. Raises StateError if it cannot be trusted."""
        with self.translated():
            return self.store.load()

    def pull_state(self) -> str:
        """What is stored as the state, as JSON text, damaged or not."""
        with self.translated():
            return self.store.pull()

    def unlock(self, lock_id: str) -> LockInfo:
        """Take the lock away from a holder that is known to be dead; a living one stops at its next step."""
        with self._at_work():
            return unlock(self.connection.keys, self.name, lock_id)

    def pause(self) -> Ordered:
        """Have the run in progress wait at its next safe place. Raises StateError if there is none."""
        with self._at_work():
            return control.pause(self.connection.keys, self.name, identify())

    def resume(self) -> Ordered:
        """Have a paused run go on. Raises StateError if no run is in progress."""
        with self._at_work():
            return control.resume(self.connection.keys, self.name, identify())

    def throttle(self, rate: float) -> Ordered:
        """Limit the run in progress to `rate` documents a second (0: no limit). Raises StateError if there is none."""
        with self._at_work():
            return control.throttle(self.connection.keys, self.name, identify(), rate)

    def abort(self) -> Ordered:
        """Have the run in progress stop as SIGTERM does. Raises StateError if there is none."""
        with self._at_work():
            return control.abort(self.connection.keys, self.name, identify())

    def history(self, limit: int = 20) -> tuple[RunSummary, ...]:
        """The latest runs, newest first."""
        with self.translated():
            return self.journal.list_runs(limit)

    def run(self, run_id: str) -> RunReport | None:
        """The report of one run; None if it is not kept."""
        with self.translated():
            return self.journal.read_run(run_id)

    def run_events(self, run_id: str) -> tuple[ToldEvent, ...]:
        """What one run told while it went on, oldest first, as far as that is kept."""
        with self.translated():
            return self.journal.run_events(run_id)

    def grants(self, roles: tuple[Role, ...] = (), *, documents: bool = True) -> tuple[Grant, ...]:
        """Users with just the rights that this project needs, as lines of ACL SETUSER; nothing is changed.

        All roles unless some are named; `documents` False: without what changes documents. Raises
        PermissionMissingError.
        """
        from rvlstate.runtime.granting import grants_for

        with self.translated():
            return grants_for(self.connection, self.desired, self.store.load(), roles, documents=documents)

    def translated(self) -> AbstractContextManager[None]:
        """Within it, what the connection raises comes as an error of rvlstate."""
        return translated(self.connection)

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        """Within it something is written about a run; the user may do all that this needs."""
        with self.translated():
            self._refuse_lacking()
            yield

    def _refuse_lacking(self) -> None:
        """Ask once what the user may do to lock, state and journal: half a script would be worse than none."""
        if not self._may_work:
            refuse_onlooker(self.connection, self.name)
            self._may_work = True

    @property
    def connection(self) -> Connection:
        """The connection, made when first needed. Raises ServerUnreachableError, EmbeddedServerError, UsageError."""
        if self._closed:
            raise UsageError(f"the project {self.name} is closed", next_step="load it again: Project.load(...).")
        if self._connection is None:
            self._connection = connect(self.redis_url)
        return self._connection

    @property
    def store(self) -> StateStore:
        """Where the state is kept."""
        return StateStore(self.connection.keys, self.name)

    @property
    def journal(self) -> Journal:
        """Where runs are written down."""
        return Journal(self.connection.keys, self.name)

    def lease(self, operation: str, timeout: float, stop: StopRequest, on_event: OnEvent) -> Lease:
        """The lock on the state, waited for up to `timeout` seconds.

        Raises LockHeldError, InterruptedRunError, and PermissionMissingError before anything is written.
        """
        self._refuse_lacking()
        return acquire(
            self.connection.keys,
            self.name,
            operation=operation,
            identity=identify(),
            timeout=timeout,
            lease_seconds=chosen_lease(os.environ),
            on_wait=lambda info: on_event(LockAwaited(holder=info.describe())),
            sleep=stop.pause,
        )
