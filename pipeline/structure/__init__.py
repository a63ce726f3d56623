"""Structure of architectures as numbers: their genes, and counts of the graph of their network."""

from zenfront.pipeline.structure.describer import Describer

__all__ = ["Describer"]
