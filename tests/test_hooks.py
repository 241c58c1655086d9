"""Hooks: commands of the user's around a cutover, declared in the project file and run as real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from servers import eventually

from rvlstate.errors import GateFailedError, InterruptedRunError, LockLostError, SpecError
from rvlstate.events import Event, StepProgressed
from rvlstate.files.project_file import load_project
from rvlstate.model.desired import Hooks
from rvlstate.plan.effects import HookEnded, RunHook
from rvlstate.plan.operations.run_hook import RunCutoverHook
from rvlstate.runtime import hooks
from rvlstate.runtime.connect import Connection, connect
from rvlstate.runtime.drive import Driver, Told
from rvlstate.runtime.hooks import HookRunner
from rvlstate.runtime.identity import identify
from rvlstate.runtime.lock import acquire, unlock
from rvlstate.runtime.stop import StopRequest

SCHEMA = "version: '0.1.0'\nindex: {name: products}\nfields: [{name: title, type: text}]\n"


def declared(folder: Path, written: str, environ: Mapping[str, str] | None = None) -> Hooks:
    """The hooks of the one index of a project."""
    (folder / "indexes").mkdir(exist_ok=True)
    (folder / "indexes" / "products.yaml").write_text(SCHEMA, encoding="utf-8")
    head = "version: 1\nproject: shop\nredis: {url: redis://h}\nschemas: [indexes/*.yaml]\nindexes:\n  products:\n"
    (folder / "rvlstate.yaml").write_text(head + written, encoding="utf-8")
    (index,) = load_project(folder, environ or {}).desired.indexes
    return index.hooks


@pytest.mark.parametrize(
    ("written", "argv"),
    [
        ("[./check.sh, --strict]", ("./check.sh", "--strict")),
        ("./check.sh --strict", ("./check.sh", "--strict")),
        ("""sh -c 'echo "a b" | wc'""", ("sh", "-c", 'echo "a b" | wc')),
        ('["two words", ""]', ("two words", "")),
        ("null", ()),
        ("[]", ()),
        ('""', ()),
        ("curl -H 'X=${TOKEN} y' $$HOME ${AWAY:-there}", ("curl", "-H", "X=${TOKEN} y", "$$HOME", "${AWAY:-there}")),
        ('[run, "${TOKEN}"]', ("run", "${TOKEN}")),
    ],
)
def test_a_command_is_a_list_or_a_text_that_is_split_like_a_shell_does(
    tmp_path: Path, written: str, argv: tuple[str, ...]
) -> None:
    """Variables stay as they are written: plans show commands, and never what a variable holds."""
    found = declared(tmp_path, "    hooks: {after_cutover: null}\n    checks: []\n", {"TOKEN": "s3cr3t"})
    assert found == Hooks()
    found = declared(tmp_path, f"    hooks:\n      before_cutover: {written}\n", {"TOKEN": "s3cr3t"})
    assert found == Hooks(before_cutover=argv)


@pytest.mark.parametrize(
    ("written", "what"),
    [
        ("before_cutover: 5", "must be a command: a text, or a list of texts"),
        ("before_cutover: [sleep, 5]", "must be a command: a text, or a list of texts"),
        ("after_cutover: ./say 'hello", "cannot be split into arguments: No closing quotation"),
        ("after_cutover: ['', x]", "names no command"),
        ('after_cutover: ["a\\0b"]', "holds a character that no command can be given (NUL)"),
        ("before_cutover: run ${NAME:-a b}", "holds a ${...} that was taken apart: put quotes around it"),
        ("before_cutovr: run", 'unknown key "before_cutovr"'),
        ("before_cutover: run ${MISSING}", "the environment has no variable MISSING"),
    ],
)
def test_what_is_no_command_is_told_with_its_line(tmp_path: Path, written: str, what: str) -> None:
    """At load, long before anything runs."""
    with pytest.raises(SpecError) as refused:
        declared(tmp_path, f"    hooks:\n      {written}\n")
    assert what in str(refused.value)
    assert "rvlstate.yaml:8" in str(refused.value)


@pytest.mark.parametrize("written", ['"${GATE:-}"', '["${GATE:-}", "5"]', '"${GATE:-} --strict"', "${GATE:-}"])
@pytest.mark.parametrize("environ", [{}, {"GATE": ""}, {"GATE": "  "}])
def test_a_gate_does_not_vanish_because_a_variable_holds_nothing(
    tmp_path: Path, written: str, environ: dict[str, str]
) -> None:
    """A hook that is made of a variable is refused where nothing is in it; whoever wants none leaves it out."""
    with pytest.raises(SpecError) as refused:
        declared(tmp_path, f"    hooks:\n      before_cutover: {written}\n", environ)
    assert "${GATE:-} stands for nothing, since GATE is not set, or empty" in str(refused.value)
    assert "for no hook, leave before_cutover out or write []" in str(refused.value)
    found = declared(tmp_path, f"    hooks:\n      before_cutover: {written}\n", {"GATE": "./check.sh"})
    assert found.before_cutover[0] == "${GATE:-}"


OPERATION = RunCutoverHook(
    name="products", hook="before_cutover", argv=("./check.sh", "a b"), before="products@1", after="products@2"
)
LATER = replace(OPERATION, hook="after_cutover")


def failure(operation: RunCutoverHook, ended: HookEnded) -> GateFailedError:
    """The error that a command leads to."""
    flow = operation.flow()
    assert next(flow) == RunHook(
        index="products", hook=operation.hook, argv=operation.argv, before="products@1", after="products@2"
    )
    with pytest.raises(GateFailedError) as failed:
        flow.send(ended)
    return failed.value


def test_before_the_cutover_a_failure_says_that_nothing_was_moved() -> None:
    """With the exit code and the last lines."""
    assert str(failure(OPERATION, HookEnded(code=3, lines=("one", "two")))).splitlines() == [
        "the hook before the cutover of products failed: exit code 3",
        "  It is: ./check.sh 'a b'",
        "  Its last lines:",
        "    one",
        "    two",
        "  Nothing was moved: products goes on to answer from products@1.",
        "  Next: mend that, or change indexes.products.hooks.before_cutover in the project file, and run apply again.",
    ]


def test_after_the_cutover_a_failure_says_that_it_stands_and_how_to_go_back() -> None:
    """The new index serves."""
    error = failure(LATER, HookEnded(code=-9))
    assert error.what == "the hook after the cutover of products failed: it was ended by signal 9"
    assert "It printed nothing." in error.why
    assert "products answers from products@2 already" in error.why
    assert error.next_step.startswith("to go back: rvlstate rollback products. Else, mend that")


def test_the_plan_says_what_will_be_run() -> None:
    """As a hazard with the command, and as a step that asks nothing of the server."""
    (hazard,) = OPERATION.hazards
    assert (hazard.code, "./check.sh 'a b'" in hazard.message) == ("RUNS_USER_CODE", True)
    assert OPERATION.summary == "run the hook before the cutover of products: ./check.sh 'a b'"
    assert (OPERATION.permissions, OPERATION.commands, OPERATION.reversible) == ((), (), False)


# --- real processes ---


class Run:
    """One hook run by a driver that holds the lock of a project; what it told is in `lines`."""

    def __init__(self, connection: Connection, folder: Path, environ: Mapping[str, str] | None = None) -> None:
        self.connection = connection
        self.stop = StopRequest()
        self.events: list[Event] = []
        self.lease = acquire(connection.keys, "shop", operation="apply", identity=identify({}), lease_seconds=2)
        runner = HookRunner(
            project="shop", folder=folder, stop=self.stop, guard=self.lease.check, environ=environ or os.environ
        )
        self.driver = Driver(
            connection, guard=self.lease.check, stop=self.stop, on_event=self.events.append, hooks=runner
        )

    @property
    def lines(self) -> list[str]:
        """What the command printed, as it was told."""
        return [event.note for event in self.events if isinstance(event, StepProgressed)]

    def shell(self, text: str, hook: RunCutoverHook = OPERATION) -> Told:
        """Run a text by a shell as a hook."""
        return self.argv("sh", "-c", text, hook=hook)

    def argv(self, *argv: str, hook: RunCutoverHook = OPERATION) -> Told:
        """Run a command as a hook."""
        return self.driver.drive("s1", replace(hook, argv=argv).flow)


@pytest.fixture
def run(redis_url: str, tmp_path: Path) -> Iterator[Run]:
    """A driver in a folder of its own."""
    with connect(redis_url) as connection:
        running = Run(connection, tmp_path)
        with running.lease:
            yield running


def is_alive(pid: int) -> bool:
    """Whether a process is there, and more than a name in the table."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def pid_in(path: Path) -> int:
    """The process that wrote its number into a file."""
    eventually(lambda: path.exists() and path.read_text(encoding="utf-8").endswith("\n"))
    return int(path.read_text(encoding="utf-8"))


