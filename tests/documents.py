"""Documents whose commands are executed: what a reader would type is typed, and what the page shows is compared.

| block      | what the test does with it                                                                          |
|------------|-----------------------------------------------------------------------------------------------------|
| `console`  | runs each line after `$ ` in one shell session; the lines below it are the output, which must agree |
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
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

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
        (r"\bof \S+@[^\s,]+", "of WHO"),
        (r"Redis [\d.]+, search [\d.]+", "VERSIONS"),
        (r"(under |about )?[\d.,]+ (ms|s|min|h)\b", "SECONDS"),
        (r"[\d.,]+ ([KMG]iB|B)\b", "SIZE"),
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
            command, _, output = part.partition("\n")
            while command.endswith("\\"):
                more, _, output = output.partition("\n")
                command = f"{command}\n{more}"
            yield command, output


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
        return done.stdout.replace(str(self.folder), HOME), done.returncode

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
        if not os.environ.get(UPDATE):
            assert blanked(shown) == blanked(output), f"{where}: $ {command}\n{output}"
        return f"$ {command}\n{output}" + ("\n" if output.strip() and shown.endswith("\n\n") else "")

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


def blanked(output: str) -> str:
    """Output without what differs from run to run."""
    for pattern, mark in VOLATILE:
        output = pattern.sub(mark, output)
    return output.strip()


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RVLSTATE_", "REDIS_"))}
    binaries = Path(sys.executable).parent
    return {**kept, "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "100", "NO_COLOR": "1"}
