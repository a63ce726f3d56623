"""Architectures in rows: their genes, and the check that an id is theirs."""

from zenfront.spaces import Architecture

Genes = dict[str, int | float | str]


def read_architecture(space: str, genes: Genes, identity: str) -> Architecture:
    """Return the architecture of a row.

    Raises:
        ValueError: The id in the row is not that of the genes: one of them was changed.
    """
    architecture = Architecture(space, tuple(genes.items()))
    if architecture.id != identity:
        raise ValueError(f"id: must be that of the genes, {architecture.id!r}, but got {identity!r}")
    return architecture
