"""A process that takes the lock and writes states when told so, for tests that kill or freeze it.

Run as a program it reads one command a line (acquire, release, check, save NAME) and answers each with one
line: `ok` with details, or the name of the error.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from keys_clients import open_keys

from rvlstate.errors import RvlstateError
from rvlstate.model.definition import IndexDefinition
from rvlstate.model.state import Record
from rvlstate.runtime.identity import identify
from rvlstate.runtime.lock import Lease, acquire
from rvlstate.runtime.scripts import KeysClient
from rvlstate.runtime.state_store import StateStore


class HolderProcess:
    """The other end: sends commands to the program and reads its answers."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def send(self, command: str) -> None:
        """Send a command without waiting for its answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{command}\n")
        self.process.stdin.flush()

    def answer(self) -> str:
        """The next answer."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def ask(self, command: str) -> str:
        """Send a command and wait for its answer."""
        self.send(command)
        return self.answer()


@contextmanager
def holder_process(url: str, project: str, *, lease_seconds: float) -> Iterator[HolderProcess]:
    """A running program that answers; killed at the end."""
    command = [sys.executable, __file__, url, project, str(lease_seconds)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            holder = HolderProcess(process)
            assert holder.answer() == "ready"
            yield holder
        finally:
            process.kill()


class Holder:
    """Carries out the commands."""

    def __init__(self, client: KeysClient, project: str, lease_seconds: float) -> None:
        self.client = client
        self.project = project
        self.lease_seconds = lease_seconds
        self.lease: Lease | None = None

    def obey(self, command: str, argument: str) -> str:
        """The answer to one command."""
        if command == "acquire":
            self.lease = acquire(
                self.client,
                self.project,
                operation="apply",
                identity=identify({}),
                lease_seconds=self.lease_seconds,
            )
            return f"ok {self.lease.id} {self.lease.token}"
        if self.lease is None:
            return "nothing held"
        if command == "save":
            store = StateStore(self.client, self.project)
            record = Record(name=argument, physical=f"{argument}@1", definition=IndexDefinition())
            return f"ok {store.save(store.load().with_record(record), self.lease).serial}"
        if command == "release":
            self.lease.release()
        else:
            assert command == "check"
            self.lease.check()
        return "ok"


def main(url: str, project: str, lease_seconds: str) -> None:
    """Answer commands until the input ends."""
    with open_keys(url) as client:
        holder = Holder(client, project, float(lease_seconds))
        print("ready", flush=True)
        for line in sys.stdin:
            command, _, argument = line.strip().partition(" ")
            try:
                answer = holder.obey(command, argument)
            except RvlstateError as error:
                answer = type(error).__name__
            print(answer, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