def test_exit_code_0_lets_the_run_go_on(run: Run, tmp_path: Path) -> None:
    """In the folder of the project, with what it is told in variables, and nothing to read."""
    names = ("PROJECT", "INDEX", "PHYSICAL_BEFORE", "PHYSICAL_AFTER", "HOOK")
    told = run.shell("pwd; " + "".join(f'echo "$RVLSTATE_{name}"; ' for name in names) + "wc -c; echo bad >&2")
    assert run.lines[:8] == [
        *(str(tmp_path), "shop", "products", "products@1", "products@2", "before_cutover", "0", "bad")
    ]
    assert told.figures["hook_seconds"] > 0
    assert told.note == "it ended with exit code 0"


def test_a_script_of_the_project_is_found_from_its_folder(run: Run, tmp_path: Path) -> None:
    """`./check.sh` is that beside the project file, wherever rvlstate was called."""
    script = tmp_path / "check.sh"
    script.write_text('#!/bin/sh\necho "$1|$2"\n', encoding="utf-8")
    script.chmod(0o755)
    run.argv("./check.sh", "two words", "$HOME *")
    assert run.lines[0] == "two words|$HOME *"


def test_another_exit_code_stops_the_run(run: Run) -> None:
    """With its last lines, the first ones left out."""
    with pytest.raises(GateFailedError, match="exit code 3") as failed:
        run.shell("seq 30; exit 3")
    assert "  11\n" in failed.value.why
    assert "  10\n" not in failed.value.why
    assert run.lines == [str(number) for number in range(1, 31)]


