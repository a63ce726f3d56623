"""Two processes that share each mini-batch train as one does."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.recipe import AUGMENTATION, Recipe
from zenfront.pipeline.results.stage_rows import Epoch
from zenfront.pipeline.seeds import numpy_generator
from zenfront.pipeline.training import checkpoint as checkpoints
from zenfront.pipeline.training.batch_norm import synchronise
from zenfront.pipeline.training.data import Images, ImageSet
from zenfront.pipeline.training.loop import draw_batches, evaluate, train
from zenfront.pipeline.training.ranks import ALONE, Ranks
from zenfront.pipeline.training.shares import Share, misfit
from zenfront.spaces import Network

OnTwoRanks = Callable[..., tuple[Any, Any]]
NewNetwork = Callable[..., Network]
CPU = torch.device("cpu")
STRENGTHS: dict[str, Any] = {
    "flip": True,
    "crop_padding": 2,
    "cutout": 3,
    "random_erasing": 0.7,
    "trivial_augment": True,
    "colour_jitter": 0.4,
    "mixup": 0.3,
    "cutmix": 1.0,
}
"""Every kind of augmentation, at work."""


def epochs_of(
    ranks: Ranks, network: Network, images: Images, recipe: Recipe, checkpoint: Path | None = None, count: int = 2
) -> list[Epoch]:
    run = train(network, images, recipe, epochs=2, seed=0, device=CPU, checkpoint=checkpoint, balanced=True, ranks=ranks)
    return [epoch for epoch, _ in zip(run, range(count), strict=False)]


def measured(epochs: list[Epoch]) -> list[dict[str, float]]:
    return [{name: value for name, value in epoch.metrics.items() if name != "seconds"} for epoch in epochs]


def close(epochs: list[Epoch], expected: list[Epoch]) -> bool:
    pairs = zip(measured(epochs), measured(expected), strict=True)
    return all(mine == pytest.approx(other, rel=1e-4, abs=1e-4) for mine, other in pairs)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"batch_size": 27, "flip": True, "crop_padding": 1, "mixup": 0.3, "ema": 0.9},
        {"batch_size": 32, "accumulate": 3, "clip_norm": 0.5, "cutmix": 1.0, "optimizer": "adamw", "learning_rate": 0.01},
    ],
    ids=["plain", "uneven shares, augmented, averaged", "accumulated, clipped"],
)
def test_two_ranks_give_the_curve_of_one(
    settings: dict[str, Any], digits: Images, new_network: NewNetwork, on_two_ranks: OnTwoRanks
) -> None:
    recipe = Recipe(**({"batch_size": 36, "warmup_epochs": 1, "sync_batch_norm": True} | settings))
    alone = epochs_of(ALONE, new_network(), digits, recipe)
    first, second = on_two_ranks(epochs_of, new_network(), digits, recipe)
    assert close(first, alone)
    assert measured(first) == measured(second)
    assert alone[-1].metrics["train_loss"] < math.log(10)
