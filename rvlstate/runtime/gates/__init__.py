"""The checks of a project, carried out on real indexes: queries counted, neighbours asked for, findings kept."""

from rvlstate.runtime.gates.keeper import GateKeeper

__all__ = ["GateKeeper"]
