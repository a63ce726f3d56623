"""Optimiser and learning rate of a training recipe."""

import math

import torch
from torch import nn

from zenfront.pipeline.experiment.recipe import Recipe
from zenfront.pipeline.training.optimisation.lamb import Lamb

RISE = 0.3
"""Fraction of a one-cycle schedule in which the learning rate rises."""
START, END = 1 / 25, 1 / 25e4
"""Fractions of the peak learning rate at which a one-cycle schedule begins and ends: the defaults of OneCycleLR."""


def new_optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Return the optimiser of a recipe; weight decay applies to matrices and filters, not to norms and biases."""
    parameters = list(network.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    if recipe.optimizer == "lamb":
        return Lamb(groups, recipe.learning_rate, (recipe.momentum, recipe.beta2))
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(groups, recipe.learning_rate, (recipe.momentum, recipe.beta2))
    return torch.optim.SGD(groups, recipe.learning_rate, recipe.momentum, nesterov=recipe.momentum > 0)


def rate_factor(step: int, *, recipe: Recipe, epoch: int, total: int) -> float:
    """Return the fraction of the peak learning rate in a step, from 0.

    Args:
        step: Number of steps before it.
        recipe: It has the schedule and the warm-up.
        epoch: Number of steps of an epoch.
        total: Number of steps of the training.
    """
    if recipe.schedule == "one_cycle":
        return _one_cycle(step, total)
    warmup = recipe.warmup_epochs * epoch
    if step < warmup:
        return (step + 1) / warmup  # not step / warmup: the first step of a run must not be lost
    if recipe.schedule == "step":
        return float(recipe.step_factor ** sum(step >= part * total for part in recipe.steps_at))
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))


def _one_cycle(step: int, total: int) -> float:
    """Return the factor of torch's OneCycleLR: two half cosines, from `START` up to 1 and down to `END`.

    Source: Smith, Topin, 2017, arXiv:1708.07120, in the form of `torch.optim.lr_scheduler.OneCycleLR`.
    """
    peak, last = RISE * total - 1, total - 1
    if step <= peak:
        return _half_cosine(START, 1.0, step / peak)
    return _half_cosine(1.0, END, min(1.0, (step - peak) / (last - peak)))


def _half_cosine(start: float, end: float, fraction: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * fraction))
