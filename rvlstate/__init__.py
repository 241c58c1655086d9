"""Declarative desired-state reconciler for Redis search indexes."""

__version__ = "0.1.0"
