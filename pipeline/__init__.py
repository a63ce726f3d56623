"""Zenfront: finds architectures without training them, then trains the few that matter."""

__version__ = "0.1.0"
