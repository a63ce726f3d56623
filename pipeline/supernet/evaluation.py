"""Accuracy of every architecture under the shared weights."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from zenfront.pipeline.supernet.joint_evaluation import JointEvaluation
from zenfront.pipeline.supernet.supernet import Supernet
from zenfront.pipeline.training.data import Images, ImageSet
from zenfront.pipeline.training.loop import evaluate
from zenfront.spaces import Architecture

PIXELS, MOST = 102_400, 500
"""Pixels and images that are evaluated together at most: the results that several architectures need are kept."""
RECORDED, CHECKED = 2, 3
"""Images on which a joint evaluation is recorded, and others on which it must agree with the networks."""
TOGETHER = 256
"""Architectures that are evaluated on one pass."""
_log = logging.getLogger(__name__)


class Evaluator:
    """Evaluation of the architectures of a supernet on the same images, again and again while it is trained.

    Args:
        supernet: Weights, initialised.
        part: Images to classify, on the device of the weights.
        images: Data that has their normalisation.
    """

    def __init__(self, supernet: Supernet, part: ImageSet, images: Images) -> None:
        self._supernet, self._part, self._images = supernet, part, images
        self._joint: dict[tuple[Architecture, ...], JointEvaluation | None] = {}

    def accuracies(self, architectures: Sequence[Architecture]) -> np.ndarray:
        """Return the accuracy of each architecture, (n,) fractions of the images."""
        ordered = sorted(architectures, key=self._supernet.space.encode)  # neighbours have much in common
        parts = [tuple(ordered[start : start + TOGETHER]) for start in range(0, len(ordered), TOGETHER)]
        found = {a: accuracy for part in parts for a, accuracy in zip(part, self._together(part), strict=True)}
        return np.array([found[architecture] for architecture in architectures])

    def _together(self, architectures: tuple[Architecture, ...]) -> list[float]:
        networks = [self._supernet.path(architecture).eval() for architecture in architectures]
        if architectures not in self._joint:
            self._joint = {architectures: self._record(networks)}
        joint = self._joint[architectures]
        if joint is None:
            return [evaluate(network, self._part, self._images).accuracy for network in networks]
        right = torch.zeros(len(networks), dtype=torch.int64, device=self._part.labels.device)
        for images, labels in self._batches():
            for place, logits in enumerate(joint.logits(images)):
                right[place] += (logits.argmax(1) == labels).sum()
        return [int(count) / len(self._part) for count in right]

    def _record(self, networks: Sequence[nn.Module]) -> JointEvaluation | None:
        """Record the networks; return None if they have operations that a recording does not repeat."""
        few = self._images.normalise(self._part.pixels[: RECORDED + CHECKED])
        if len(few) < RECORDED + CHECKED:
            return None
        joint, checked = JointEvaluation(networks, few[:RECORDED]), few[RECORDED:]
        with torch.inference_mode():
            agree = (torch.equal(a(checked), b) for a, b in zip(networks, joint.logits(checked), strict=True))
            if all(agree):
                return joint
        _log.info("the networks of space %s are evaluated one by one", self._supernet.space.name)
        return None

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        size = max(1, min(MOST, PIXELS // self._part.pixels.shape[2:].numel()))
        for start in range(0, len(self._part), size):
            rows = slice(start, start + size)
            yield self._images.normalise(self._part.pixels[rows]), self._part.labels[rows]

    def one_by_one(self, architectures: Sequence[Architecture], prepare: Callable[[Architecture], None]) -> np.ndarray:
        """Return the accuracies (n,) of architectures that are each prepared before; all weights are left as found."""
        found = []
        for architecture in architectures:
            network = self._supernet.path(architecture)
            with kept(network):
                prepare(architecture)
                found.append(evaluate(network, self._part, self._images).accuracy)
        return np.array(found)


@contextmanager
def kept(module: nn.Module) -> Iterator[None]:
    """Restore weights, statistics and settings of batch normalisation of a module after a block."""
    tensors = [*module.parameters(), *module.buffers()]
    before = [tensor.detach().clone() for tensor in tensors]
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, value in zip(tensors, before, strict=True):
                tensor.copy_(value)


@torch.no_grad()
def recalibrate(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Replace the running statistics of batch normalisation by the means over mini-batches.

    Args:
        network: Network; left in training mode.
        batches: Normalised images (N, C, H, W), at least one mini-batch.

    Source: Guo et al., Single path one-shot NAS, ECCV 2020, arXiv:1904.00420, sec. 3.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    try:
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # a cumulative mean
        network.train()
        for images in batches:
            network(images)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
