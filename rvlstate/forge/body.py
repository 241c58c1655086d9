"""The text of the sticky comment: a hidden marker, the plan, and what is done to it so that a forge takes it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Final
from urllib.parse import quote

LONGEST_BODY: Final = 65_536
"""Characters of a comment on GitHub; GitLab takes more, and nobody reads more."""

LONGEST_NAME = 100
CUT = "_The rest does not fit into a comment; {job} has the plan file with all of it._"
WEB = ("https://", "http://")
_FENCE = re.compile(r" {0,3}(?P<ticks>`{3,}|~{3,})(?P<rest>.*)")
_QUICK_ACTION = re.compile(r"(\s*)/(?=\w)")
_UNSAFE_URL = re.compile(r"[^A-Za-z0-9:/?#@!$&'*+,;=%._~-]")


@dataclass(frozen=True, slots=True)
class Body:
    """The text of a comment, and whether the plan was cut to fit."""

    text: str
    cut: bool


def marker(project: str, environment: str = "", about: str = "plan") -> str:
    """The first line of a project's comment or issue: an HTML comment that shows nowhere and that no name can end.

    Everything but letters, digits, `_`, `.`, `~` and single hyphens is percent-encoded; a long name is a hash. An
    `environment` ("": none) has a comment of its own.
    """
    names = (project, environment) if environment else (project,)
    name = ":".join(quote(part, safe="", errors="surrogatepass").replace("--", "-%2D") for part in names)
    short = name if len(name) <= LONGEST_NAME else f"sha256:{sha256(name.encode()).hexdigest()}"
    return f"<!-- rvlstate:{about}:{short} -->"


def is_marked(body: str, mark: str) -> bool:
    """Whether a comment begins with a marker; one that quotes it does not."""
    return normalised(body).partition("\n")[0].rstrip() == mark


def normalised(body: str) -> str:
    """A body as forges may change it: line ends, and white space around it."""
    return body.replace("\r\n", "\n").strip()


def compose(mark: str, markdown: str, job_url: str = "", *, longest: int = LONGEST_BODY) -> Body:
    """A comment: its marker and its plan, cut between two lines if it is longer than `longest`."""
    head = f"{mark}\n"
    lines = _without_quick_actions(normalised(markdown).split("\n"))
    whole = head + "\n".join(lines) + "\n"
    if len(whole) <= longest:
        return Body(whole, cut=False)
    job = f"[the job]({_UNSAFE_URL.sub(_quoted, job_url)})" if job_url.startswith(WEB) else "the job"
    end = f"\n{CUT.format(job=job)}\n"
    return Body(head + _cut(lines, longest - len(head) - len(end)) + end, cut=True)


def _cut(lines: list[str], room: int) -> str:
    """As many lines as fit together with what closes the blocks that are open after them."""
    kept, size, open_fence, open_folds = [], 0, "", 0
    for line in lines:
        size += len(line) + 1
        fence, folds = _fence_after(line, open_fence), open_folds
        if not open_fence and not fence:
            folds = max(0, folds + line.count("<details") - line.count("</details>"))
        if size + len(_closing(fence, folds)) > room:
            break
        kept.append(line)
        open_fence, open_folds = fence, folds
    return "".join(f"{line}\n" for line in kept) + _closing(open_fence, open_folds)


def _closing(fence: str, folds: int) -> str:
    return (f"{fence}\n" if fence else "") + "\n</details>\n" * folds


def _fence_after(line: str, fence: str) -> str:
    """The fence that is open after a line, given the one that was open before it; "" for none."""
    found = _FENCE.fullmatch(line)
    if found is None:
        return fence
    ticks, rest = found["ticks"], found["rest"]
    if not fence:
        return "" if ticks[0] == "`" and "`" in rest else ticks
    return "" if ticks.startswith(fence) and not rest.strip() else fence


def _without_quick_actions(lines: list[str]) -> list[str]:
    """The lines with an escaped slash where GitLab would take the line for an order, such as `/merge`."""
    fence, safe = "", []
    for line in lines:
        inside, fence = bool(fence), _fence_after(line, fence)
        safe.append(line if inside or fence else _QUICK_ACTION.sub(r"\1\\/", line, count=1) if _acts(line) else line)
    return safe


def _acts(line: str) -> bool:
    return _QUICK_ACTION.match(line) is not None


def _quoted(found: re.Match[str]) -> str:
    return quote(found.group(0))
