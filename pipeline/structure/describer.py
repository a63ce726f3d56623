"""Genes and counts of the traced graph of architectures, remembered per architecture."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.structure.genes import gene_row
from zenfront.pipeline.structure.graph import COLUMNS, graph_row
from zenfront.spaces import Architecture, Space, Task


@dataclass(frozen=True, eq=False)
class Describer:
    """Describes the architectures of a space for a task; each is traced once.

    Attributes:
        space: Space of the architectures.
        task: Shape of the images and number of outputs.
    """

    space: Space
    task: Task
    _rows: dict[Architecture, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict, repr=False)

    def describe(self, architectures: Sequence[Architecture]) -> dict[str, np.ndarray]:
        """Return the blocks ``genes`` and ``graph``, (n, d) each.

        A count of the graph is NaN if the network cannot be built for the task, or has a layer that cannot be traced.
        """
        rows = [self._row(architecture) for architecture in architectures]
        return {"genes": np.array([genes for genes, _ in rows]), "graph": np.array([graph for _, graph in rows])}

    def _row(self, architecture: Architecture) -> tuple[np.ndarray, np.ndarray]:
        if architecture not in self._rows:
            self._rows[architecture] = (gene_row(self.space, architecture), self._graph(architecture))
        return self._rows[architecture]

    def _graph(self, architecture: Architecture) -> np.ndarray:
        shape = (self.task.channels, self.task.height, self.task.width)
        try:
            return graph_row(self.space.network(architecture, self.task), shape)
        except (UserError, NotImplementedError):
            return np.full(len(COLUMNS), np.nan)
