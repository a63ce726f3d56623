"""Trained weights of a supernet, from which the network of any architecture takes its own."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from zenfront.pipeline.experiment.supernet_config import Norm
from zenfront.pipeline.proxies import Batch
from zenfront.pipeline.supernet.averages import floating
from zenfront.pipeline.supernet.evaluation import recalibrate
from zenfront.pipeline.supernet.supernet import Supernet
from zenfront.pipeline.user_code import UserCode
from zenfront.spaces import Architecture, Network, Task
from zenfront.spaces import load as load_space


@dataclass(frozen=True, eq=False)
class SharedWeights:
    """Weights of a supernet on the CPU; a value that is sent to workers.

    Attributes:
        space: Name of the space.
        code: Code of the experiment.
        task: Task of the networks.
        architectures: Architectures that the supernet was trained on.
        norm: Its batch normalisation.
        weights: State of the supernet by name.
        average: Weights and statistics to use instead, in the order of the supernet's; None: those of the last step.
        validation: Images on which accuracies are measured, normalised, with their labels.
        calibration: Mini-batches of normalised images on which batch normalisation is recalibrated for each network;
            none: it has the statistics of the supernet.
    """

    space: str
    code: Sequence[UserCode]
    task: Task
    architectures: Sequence[Architecture]
    norm: Norm
    weights: Mapping[str, Tensor]
    average: Sequence[Tensor] | None
    validation: Batch
    calibration: Sequence[Tensor] = ()

    def __getstate__(self) -> dict[str, Any]:
        """Return the fields; the supernet is built again where it is needed."""
        return {name: value for name, value in vars(self).items() if name != "_supernet"}

    @cached_property
    def _supernet(self) -> Supernet:
        supernet = Supernet(load_space(self.space, self.code), self.task, self.architectures, self.norm)
        supernet.to_empty(device="cpu").load_state_dict(dict(self.weights))
        if self.average is not None:
            with torch.no_grad():
                for tensor, value in zip(floating(supernet), self.average, strict=True):
                    tensor.copy_(value)
        return supernet

    def give(self, network: Network, architecture: Architecture, device: str) -> None:
        """Replace the layers of a network by copies of those of the supernet, on a device.

        Raises:
            ScoreUndefined: The supernet has no weights for a layer: no architecture that it was trained on has it.
        """
        for module, layer in self._supernet.layers_of(network, architecture):
            network.set_submodule(module, copy.deepcopy(layer).to(device))
        if self.calibration:
            recalibrate(network, (images.to(device) for images in self.calibration))