@pytest.mark.parametrize(
    ("argv", "problem"),
    [
        (("./missing.sh",), "No such file or directory: ./missing.sh"),
        (("no-such-command-anywhere",), "No such file or directory: no-such-command-anywhere"),
        (("./plain",), "Permission denied: ./plain"),
        (("./wrong",), "Exec format error: ./wrong"),
    ],
)
def test_a_command_that_cannot_be_run_is_told(run: Run, tmp_path: Path, argv: tuple[str, ...], problem: str) -> None:
    """It counts as failed."""
    (tmp_path / "plain").write_text("echo", encoding="utf-8")
    (tmp_path / "wrong").write_bytes(b"\x7fELF")
    (tmp_path / "wrong").chmod(0o755)
    with pytest.raises(GateFailedError) as failed:
        run.argv(*argv)
    assert failed.value.what.endswith(f"it cannot be run: {problem}")


def test_a_command_that_prints_much_is_told_whole_and_kept_in_part(run: Run) -> None:
    """Every line is an event, whatever is in it; a line without an end does not fill the memory."""
    with pytest.raises(GateFailedError) as failed:
        run.shell("seq 50000; head -c 3000000 /dev/zero | tr '\\0' x; printf '\\nlast\\033[2J\\377\\r\\n'; exit 1")
    assert run.lines[:50_000] == [str(number) for number in range(1, 50_001)]
    assert run.lines[-1] == "last [2J\N{REPLACEMENT CHARACTER}"
    assert len(failed.value.why) < 20 * 400


def test_a_command_that_is_killed_has_failed(run: Run) -> None:
    """By its signal."""
    with pytest.raises(GateFailedError, match="it was ended by signal 9"):
        run.shell("echo going; kill -9 $$$$")
    assert run.lines == ["going"]


def test_a_command_that_closes_its_output_is_waited_for(run: Run) -> None:
    """Its exit code counts, whenever it comes."""
    with pytest.raises(GateFailedError, match="exit code 4"):
        run.shell("exec >&- 2>&-; sleep 0.5; exit 4")


def test_what_a_command_leaves_in_the_background_does_not_hold_the_run_up(run: Run, tmp_path: Path) -> None:
    """Though it keeps the output open and writes on."""
    began = time.monotonic()
    run.shell("(while sleep 0.01; do echo on; done) & echo $! > pid; echo done")
    assert time.monotonic() - began < 10
    left = pid_in(tmp_path / "pid")
    assert is_alive(left)
    os.kill(left, signal.SIGKILL)


def stop_once_begun(run: Run, folder: Path, reason: str) -> None:
    """Ask a run to stop when its command has begun."""
    pid_in(folder / "pid")
    run.stop.ask(reason)


