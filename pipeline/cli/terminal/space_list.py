"""List the search spaces, with as few imports as that takes: they are most of its time."""

from zenfront import spaces
from zenfront.pipeline.cli.terminal.console import print_table


def list_spaces() -> None:
    """Print all search spaces as a table."""
    rows = []
    for name in spaces.names():
        space = spaces.load(name)
        rows.append([name, len(space.distributions), shown_size(space.size), space.source])
    print_table("Search spaces", ["name", "genes", "points", "source"], rows)


def shown_size(size: int) -> str:
    """Return the number of points of a space for display."""
    return f"{size:,}" if size < 10**15 else f"{size:.3g}"
