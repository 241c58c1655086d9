"""What the user's own code does to the process that runs it: where it prints, how it ends, what it leaves changed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from cli_kit import Cli, Outcome, on_terminal

from rvlstate.errors import SpecError
from rvlstate.plan.effects import HookEnded, RunHook
from rvlstate.runtime.hooks import HookRunner
from rvlstate.runtime.stop import StopRequest
from rvlstate.runtime.user_code import user_functions

pytest_plugins = ("cli_fixtures",)

APPLY = ("apply", "--yes", "--allow", "RUNS_USER_CODE", "--allow", "REWRITES_DOCUMENTS")


def write(folder: Path, text: str) -> Path:
    """A project's folder with a module `mine`."""
    (folder / "mine.py").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def backfill(cli: Cli) -> Cli:
    """A project whose next apply computes `band` by `mine:band` for 20 documents; what that does is the test's."""
    for number in range(20):
        cli.client.hset(f"products:{number}", mapping={"title": f"shoe {number}", "price": number})
    cli.applied()
    with (cli.folder / "rvlstate.yaml").open("a") as file:
        file.write("indexes: {products: {fields: {band: {transform: 'mine:band', reads: [price]}}}}\n")
    cli.declare("products", "title:text", "price:numeric", "band:tag")
    return cli


def carried_out(cli: Cli, code: str, *words: str) -> Outcome:
    """Apply with this code, as a process of its own."""
    write(cli.folder, code)
    with cli.start(*APPLY, *words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            out, err = process.communicate(timeout=120)
        finally:
            process.kill()
    return Outcome(process.returncode, out, err)


PRINTS = """
import ctypes, os, subprocess, sys
print("at import")
class Band:
    def __call__(self, prices):
        print("by print")
        os.write(1, b"by its number\\n")
        subprocess.run(["echo", "by another program"], check=True)
        ctypes.CDLL(None).printf(b"by C code\\n")
        sys.__stdout__.write("by the stream of before\\n")
        print("a progress bar 10%", end="\\r", file=sys.stderr)
        return ["low" for _ in prices]
    def close(self):
        print("at the end", end="")
band = Band
"""
PRINTED = ("at import", "by print", "by its number", "by another program", "by C code", "by the stream of before")


def test_what_the_users_code_prints_goes_to_stderr(backfill: Cli) -> None:
    """Whatever it prints with: stdout holds the JSON of the report alone."""
    told = carried_out(backfill, PRINTS, "--format", "json")
    assert told.code == 0, told.err
    assert told.data["result"] == "done"
    assert all(line in told.err for line in (*PRINTED, "at the end"))


def test_the_json_log_stays_json(backfill: Cli) -> None:
    """Each line that the user's code prints, to either stream, is a note."""
    told = carried_out(backfill, PRINTS, "--format", "json", "--log-format", "json")
    assert told.code == 0, told.err
    assert told.data["result"] == "done"
    events = [json.loads(line) for line in told.err.splitlines()]
    notes = {event["text"] for event in events if event["event"] == "note"}
    assert notes >= {*PRINTED, "a progress bar 10%", "at the end"}
    assert events[-1]["event"] == "run_finished" or events[-1]["event"] == "note"


def test_a_terminal_stays_whole(backfill: Cli) -> None:
    """Lines of the user's scroll by above the bar, and the cursor is shown again."""
    write(backfill.folder, PRINTS)
    shown = on_terminal(backfill, list(APPLY))
    assert shown.code == 0, shown.out
    assert "by print" in shown.out
    assert shown.out.rindex("\x1b[?25h") > shown.out.rindex("by print")
    assert "Applied: " in shown.out


ENDS = {
    "os._exit(0)": "os._exit(0)",
    "sys.exit()": "sys.exit()",
    "raise SystemExit(0)": "raise SystemExit(0)",
    "a panic": "raise type('PanicException', (BaseException,), {})('a panic')",
}


@pytest.mark.parametrize("name", ENDS)
@pytest.mark.parametrize("where", ["at import", "in a call"])
def test_code_that_ends_the_process_is_a_failure(backfill: Cli, name: str, where: str) -> None:
    """It is told with the user's traceback, never by exit code 0, and the next apply goes on."""
    body = f"    {ENDS[name]}\n" if where == "in a call" else "    return ['low' for _ in prices]\n"
    code = f"import os, sys\ndef band(prices):\n{body}" + ("" if where == "in a call" else f"{ENDS[name]}\n")
    told = carried_out(backfill, code)
    assert told.code in (1, 3), told.err
    assert "mine.py" in told.err or "mine:band raised" in told.err
    assert carried_out(backfill, "def band(prices): return ['low' for _ in prices]\n").code == 0


def test_a_thread_of_the_users_cannot_end_the_run_well(backfill: Cli) -> None:
    """The process is gone then, and its exit code is that of a failure."""
    told = carried_out(
        backfill,
        "import os, threading\ndef band(prices):\n"
        "    thread = threading.Thread(target=os._exit, args=(0,)); thread.start(); thread.join()\n"
        "    return ['low' for _ in prices]\n",
    )
    assert told.code == 1
    assert "the user's code ended the process in the middle: os._exit(0)" in told.err
    assert backfill.client.hget("products:1", "band") is None


def test_processes_that_the_users_code_forks_end_as_they_like(backfill: Cli) -> None:
    """What keeps rvlstate's own process from ending is not theirs."""
    told = carried_out(
        backfill,
        "import os\ndef band(prices):\n    child = os.fork()\n    if not child: os._exit(7)\n"
        "    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7\n    return ['low' for _ in prices]\n",
    )
    assert told.code == 0, told.err
    assert backfill.client.hget("products:1", "band") == b"low"


def test_a_pool_of_processes_works(backfill: Cli) -> None:
    """Of processes that begin anew: one that is forked while other threads hold locks may wait for ever."""
    told = carried_out(
        backfill,
        "import multiprocessing\ndef grade(price): return 'low' if float(price) < 10 else 'high'\n"
        "def band(prices):\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool: return pool.map(grade, prices)\n",
    )
    assert told.code == 0, told.err
    assert backfill.client.hget("products:1", "band") == b"low"


def test_a_thread_that_is_left_running_does_not_hold_the_process(backfill: Cli) -> None:
    """It is named, waited for a little, and left behind; the exit code is that of the run."""
    told = carried_out(
        backfill,
        "import threading\nthreading.Thread(target=threading.Event().wait, name='poller').start()\n"
        "def band(prices): return ['low' for _ in prices]\n",
    )
    assert told.code == 0
    assert "warning: a thread that was left running is not waited for any longer: poller" in told.err


CHANGES = """
import os, signal, threading
import numpy as np
IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGCHLD)

def change():
    os.chdir("/")
    np.seterr(all="raise")
    if threading.current_thread() is threading.main_thread():
        for number in IGNORED:
            signal.signal(number, signal.SIG_IGN)

class Changes:
    def __init__(self): change()
    def __enter__(self): change(); return self
    def __call__(self, column): change(); return column
    def __exit__(self, *error): change()

change()
"""


def test_the_process_is_as_it_was_after_each_piece_of_the_users_code(tmp_path: Path) -> None:
    """Import, set-up, call, tear-down: working directory, signal handlers and numpy's settings are put back."""
    write(tmp_path, CHANGES)
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGCHLD)

    def seen() -> list[object]:
        return [os.getcwd(), np.geterr(), *(signal.getsignal(number) for number in numbers)]  # noqa: PTH109

    before = seen()
    with user_functions(tmp_path, ["mine:Changes"]) as functions:
        assert seen() == before
        assert functions["mine:Changes"](["a"]) == ["a"]
        assert seen() == before
    assert seen() == before


