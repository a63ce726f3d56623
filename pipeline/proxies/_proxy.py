"""What a proxy is."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from zenfront.pipeline.objectives import Direction
from zenfront.spaces import Init

Weights = Literal["none"] | Init
Need = Literal["images", "labels", "gradients"]


@dataclass(frozen=True)
class Batch:
    """One mini-batch.

    Attributes:
        images: (N, C, H, W) float32, normalised; in float64 scores of gradients and ReLU states are taken in float64.
        labels: (N,) int64 classes.
    """

    images: Tensor
    labels: Tensor

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on a device."""
        return replace(self, images=self.images.to(device), labels=self.labels.to(device))


@dataclass(frozen=True)
class Proxy:
    """A number that tells something about a network without training it.

    Attributes:
        name: As in the registry.
        score: (network, batch, generator, **options) -> float, finite; raises `ScoreUndefined(reason)`. The network
            has the weights that `weights` asks for and is left as found; options are keyword-only with defaults.
        unit: Of the value.
        direction: What is usually preferred.
        source: Paper, section, reference code.
        needs: ``images``: real ones, not only their shape; ``labels``; ``gradients``.
        weights: The initialisation under which it is defined; ``none``: a cost, computed on the meta device.
        measured: Whether it measures time, so that it differs from run to run; all others are deterministic.
    """

    name: str
    score: Callable[..., float]
    unit: str
    direction: Direction
    source: str
    needs: frozenset[Need] = frozenset()
    weights: Weights = "default"
    measured: bool = False

    @property
    def is_cost(self) -> bool:
        """Whether it needs no weights: cheap, exact, and the first to be asked for constraints."""
        return self.weights == "none"
