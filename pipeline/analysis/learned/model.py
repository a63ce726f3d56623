"""A Gaussian process of the accuracy over architectures, with the accuracies of stopped runs as cheap evidence.

Source: Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, ch. 2 and 5. Accuracies after fewer
epochs enter as in recursive co-kriging (Le Gratiet and Garnier, Int. J. Uncertainty Quantification 4, 2014).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from scipy.spatial.distance import cdist

from zenfront.pipeline.analysis.learned.encoding import Candidates

LENGTHS = (0.5, 1.0, 2.0, 4.0)
NOISES = (0.01, 0.05, 0.2, 1.0)
SLOPES = ((0.5, 0.25), (0.5, 1.0), (0.0, 4.0), (0.0, 0.0))
"""Means and variances of the slope along the prior before any accuracy is known, in standard deviations. With the last
one, the prior says nothing."""
TINY = 1e-9
MARGIN = 0.1
"""Distance of the top from the best accuracy, in ranges of the accuracies."""


@dataclass(frozen=True, eq=False)
class Observations:
    """Accuracies that were measured, at least one. An architecture may have several.

    Attributes:
        index: (t,), position of the architecture among the candidates.
        accuracy: (t,), finite, in any unit.
        fidelity: (t,) in (0, 1], share of the epochs after which it was measured; 1: the end of the training.
    """

    index: np.ndarray
    accuracy: np.ndarray
    fidelity: np.ndarray

    @staticmethod
    def complete(index: np.ndarray, accuracy: np.ndarray) -> "Observations":
        """Return observations at the end of the training."""
        return Observations(np.asarray(index), np.asarray(accuracy, dtype=np.float64), np.ones(len(index)))


@dataclass(frozen=True, eq=False)
class Prediction:
    """Accuracies after the whole training that a model expects of n architectures.

    -log(top - accuracy) is normal with this mean and standard deviation.

    Attributes:
        mean: (n,).
        sd: (n,), without the noise of a training.
        top: An accuracy that none is expected to exceed.
    """

    mean: np.ndarray
    sd: np.ndarray
    top: float

    def accuracy(self, z: float = 0.0) -> np.ndarray:
        """Return the accuracy (n,) that lies z standard deviations above the median; z = ±1.96 gives an interval."""
        return np.asarray(self.top - np.exp(-(self.mean + z * self.sd)))


@dataclass(frozen=True)
class Kernel:
    """Covariance of the standardised targets: of their mean, of the slopes along prior and cost, and of similar ones.

    Attributes:
        length: Length scale of the features.
        slope: Variance of the slope along the prior.
    """

    length: float
    slope: float

    def __call__(self, a: Candidates, b: Candidates) -> np.ndarray:
        """Return the covariance (n, m) of candidates a (n,) with candidates b (m,)."""
        near = np.exp(-cdist(a.features, b.features, "sqeuclidean") / (2 * self.length**2))
        return np.asarray(1 + self.slope * np.outer(a.prior, b.prior) + np.outer(a.size, b.size) + near)

    def variance(self, candidates: Candidates) -> np.ndarray:
        """Return the diagonal (n,) of the covariance of candidates with themselves."""
        return np.asarray(2 + self.slope * candidates.prior**2 + candidates.size**2)


@dataclass(frozen=True, eq=False)
class Posterior:
    """Standardised accuracies of n candidates after the whole training, given the observations.

    Attributes:
        candidates: (n,), with the prior of the model.
        kernel: Covariance before any observation.
        noise: Variance of the noise of a training.
        mean: (n,).
        variance: (n,), without the noise of a training.
        roots: (t, n) each; the observations explain the sum of root^T root of the covariance.
    """

    candidates: Candidates
    kernel: Kernel
    noise: float
    mean: np.ndarray
    variance: np.ndarray
    roots: tuple[np.ndarray, ...]

    def covariance(self, rows: np.ndarray) -> np.ndarray:
        """Return the covariance (k, n) of some candidates, given by their indices, with all."""
        explained = (root[:, rows].T @ root for root in self.roots)
        return np.asarray(self.kernel(self.candidates.select(rows), self.candidates) - sum(explained))

    def believe(self, row: int) -> "Posterior":
        """Return the posterior after a training of one candidate turned out as predicted: no mean changes."""
        root = self.covariance(np.array([row])) / (self.variance[row] + self.noise) ** 0.5
        variance = np.maximum(self.variance - root[0] ** 2, TINY)
        return replace(self, variance=variance, roots=(*self.roots, root))


@dataclass(frozen=True, eq=False)
class Model:
    """A fitted model; `fit` makes it.

    Attributes:
        known: Candidates (t,) that were observed at the highest fidelity, with the prior of the model.
        accuracy: (t,), theirs.
        target: (t,), standardised.
        kernel: Covariance.
        noise: Variance of the noise of a training, in units of the signal's.
        slope: Slope of the targets along the prior that is expected before any accuracy is known.
        scale: Standard deviation of -log(top - accuracy).
        centre: Mean of the same.
        top: An accuracy that none is expected to exceed.
        lower: Model of the next lower fidelity, whose prediction is the prior of this one; None: the candidates have
            their own.
        shift: Mean and standard deviation of what the lower model predicts.
    """

    known: Candidates
    accuracy: np.ndarray
    target: np.ndarray
    kernel: Kernel
    noise: float
    slope: float
    scale: float
    centre: float
    top: float
    lower: "Model | None" = None
    shift: tuple[float, float] = (0.0, 1.0)

    def predict(self, candidates: Candidates) -> Prediction:
        """Return what the model expects of candidates after the whole training."""
        return self.prediction(self.posterior(candidates))

    def prediction(self, posterior: Posterior) -> Prediction:
        """Return a posterior in the unit of the accuracy."""
        mean, sd = self.centre + self.scale * posterior.mean, self.scale * np.sqrt(posterior.variance)
        return Prediction(mean, sd, self.top)

    def posterior(self, candidates: Candidates) -> Posterior:
        """Return the standardised accuracies of candidates, given the observations."""
        candidates = _with_prior(candidates, self.lower, self.shift)
        lower = cholesky(_noisy(self.kernel, self.known, self.noise), lower=True)
        root = solve_triangular(lower, self.kernel(self.known, candidates), lower=True)
        residual = solve_triangular(lower, self.target - self.slope * self.known.prior, lower=True)
        variance = self.kernel.variance(candidates) - np.einsum("tn,tn->n", root, root)
        mean = self.slope * candidates.prior + residual @ root
        return Posterior(candidates, self.kernel, self.noise, mean, np.maximum(variance, TINY), (root,))


def fit(candidates: Candidates, observations: Observations, top: float | None = None) -> Model:
    """Fit a model to what was observed; the kernel and the noise have the highest marginal likelihood on a grid.

    Fidelities are fitted from the lowest to the highest. What a model predicts is the prior of the next one.

    Args:
        candidates: (n,).
        observations: At least one. Predictions are for the highest fidelity among them, which should be 1.
        top: An accuracy above all others; a little above the best one if not given.
    """
    lower, shift = None, (0.0, 1.0)
    for fidelity in np.unique(observations.fidelity):
        here = observations.fidelity == fidelity
        known = _with_prior(candidates.select(observations.index[here]), lower, shift)
        lower = replace(_fit(known, observations.accuracy[here], top), lower=lower, shift=shift)
        mean = lower.predict(candidates).mean
        shift = float(mean.mean()), float(mean.std() or 1.0)
    assert lower is not None
    return lower


def _with_prior(candidates: Candidates, lower: Model | None, shift: tuple[float, float]) -> Candidates:
    """Return candidates with what a lower model predicts as their prior, if there is one."""
    if lower is None:
        return candidates
    mean, spread = shift
    return replace(candidates, prior=(lower.predict(candidates).mean - mean) / spread)


def _fit(known: Candidates, accuracy: np.ndarray, top: float | None) -> Model:
    """Fit a model to accuracies (t,) of one fidelity."""
    if top is None:
        top = float(accuracy.max() + MARGIN * (np.ptp(accuracy) or 1.0))
    values = -np.log(top - accuracy)
    centre, unit = float(values.mean()), float(values.std() or 1.0)
    target = (values - centre) / unit
    (_, scale), _, kernel, slope, noise = max(
        (_likelihood(kernel, noise, known, target - slope * known.prior), -number, kernel, slope, noise)
        for number, (kernel, slope, noise) in enumerate(_grid())
    )
    return Model(known, accuracy, target / scale, kernel, noise, slope / scale, unit * scale, centre, top)


def _grid() -> Iterator[tuple[Kernel, float, float]]:
    for length, (slope, variance), noise in product(LENGTHS, SLOPES, NOISES):
        yield Kernel(length, variance), slope, noise


def _noisy(kernel: Kernel, known: Candidates, noise: float) -> np.ndarray:
    return kernel(known, known) + (noise + TINY) * np.eye(len(known.prior))


def _likelihood(kernel: Kernel, noise: float, known: Candidates, residual: np.ndarray) -> tuple[float, float]:
    """Return the logarithm of the marginal likelihood, and the scale at which it is highest."""
    lower = cholesky(_noisy(kernel, known, noise), lower=True)
    count, solved = len(residual), solve_triangular(lower, residual, lower=True)
    square = (solved @ solved + 1.0) / (count + 1)  # one observation of scale 1 in advance
    return float(-0.5 * count * np.log(square) - np.log(np.diag(lower)).sum()), float(np.sqrt(square))