def test_a_hook_that_fails_is_heard_of_where_the_parent_ignores_its_children(tmp_path: Path) -> None:
    """Every command seems to end with 0 then, and a gate would let everything pass."""
    runner = HookRunner(project="shop", folder=tmp_path, stop=StopRequest(), guard=lambda: None)
    hook = RunHook(index="a", hook="before_cutover", argv=("sh", "-c", "exit 3"), before="a@1", after="a@2")
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        told: list[HookEnded] = []
        thread = threading.Thread(target=lambda: told.append(runner.run(hook, lambda _: None)))
        thread.start()
        thread.join()
        assert "SIGCHLD is ignored" in told[0].problem
        assert runner.run(hook, lambda _: None).code == 3
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_a_relative_metrics_file_survives_another_folder(backfill: Cli) -> None:
    """Where the user's code goes somewhere else while the file is written."""
    told = carried_out(
        backfill,
        "import os\nos.chdir('/')\ndef band(prices):\n    os.chdir('/')\n    return ['low' for _ in prices]\n",
        "--metrics-file",
        "m.prom",
    )
    assert told.code == 0, told.err
    assert 'last_run_result{command="apply",project="shop",result="done"} 1.0' in (
        backfill.folder / "m.prom"
    ).read_text(encoding="utf-8")


def test_outside_of_the_users_code_a_process_is_ended_as_ever(tmp_path: Path) -> None:
    """The guard goes with the callables, and never holds another program's own end up."""
    write(tmp_path, "def f(column): return column\n")
    real = os._exit
    with user_functions(tmp_path, ["mine:f"]):
        assert os._exit is not real
    assert os._exit is real


def test_the_keyboard_is_not_the_users(tmp_path: Path) -> None:
    """A second Ctrl-C in the middle of a call is told as such, not as a bad document."""
    write(
        tmp_path, "def f(column): raise KeyboardInterrupt\nclass C:\n    def __init__(self): raise KeyboardInterrupt\n"
    )

    def call() -> NoReturn:
        with user_functions(tmp_path, ["mine:f"]) as functions:
            functions["mine:f"]([])
        pytest.fail("called")

    with pytest.raises(KeyboardInterrupt):
        call()
    with pytest.raises(KeyboardInterrupt), user_functions(tmp_path, ["mine:C"]):
        pytest.fail("set up")


def test_a_set_up_that_exits_is_told(tmp_path: Path) -> None:
    """With the line of the user's code."""
    write(tmp_path, "import os\nclass C:\n    def __init__(self): os._exit(0)\n")
    with pytest.raises(SpecError, match="mine:C cannot be set up") as caught, user_functions(tmp_path, ["mine:C"]):
        pytest.fail("set up")
    assert "os._exit(0) was called" in caught.value.why
