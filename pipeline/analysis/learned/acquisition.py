"""The choice of the next networks: those whose training is expected to raise the staircase the most.

The staircase is the best accuracy at most at a cost, over the cost levels of the candidates: what `analysis.regret`
compares. Source: Jones et al., J. Global Optimization 13, 1998 (expected improvement); Ginsbourger et al., 2010
(kriging believer).
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cholesky
from scipy.special import ndtr

from zenfront.pipeline.analysis.learned.encoding import Candidates
from zenfront.pipeline.analysis.learned.model import Model, Posterior, Prediction
from zenfront.pipeline.analysis.strata import cost_levels
from zenfront.pipeline.seeds import numpy_generator

INTERVAL = 1.96
"""Standard deviations on either side of the median that hold 95 % of a normal distribution."""
PROMISING, DRAWS, JITTER = 256, 64, 1e-6


@dataclass(frozen=True, eq=False)
class Choice:
    """Networks to train next, and what the model expects of them.

    Attributes:
        picked: (k,) indices of candidates, the first choice first.
        accuracy: (k,), median of the predicted accuracy.
        low: (k,), lower end of its interval of 95 %.
        high: (k,), upper end.
        regret: Regret that the model expects to be left before they are trained: the expected growth of the
            staircase, mean over the cost levels, if the true accuracy of all candidates became known.
    """

    picked: np.ndarray
    accuracy: np.ndarray
    low: np.ndarray
    high: np.ndarray
    regret: float


def choose(model: Model, candidates: Candidates, count: int, exclude: np.ndarray | None = None) -> Choice:
    """Choose up to `count` candidates, each as if the ones before had turned out as predicted.

    Args:
        model: Fitted on observations of these candidates, or of others with the same encoder.
        candidates: (n,).
        count: Number of candidates to choose.
        exclude: Indices of candidates that are not chosen again.
    """
    posterior = model.posterior(candidates)
    first = model.prediction(posterior)
    accuracy, picked = first.accuracy(), list[int]()
    free = np.ones(len(accuracy), dtype=bool)
    free[[] if exclude is None else exclude] = False
    levels, best = _known_staircase(model, candidates)
    regret = _expected_regret(model, posterior, levels, best)
    for _ in range(min(count, int(free.sum()))):
        growth = expected_growth(model.prediction(posterior), candidates.cost, levels, best)
        row = int(np.where(free, growth, -np.inf).argmax())
        picked.append(row)
        free[row] = False
        posterior = posterior.believe(row)
        best = np.where(levels >= candidates.cost[row], np.maximum(best, accuracy[row]), best)
    chosen = np.array(picked, dtype=int)
    low, high = (first.accuracy(z)[chosen] for z in (-INTERVAL, INTERVAL))
    return Choice(chosen, accuracy[chosen], low, high, regret)


def _known_staircase(model: Model, candidates: Candidates) -> tuple[np.ndarray, np.ndarray]:
    """Return the cost levels (c,) of the candidates, and the best accuracy that was trained at most at each."""
    levels = cost_levels(candidates.cost)
    return levels, staircase(levels, model.known.cost, model.accuracy)


def _expected_regret(model: Model, posterior: Posterior, levels: np.ndarray, best: np.ndarray) -> float:
    """Return the mean growth of the staircase over draws from the posterior of the most promising candidates."""
    cost = posterior.candidates.cost
    growth = expected_growth(model.prediction(posterior), cost, levels, best)
    rows = np.argsort(-growth, kind="stable")[:PROMISING]
    root = cholesky(posterior.covariance(rows)[:, rows] + JITTER * np.eye(len(rows)), lower=True)
    drawn = posterior.mean[rows] + numpy_generator(0, "learned", "regret").normal(size=(DRAWS, len(rows))) @ root.T
    accuracy = model.top - np.exp(-(model.centre + model.scale * drawn))
    grown = [np.maximum(best, staircase(levels, cost[rows], one)) - best for one in accuracy]
    return float(np.mean(grown))


def expected_growth(prediction: Prediction, cost: np.ndarray, levels: np.ndarray, best: np.ndarray) -> np.ndarray:
    """Return the expected growth (n,) of the staircase by each candidate alone, summed over the cost levels.

    A candidate raises the staircase at its cost and above. Equal steps of the staircase are computed once.

    Args:
        prediction: Expected accuracies of n candidates.
        cost: (n,).
        levels: (c,), ascending.
        best: (c,), the staircase, not falling.
    """
    steps, first = np.unique(best, return_index=True)
    last = np.append(first[1:], len(levels))
    reached = np.searchsorted(levels, cost)
    counts = np.maximum(0, last - np.maximum(first, reached[:, None]))
    return np.asarray((expected_improvement(prediction, steps) * counts).sum(1))


def expected_improvement(prediction: Prediction, best: np.ndarray) -> np.ndarray:
    """Return E[max(0, accuracy - best)], (n, s), for each of the best accuracies (s,).

    The gap to the top is log-normal, so that this is the price of a put (Black and Scholes, 1973).
    """
    gap = np.maximum(prediction.top - best, 1e-300)[None, :]
    mean, sd = prediction.mean[:, None], prediction.sd[:, None]
    d = (np.log(gap) + mean) / sd
    return np.asarray(gap * ndtr(d) - np.exp(-mean + sd**2 / 2) * ndtr(d - sd))


def staircase(levels: np.ndarray, cost: np.ndarray, accuracy: np.ndarray) -> np.ndarray:
    """Return the best accuracy (c,) at each level or below; where there is none, the lowest of all."""
    best = np.full(len(levels) + 1, accuracy.min())
    np.maximum.at(best, np.searchsorted(levels, cost), accuracy)
    return np.asarray(np.maximum.accumulate(best[:-1]))
