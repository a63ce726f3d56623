"""A model of a measured cost, such as a latency, that learns from the architectures on which it was measured."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from zenfront.pipeline.analysis.correlation import kendall
from zenfront.pipeline.analysis.learned.encoding import Candidates, Encoder, Population
from zenfront.pipeline.analysis.learned.model import Model, Observations, fit
from zenfront.pipeline.seeds import numpy_generator

FOLDS = 5
LEAST = 10
"""Measured architectures that a model needs."""


@dataclass(frozen=True)
class CostError:
    """Error of a model on architectures that it was not fitted on, by cross-validation in five folds.

    Attributes:
        measured: Number of architectures on which the cost was measured.
        median: Median of |predicted / measured - 1|.
        ninth: The same at nine tenths: one architecture in ten has a larger error.
        tau: Kendall's tau-b of predicted and measured; None if either is constant.
    """

    measured: int
    median: float
    ninth: float
    tau: float | None

    def __str__(self) -> str:
        tau = "-" if self.tau is None else f"{self.tau:.2f}"
        return (
            f"from {self.measured} measured architectures; error {100 * self.median:.1f} % (median) and "
            f"{100 * self.ninth:.1f} % (nine in ten below), τ {tau}, by cross-validation"
        )


@dataclass(frozen=True, eq=False)
class CostModel:
    """A fitted model of the logarithm of a cost; `fit_cost` makes it.

    Attributes:
        encoder: Encodes architectures by the ranks and scales of the measured ones.
        model: Gaussian process in which the cost is the gap to an accuracy of 0, whose logarithm is learned.
        error: What it is wrong by.
    """

    encoder: Encoder
    model: Model
    error: CostError

    def predict(self, population: Population) -> tuple[np.ndarray, np.ndarray]:
        """Return the costs (n,) that are expected, in the unit of the measured ones, and their standard errors (n,)."""
        found = self.model.predict(self.encoder.encode(population))
        cost = -found.accuracy()
        return cost, cost * found.sd


def fit_cost(population: Population, cost: np.ndarray) -> CostModel:
    """Fit a model to measured costs.

    Args:
        population: The measured architectures (n >= 10): genes and graphs.
        cost: (n,), positive.
    """
    encoder = Encoder.of(population)
    candidates = encoder.encode(population)
    predicted = np.empty(len(cost))
    for fold, others in _folds(len(cost)):
        predicted[fold] = _predicted(candidates, cost, others, fold)
    return CostModel(encoder, _fit(candidates, cost, np.arange(len(cost))), _error(predicted, cost))


def predict_cost(population: Population, cost: np.ndarray, known: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return the costs of some architectures that a model expects which was fitted on others.

    Args:
        population: All architectures (n,).
        cost: (n,), positive; those of the `known` ones are used.
        known: Indices of the measured architectures.
        wanted: Indices of the architectures to predict.
    """
    encoder = Encoder.of(population.select(known))
    return _predicted(encoder.encode(population), cost, known, wanted)


def _predicted(candidates: Candidates, cost: np.ndarray, known: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    return -_fit(candidates, cost, known).predict(candidates.select(wanted)).accuracy()


def _fit(candidates: Candidates, cost: np.ndarray, known: np.ndarray) -> Model:
    return fit(candidates, Observations.complete(known, -cost[known]), top=0.0)


def _folds(n: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    order = numpy_generator(0, "cost model", "folds").permutation(n)
    for number in range(FOLDS):
        yield order[number::FOLDS], np.delete(order, np.arange(number, n, FOLDS))


def _error(predicted: np.ndarray, cost: np.ndarray) -> CostError:
    relative = np.abs(predicted / cost - 1)
    tau = kendall(predicted, cost, np.ones((1, len(cost)), np.float32))[0]
    return CostError(
        len(cost),
        float(np.median(relative)),
        float(np.quantile(relative, 0.9)),
        float(tau) if np.isfinite(tau) else None,
    )
