"""The same models trained under several settings: errors and ranks by setting, and best ranges of what was varied."""

from collections.abc import Mapping, Sequence
from contextlib import suppress

import numpy as np
from scipy.stats import kendalltau

from zenfront.pipeline.evaluation.design_spaces.comparison import Comparison, best_ranges
from zenfront.pipeline.evaluation.design_spaces.model_sample import ModelSample
from zenfront.pipeline.wording import number

LEAST_RANKED = 3
"""Least number of models that two settings share for a rank correlation."""


def setting_table(main: Comparison, settings: Mapping[str, Comparison]) -> tuple[list[str], list[list[object]]]:
    """Return the columns and the rows of the table of the settings.

    For each sample it holds the median error, and Kendall's tau between the errors of its models under the setting and
    those of the same models in the main comparison.
    """
    columns = ["setting"]
    rows: list[list[object]] = [[label] for label in ("as given", *settings)]
    for position, one in enumerate(main.distributions):
        columns += [f"{one.sample.name}: median", "τ of the models"]
        for row, comparison in zip(rows, (main, *settings.values()), strict=True):
            sample = comparison.distributions[position].sample
            tau = None if comparison is main else rank_correlation(one.sample, sample)
            row += [number(float(np.median(sample.errors))), "-" if tau is None else f"{tau:.2f}"]
    return columns, rows


def rank_correlation(first: ModelSample, second: ModelSample) -> float | None:
    """Return Kendall's tau of the errors of the models that both samples hold; None if they share too few."""
    errors = dict(zip(second.architectures, second.errors, strict=False))
    shared = [(e, errors[name]) for name, e in zip(first.architectures, first.errors, strict=False) if name in errors]
    return float(kendalltau(*zip(*shared, strict=True)).statistic) if len(shared) >= LEAST_RANKED else None


def varied_ranges(settings: Mapping[str, Comparison]) -> dict[str, Mapping[str, tuple[float, float, float]]]:
    """Return where the best values of every varied number lie, over the models of all settings, by sample and key."""
    comparisons = list(settings.values())
    found: dict[str, Mapping[str, tuple[float, float, float]]] = {}
    for position, one in enumerate(comparisons[0].distributions if comparisons else ()):
        errors = [comparison.distributions[position].sample.errors for comparison in comparisons]
        sizes = [len(each) for each in errors]
        parameters = {key: np.repeat(values, sizes) for key, values in _numbers(list(settings)).items()}
        pooled = ModelSample(one.sample.name, np.concatenate(errors), parameters=parameters)
        found[one.sample.name] = best_ranges(pooled, comparisons[0].settings)
    return found


def _numbers(labels: Sequence[str]) -> dict[str, np.ndarray]:
    """Return the value of each key whose values are numbers, (number of settings,) by key."""
    rows = [dict(text.split("=", 1) for text in label.split(", ") if "=" in text) for label in labels]
    numbers = {}
    for key in rows[0]:
        with suppress(ValueError, KeyError):
            numbers[key] = np.array([float(row[key]) for row in rows])
    return numbers
