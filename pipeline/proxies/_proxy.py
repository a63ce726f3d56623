"""The interface of a proxy: a mini-batch and a training-free score."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from zenfront.pipeline.results.metric import Direction
from zenfront.spaces import Init

Weights = Literal["none"] | Init
Need = Literal["images", "labels", "gradients"]


@dataclass(frozen=True)
class Batch:
    """A mini-batch of images and labels.

    Attributes:
        images: (N, C, H, W) float32, normalised. With float64 images, gradients and ReLU states are computed in
            float64.
        labels: (N,) int64 class indices.
    """

    images: Tensor
    labels: Tensor

    def to(self, device: torch.device | str) -> "Batch":
        """Return the batch on the given device."""
        return replace(self, images=self.images.to(device), labels=self.labels.to(device))

    def copy(self) -> "Batch":
        """Return a copy that shares no memory with this batch."""
        return Batch(self.images.clone(), self.labels.clone())

    def equals(self, other: "Batch") -> bool:
        """Return whether the numbers are the same; on the meta device, only the shapes are compared."""
        if self.images.is_meta:
            return self.images.shape == other.images.shape and self.labels.shape == other.labels.shape
        return torch.equal(self.images, other.images) and torch.equal(self.labels, other.labels)


@dataclass(frozen=True)
class Proxy:
    """A score that characterises a network without training it.

    Attributes:
        name: Name in the registry.
        score: Callable (network, batch, generator, **options) -> finite float. Raises `ScoreUndefined(reason)` if the
            score is undefined. The network is initialised as `weights` specifies and must be left unchanged. Options
            are keyword-only and have defaults.
        unit: Unit of the value.
        direction: The direction that is usually preferred.
        source: Paper, section and reference code.
        needs: Required inputs: ``images`` (real images rather than only their shape), ``labels`` and ``gradients``.
        weights: Initialisation for which the score is defined; ``none`` marks a cost, computed on the meta device.
        measured: Whether the score is a measured time, which varies from run to run. All other scores are
            deterministic. Its option ``device`` names a device that one measurement at a time uses, whose values are
            kept; its option ``model`` says how many architectures are measured before a search that predicts it.
        of_supernet: Whether the network has the trained weights of the experiment's supernet in place of fresh ones,
            and the mini-batch is the validation images.
        adds_up: Whether a cost is the same on an outline of the network, `Space.outline`, where equal blocks share
            their layers.
        conflict: Callable (options) -> reason why options, each of which is right by itself, cannot be used together,
            or None.
    """

    name: str
    score: Callable[..., float]
    unit: str
    direction: Direction
    source: str
    needs: frozenset[Need] = frozenset()
    weights: Weights = "default"
    measured: bool = False
    of_supernet: bool = False
    adds_up: bool = False
    conflict: Callable[[Mapping[str, Any]], str | None] | None = None

    @property
    def is_cost(self) -> bool:
        """Whether the score needs no weights. Costs are cheap and exact, and their constraints are checked first."""
        return self.weights == "none"

    @property
    def is_noisy(self) -> bool:
        """Whether the value depends on the draw of the weights."""
        return not (self.is_running_cost or self.of_supernet)

    @property
    def is_running_cost(self) -> bool:
        """Whether the score says what a network costs to run, trained or not: a cost, or a measured time."""
        return self.is_cost or self.measured
