"""A process with a real lease that is frozen right before it writes documents, when it has asked for the last time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from document_kit import PROJECT, cast, staged, sweep

from rvlstate.errors import LockLostError
from rvlstate.model.rewrite import Rewrite
from rvlstate.runtime.connect import connect
from rvlstate.runtime.identity import identify
from rvlstate.runtime.lease import Lease
from rvlstate.runtime.lock import acquire

LEASE_SECONDS = 0.6
LOST = 42
REWRITE: Rewrite = staged(cast())


@dataclass(slots=True)
class Freezing:
    """A lease whose holder is frozen once, right after it was told for how long it is certain."""

    lease: Lease
    frozen: bool = False

    @property
    def id(self) -> str:
        """What the lock holds."""
        return self.lease.id

    @property
    def certain_seconds(self) -> float:
        """What was true before the process was frozen."""
        certain = self.lease.certain_seconds
        if not self.frozen:
            self.frozen = True
            os.kill(os.getpid(), signal.SIGSTOP)
            time.sleep(0.1)  # another thread may take the signal, and this one go on for a moment
        return certain


def start(url: str, mode: str) -> subprocess.Popen[bytes]:
    """The process, which is about to freeze."""
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    return subprocess.Popen([sys.executable, __file__, url, mode], env=environ)


def await_frozen(process: subprocess.Popen[bytes]) -> None:
    """Until the process is frozen."""
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)


def run(url: str, mode: Any) -> int:
    """One pass; tells whether the lock was lost."""
    with connect(url) as connection:
        lease = acquire(connection.keys, PROJECT, operation="apply", identity=identify({}), lease_seconds=LEASE_SECONDS)
        try:
            sweep(connection, REWRITE, mode=mode, lease=Freezing(lease), guard=lease.check)
        except LockLostError:
            return LOST
    return 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1], sys.argv[2]))
