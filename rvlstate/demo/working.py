"""What the processes of the demo's last act have in common: they work until their input ends, and report as they go."""

from __future__ import annotations

import select
import signal
import sys
import time
from collections.abc import Callable

REPORT_SECONDS = 0.25


def work(step: Callable[[], None], report: Callable[[], str], pause: float) -> None:
    """Do steps with a pause of so many seconds between two, a line of report now and then, and one at the end.

    Whoever started the process closes its input; if he dies, the system does, so that nothing is left running.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    reported = 0.0
    while not select.select([sys.stdin], [], [], pause)[0]:
        step()
        if time.monotonic() - reported > REPORT_SECONDS:
            reported = time.monotonic()
            _say(report())
    _say(report())


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
