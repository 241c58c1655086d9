"""Declarative desired-state reconciler for Redis search indexes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rvlstate.errors import RvlstateError
    from rvlstate.events import Event
    from rvlstate.plan.drift import Drift
    from rvlstate.plan.plan import Plan
    from rvlstate.project import Project
    from rvlstate.runtime.admit import ApplyOptions
    from rvlstate.runtime.outcome import Report

__version__ = "0.1.0"
__all__ = ["ApplyOptions", "Drift", "Event", "Plan", "Project", "Report", "RvlstateError", "__version__"]

_HOMES = {
    "ApplyOptions": "rvlstate.runtime.admit",
    "Drift": "rvlstate.plan.drift",
    "Event": "rvlstate.events",
    "Plan": "rvlstate.plan.plan",
    "Project": "rvlstate.project",
    "Report": "rvlstate.runtime.outcome",
    "RvlstateError": "rvlstate.errors",
}


def __getattr__(name: str) -> Any:
    """A public name, from its module once it is asked for: `import rvlstate` loads nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """The public names."""
    return sorted(__all__)
