"""State of a training run, which its checkpoints hold."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from zenfront.pipeline.experiment.recipe import Recipe
from zenfront.pipeline.results.stage_rows import Epoch
from zenfront.pipeline.training.optimisation.optimiser import new_optimizer, rate_factor
from zenfront.spaces import Network


@dataclass(frozen=True)
class State:
    """Everything that changes during training.

    Attributes:
        network: Network that is trained.
        averaged: Moving average of its weights and buffers, or None.
        optimizer: Optimiser of its weights.
        schedule: Learning rate.
    """

    network: Network
    averaged: AveragedModel | None
    optimizer: torch.optim.Optimizer
    schedule: LambdaLR

    @staticmethod
    def start(network: Network, recipe: Recipe, epochs: int, steps: int) -> "State":
        """Return the state before the first of `steps` steps of each epoch."""
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a third faster on CPUs
        averaged = None
        if recipe.ema:  # with the buffers: averaged weights need the BN statistics that belong to them
            average = get_ema_multi_avg_fn(recipe.ema)  # type: ignore[no-untyped-call]
            averaged = AveragedModel(network, multi_avg_fn=average, use_buffers=True)
        optimizer = new_optimizer(network, recipe)
        factor = partial(rate_factor, recipe=recipe, epoch=steps, total=epochs * steps)
        return State(network, averaged, optimizer, LambdaLR(optimizer, factor))

    @property
    def evaluated(self) -> nn.Module:
        """Network that metrics belong to: with `recipe.ema` the averaged one."""
        return self.network if self.averaged is None else self.averaged.module

    def hand_over(self) -> None:
        """Copy the weights that are evaluated to the network."""
        self.network.load_state_dict(self.evaluated.state_dict())

    def _components(self) -> dict[str, Any]:
        parts = {name: getattr(self, name) for name in ("network", "averaged", "optimizer", "schedule")}
        return {name: part for name, part in parts.items() if part is not None}

    def state_dict(self, history: list[Epoch]) -> dict[str, Any]:
        """Return what a checkpoint holds, with the results of the epochs."""
        results = [{"epoch": result.epoch, "metrics": dict(result.metrics)} for result in history]
        return {"history": results} | {name: part.state_dict() for name, part in self._components().items()}

    def resume(self, saved: dict[str, Any] | None) -> list[Epoch]:
        """Load a checkpoint; return the results of its epochs."""
        if saved is None:
            return []
        for name, part in self._components().items():
            part.load_state_dict(saved[name])
        return [Epoch("", **result) for result in saved["history"]]
