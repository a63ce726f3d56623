"""Zenfront: find network architectures without training them, then train the few that matter."""

__version__ = "0.1.0"
