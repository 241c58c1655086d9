"""Misspelt names: the nearest known one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from rvlstate.errors import SpecError
from rvlstate.files.tree import Place, spec_error


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that looks most like `word`, or None if none does."""
    lower = {name.lower(): name for name in sorted(known, reverse=True)}
    found = difflib.get_close_matches(word.lower(), lower, n=1, cutoff=0.6)
    return lower[found[0]] if found else None


def unknown_name(
    place: Place, what: str, word: str, known: Iterable[str], *, key: str = "", otherwise: str = "remove it."
) -> SpecError:
    """The error about a word that is none of `known`: it says the nearest one, or what else to do if none is near."""
    names = sorted(known)
    near = nearest(word, names)
    hint = f'did you mean "{near}"?' if near else otherwise
    return spec_error(place, what, key=key, why=f"Known: {', '.join(names)}." if names else "", next_step=hint)
