"""The learned model on a sample: as a selection rule, and as a score that is cross-validated."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from zenfront.pipeline import proxies
from zenfront.pipeline.analysis.learned import Encoder, Observations, Population, fit, learned_rule, predict_cost
from zenfront.pipeline.analysis.regret import Rule
from zenfront.pipeline.evaluation.sample import Sample, orient
from zenfront.pipeline.seeds import numpy_generator

TRAINED = (16, 32, 64)
"""Numbers of trained networks for which `correlate` says what a model fitted on them predicts."""
MEASURED = (25, 50, 100)
"""Numbers of measured networks for which `correlate` says what a model of the latency fitted on them predicts."""
FOLDS = 5


Predict = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Predicts the architectures of the second indices from those of the first ones."""


def population(sample: Sample, names: Sequence[str] | None = None) -> Population:
    """Return what is known of the architectures before they are trained: scores, FLOPs, genes and graphs.

    Args:
        sample: The architectures.
        names: Names of the scores, which form the prior if they are no costs. None: all of the sample; the prior is
            formed by the experiment's objectives, or by all if none of these is in the sample.
    """
    every = list(sample.scores) if names is None else names
    scores = {name: orient(name, sample.scores[name], sample.code) for name in every}
    predictors = [name for name in every if not _is_cost(name, sample)]
    objectives = [name for name in predictors if names is None and name in sample.objectives]
    return Population(scores, sample.scores["flops"], sample.structure, objectives or predictors)


def _is_cost(name: str, sample: Sample) -> bool:
    return name in proxies.names(sample.code) and proxies.load(name, sample.code).is_cost


def make_learned(sample: Sample, names: Sequence[str] | None, rounds: int) -> Callable[[np.ndarray], Rule]:
    """Return a function from a subset of the architectures (indices) to the rule that learns on it."""
    every = population(sample, names)

    def make(subset: np.ndarray) -> Rule:
        part = every.select(subset)
        return learned_rule(Encoder.of(part).encode(part), sample.truth.accuracy[subset], rounds)

    return make


def cross_validated(sample: Sample, seed: int, counts: Sequence[int] = TRAINED) -> dict[str, np.ndarray]:
    """Return the accuracy (n,) that models predict which were fitted on few other architectures, by the name of a row.

    The architectures are divided into five folds at random. The accuracies of a fold are predicted by a model that is
    fitted on some random architectures of the other folds. Models that need more than there are, are left out.
    For a sample with latencies in place of accuracies, it is the model with which a search predicts them.

    Args:
        sample: The architectures.
        seed: Seed of folds and choices.
        counts: Numbers of architectures on which a model of accuracies is fitted.
    """
    truth = sample.truth.accuracy
    if sample.is_latency:
        known_before = Population({}, sample.scores["flops"], sample.structure)
        rows = _predicted(len(truth), seed, MEASURED, lambda *parts: predict_cost(known_before, truth, *parts))
        return {f"model of {count} measured": values for count, values in rows.items()}
    everything = population(sample)
    candidates = Encoder.of(everything).encode(everything)

    def predict(known: np.ndarray, fold: np.ndarray) -> np.ndarray:
        model = fit(candidates, Observations.complete(known, truth[known]))
        return model.predict(candidates.select(fold)).accuracy()

    return {f"learned from {count}": row for count, row in _predicted(len(truth), seed, counts, predict).items()}


def _predicted(n: int, seed: int, counts: Sequence[int], predict: Predict) -> dict[int, np.ndarray]:
    """Return what is predicted (n,) from each number of others, as far as there are as many."""
    predicted = {count: np.full(n, np.nan) for count in counts}
    for fold, others in _folds(n, seed):
        for count, values in predicted.items():
            if len(others) >= count:
                values[fold] = predict(others[:count], fold)
    return {count: values for count, values in predicted.items() if np.isfinite(values).all()}


def _folds(n: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the indices of each fold, and those of the rest in random order."""
    order = numpy_generator(seed, "correlate", "folds").permutation(n)
    for number in range(FOLDS):
        fold = order[number::FOLDS]
        yield fold, np.concatenate([order[i::FOLDS] for i in range(FOLDS) if i != number])
