"""Documents whose commands are executed: what a reader would type is typed, and what the page shows is compared.

| block      | what the test does with it                                                                          |
|------------|-----------------------------------------------------------------------------------------------------|
| `console`  | runs each line after `$ ` (and `> `) in one shell session; below it is the output, which must agree; |
|            | a line `...` stands for any lines                                                                   |
| `diff`     | applies it with `patch -p0`, as the edit that the text asks for                                     |
| `python`   | runs it as a program                                                                                |
| `yaml`     | with a first line `# path`: must be part of that file                                               |

Figures that differ from run to run (times, sizes, hashes, paths) are blanked on both sides before they are compared.
`RVLSTATE_UPDATE_DOCS=1 make test ARGS="tests/test_readme.py tests/test_examples.py"` writes the present output into
the pages instead, to be reviewed by eye.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from servers import discard_all

from rvlstate.runtime.identity import identify

ROOT = Path(__file__).resolve().parents[1]
UPDATE = "RVLSTATE_UPDATE_DOCS"
HOME = "/home/ann"
"""Stands in the pages for the folder in which the test works."""

FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)

VOLATILE = tuple(
    (re.compile(pattern), mark)
    for pattern, mark in (
        (r"(?m)^\s*\d+/\d+ .*(indexed|scanned)$\n?", ""),  # how often progress is told depends on the time
        (r"(?m)^\s*basis: .*$", "basis: BASIS"),
        (r"sha256:[0-9a-f]+", "sha256:HASH"),
        (r"\b[0-9a-f]{12}\b", "RUN"),
        (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z?", "TIME"),
        (r"pid \d+", "pid PID"),
        (r"serial \d+", "serial SERIAL"),
        (r"Redis [\d.]+, search [\d.]+", "VERSIONS"),
        (r"integer x [\d.]+", "integer x SCALE"),  # chosen from a random sample
        (r"(under |about )?[\d.,]+\s+(ms|s|min|h)\b", "SECONDS"),
        (r"[\d.,]+\s+([KMG]iB|B)\b", "SIZE"),
        (r"\s+", " "),  # lines are wrapped according to the width of what was blanked
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block of a page: its language, its text, and the line where it begins."""

    language: str
    body: str
    line: int

    def commands(self) -> Iterator[tuple[str, str]]:
        """The commands of a console block, each with the output that is shown below it."""
        for part in re.split(r"^\$ ", self.body, flags=re.MULTILINE)[1:]:
            first, *lines = part.splitlines(keepends=True)
            more = list(takewhile(lambda line: line.startswith("> "), lines))
            yield first.rstrip("\n") + "".join(f"\n{line[2:].rstrip()}" for line in more), "".join(lines[len(more) :])


def blocks_of(page: Path) -> list[Block]:
    """All fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(language=match["language"], body=match["body"], line=text.count("\n", 0, match.start()) + 1)
        for match in FENCE.finditer(text)
    ]


class Reader:
    """Somebody who works through a page in `folder`: one shell session, with rvlstate on its path."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._memory = folder / ".session"
        self._memory.write_text(f"cd {shlex.quote(str(folder))}\n", encoding="utf-8")

    def work_through(self, page: Path) -> None:
        """Carry out every block of a page. Raises AssertionError with the line of the first that fails."""
        written = page.read_text(encoding="utf-8")
        for block in blocks_of(page):
            told = self._carry_out(block, f"{page.name}:{block.line}")
            if told is not None:
                written = written.replace(f"```console\n{block.body}```", f"```console\n{told}```")
        if os.environ.get(UPDATE):
            page.write_text(written, encoding="utf-8")

    def type(self, command: str) -> tuple[str, int]:
        """The output and the exit code of a command; folder and variables last from one to the next."""
        remember = f'code=$?; {{ export -p; echo "cd \\"$PWD\\""; }} > "{self._memory}"; exit $code'
        script = f'. "{self._memory}"\n{command}\n{remember}\n'
        done = subprocess.run(
            ["bash", "-c", script],
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
        )
        return self._anonymous(done.stdout), done.returncode

    def _anonymous(self, output: str) -> str:
        """Output as the reader of the pages would see it, who is called Ann."""
        identity = identify({})
        for own, shown in (
            (str(self.folder), HOME),
            (f"{identity.who}@{identity.host}", "ann@laptop"),
            (f"{identity.who} on {identity.host}", "ann on laptop"),
        ):
            output = output.replace(own, shown)
        return output

    def _carry_out(self, block: Block, where: str) -> str | None:
        """The block as it reads with the output of today, None for a block that has no output."""
        match block.language:
            case "console":
                return "".join(self._compared(command, shown, where) for command, shown in block.commands())
            case "diff":
                self._succeed(f"patch -p0 <<'EOF'\n{block.body}EOF", where)
            case "python":
                self._succeed(f"python - <<'EOF'\n{block.body}EOF", where)
            case "yaml":
                self._is_excerpt(block, where)
        return None

    def _compared(self, command: str, shown: str, where: str) -> str:
        output = self._succeed(command, where)
        typed = "$ " + command.replace("\n", "\n> ") + "\n"
        if agrees(shown, output):
            return f"{typed}{shown}"
        assert os.environ.get(UPDATE), f"{where}: {typed}{output}"
        return f"{typed}{output}" + ("\n" if output and shown.endswith("\n\n") else "")

    def _succeed(self, command: str, where: str) -> str:
        output, code = self.type(command)
        assert code == 0, f"{where}: exit code {code}\n$ {command}\n{output}"
        kept = "\n".join(line.rstrip() for line in output.strip("\n").splitlines())
        return f"{kept}\n" if kept else ""

    def _is_excerpt(self, block: Block, where: str) -> None:
        first, _, rest = block.body.partition("\n")
        if first.startswith("# "):
            path, _, _ = first.removeprefix("# ").partition(" ")
            assert rest in (ROOT / path).read_text(encoding="utf-8"), f"{where}: not what {path} says"


@contextmanager
def reader_in(server_root: Path, example: Path, below: str = ".") -> Iterator[Reader]:
    """A reader with a copy of an example at `below`; servers started there are stopped afterwards."""
    folder = server_root / "reader"
    copied = folder / below
    shutil.copytree(example, copied, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    try:
        yield Reader(folder)
    finally:
        discard_all(folder)


def agrees(shown: str, output: str) -> bool:
    """Whether output is what a page shows, where `...` on a line of its own stands for any lines."""
    parts = [re.escape(blanked(part)) for part in re.split(r"^\.\.\.$", shown, flags=re.MULTILINE)]
    return re.fullmatch(" ?.*? ?".join(parts), blanked(output)) is not None


def blanked(output: str) -> str:
    """Output without what differs from run to run."""
    for pattern, mark in VOLATILE:
        output = pattern.sub(mark, output)
    return output.strip()


def _environment() -> dict[str, str]:
    """No more than a reader has who just opened a terminal: nothing that names a server, a CI system or a project."""
    kept = {
        name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR", "RVLSTATE_REDIS_SERVER") if name in os.environ
    }
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**kept, "PATH": path, "COLUMNS": "100", "NO_COLOR": "1"}