@pytest.mark.parametrize("text", ["sleep 60 & echo $! > pid; wait", "sleep 60 & echo $! > pid; exec cat /dev/zero"])
def test_a_run_that_is_to_stop_ends_the_command_and_its_children(run: Run, tmp_path: Path, text: str) -> None:
    """SIGTERM is enough for most."""
    stopper = threading.Thread(target=stop_once_begun, args=(run, tmp_path, "SIGINT"))
    stopper.start()
    with pytest.raises(InterruptedRunError, match="stopped on SIGINT"):
        run.shell(text)
    stopper.join()
    assert not is_alive(pid_in(tmp_path / "pid"))


def test_a_command_that_ignores_sigterm_is_killed(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the time that it was given."""
    monkeypatch.setattr(hooks, "GRACE_SECONDS", 0.3)
    stopper = threading.Thread(target=stop_once_begun, args=(run, tmp_path, "SIGTERM"))
    stopper.start()
    with pytest.raises(InterruptedRunError):
        run.shell("trap '' TERM; echo $$$$ > pid; while :; do sleep 0.05; done")
    stopper.join()
    assert not is_alive(pid_in(tmp_path / "pid"))


def test_a_held_run_waits_behind_the_command(run: Run) -> None:
    """A pause does not fill a pipe that nobody reads; it counts when the command has ended."""

    def let_go() -> None:
        eventually(lambda: "3000" in run.lines)
        run.stop.let_go()

    letting = threading.Thread(target=let_go)
    threading.Timer(0.2, lambda: run.stop.hold("ann")).start()
    letting.start()
    run.shell("sleep 0.5; seq 3000")
    letting.join()
    assert run.lines[-2] == "3000"


def test_the_lock_is_kept_meanwhile(run: Run) -> None:
    """A command may take longer than a lease."""
    run.shell("sleep 3")
    run.lease.check()


def test_a_run_that_loses_its_lock_ends_the_command(run: Run, tmp_path: Path) -> None:
    """What comes after it would not be allowed any more."""
    loser = threading.Thread(
        target=lambda: (pid_in(tmp_path / "pid"), unlock(run.connection.keys, "shop", run.lease.id))
    )
    loser.start()
    with pytest.raises(LockLostError):
        run.shell("echo $$$$ > pid; sleep 60")
    loser.join()
    assert not is_alive(pid_in(tmp_path / "pid"))


def test_what_variables_hold_is_put_in_and_never_told(redis_url: str, tmp_path: Path) -> None:
    """Neither by the command's own output nor by the failure; passwords in URLs are hidden as well."""
    environ = {**os.environ, "TOKEN": "s3cr3t-t0ken", "EMPTY": ""}
    with connect(redis_url) as connection:
        run = Run(connection, tmp_path, environ)
        text = 'echo "$0 $1 $2 $3"; echo redis://u:s3cr3t@h; test "$0" = s3cr3t-t0ken || exit 9; exit 5'
        with run.lease, pytest.raises(GateFailedError) as failed:
            run.argv("sh", "-c", text, "${TOKEN}", "${EMPTY:-there}", "$$x", "${NONE:-}")
    assert run.lines == ["*** there $x", "redis://***@h"]
    assert "exit code 5" in failed.value.what
    assert "s3cr3t-t0ken" not in str(failed.value).replace("= s3cr3t-t0ken", "")


PROGRAM = """
import sys
from pathlib import Path
from rvlstate.errors import InterruptedRunError
from rvlstate.plan.effects import RunHook
from rvlstate.runtime.hooks import HookRunner
from rvlstate.runtime.stop import stoppable
with stoppable() as stop:
    runner = HookRunner(project="shop", folder=Path(sys.argv[1]), stop=stop, guard=lambda: None)
    try:
        runner.run(RunHook(index="a", hook="before_cutover", argv=("sh", "-c", sys.argv[2])), print)
    except InterruptedRunError as error:
        print(error.what)
"""


@pytest.mark.parametrize(
    ("signals", "told"), [((signal.SIGINT,), "stopped on SIGINT"), ((signal.SIGTERM,), "stopped on SIGTERM")]
)
def test_ctrl_c_reaches_the_command_through_rvlstate(tmp_path: Path, signals: tuple[int, ...], told: str) -> None:
    """A real process with its own signal handlers; nothing of the command is left."""
    argv: list[Any] = [sys.executable, "-c", PROGRAM, tmp_path, "sleep 60 & echo $! > pid; wait"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        child = pid_in(tmp_path / "pid")
        for number in signals:
            process.send_signal(number)
        output, _ = process.communicate(timeout=30)
    assert told in output
    assert not is_alive(child)
