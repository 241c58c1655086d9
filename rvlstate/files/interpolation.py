"""Interpolation of `${VAR}` and `${VAR:-default}` in the project file; `$$` stands for one `$`.

A lone `$` that begins neither stays as it is, since JSON paths begin with one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from rvlstate.files.tree import Place, spec_error
from rvlstate.files.yaml_text import Expand

_MARKUP = re.compile(r"\$(?:\$|\{(?P<body>[^}]*)\}|\{)")
_BODY = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<fallback>:-(?P<default>.*))?", re.DOTALL)


def expander(environ: Mapping[str, str]) -> Expand:
    """The function that interpolates a text from `environ`; as in a shell, `:-` also replaces an empty value."""

    def expand(text: str, place: Place) -> str:
        if "$" not in text:
            return text
        return _MARKUP.sub(lambda match: _replacement(match, environ, place), text)

    return expand


def escape(text: str) -> str:
    """The text that interpolation turns into `text`."""
    return re.sub(r"\$(?=[${])", "$$", text)


def _replacement(match: re.Match[str], environ: Mapping[str, str], place: Place) -> str:
    if match.group() == "$$":
        return "$"
    body = _BODY.fullmatch(match["body"] or "")
    if body is None:
        raise spec_error(
            place,
            f"{match.group()} is not understood",
            next_step="write ${NAME} or ${NAME:-default}; for the characters themselves write $${.",
        )
    value = environ.get(body["name"])
    if body["fallback"]:
        return value or body["default"]
    if value is None:
        name = body["name"]
        raise spec_error(
            place,
            f"the environment has no variable {name}",
            next_step=f"set {name}, or write ${{{name}:-default}}.",
        )
    return value
