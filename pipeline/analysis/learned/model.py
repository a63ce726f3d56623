"""A Gaussian process of the accuracy over architectures, with cheaper accuracies as evidence.

Source: Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, ch. 2, 5; Bonilla et al., NIPS 2007, for
accuracies after different numbers of epochs.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from scipy.spatial.distance import cdist

from zenfront.pipeline.analysis.learned.encoding import Candidates

LENGTHS = (0.5, 1.0, 2.0, 4.0)
NOISES = (0.01, 0.05, 0.2, 1.0)
SLOPES = (0.0, 1.0)
AGREEMENTS = (0.5, 0.8, 0.95)
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


@dataclass(frozen=True, eq=False)
class Kernel:
    """Covariance of the standardised targets.

    Attributes:
        length: Length scale of the features.
        slope: Variance of the slope along the prior.
        agreement: Correlation of the accuracies after different numbers of epochs.
    """

    length: float
    slope: float
    agreement: float

    def __call__(self, a: Candidates, at: np.ndarray, b: Candidates, bt: np.ndarray) -> np.ndarray:
        """Return the covariance (n, m) of candidates a at fidelities (n,) with candidates b at fidelities (m,)."""
        near = np.exp(-cdist(a.features, b.features, "sqeuclidean") / (2 * self.length**2))
        same = at[:, None] == bt[None, :]
        return np.asarray((near + self.slope * np.outer(a.prior, b.prior)) * np.where(same, 1.0, self.agreement))


@dataclass(frozen=True, eq=False)
class Posterior:
    """Standardised accuracies of n candidates after the whole training, given the observations.

    Attributes:
        candidates: (n,).
        kernel: Covariance before any observation.
        noise: Variance of the noise of a training.
        mean: (n,).
        root: (t, n); the observations explain root^T root of the covariance.
    """

    candidates: Candidates
    kernel: Kernel
    noise: float
    mean: np.ndarray
    root: np.ndarray

    @cached_property
    def variance(self) -> np.ndarray:
        """Variance (n,) without the noise of a training."""
        own = 1 + self.kernel.slope * self.candidates.prior**2
        return np.asarray(np.maximum(own - np.einsum("tn,tn->n", self.root, self.root), TINY))

    def covariance(self, rows: np.ndarray) -> np.ndarray:
        """Return the covariance (k, n) of some candidates, given by their indices, with all."""
        some, here, there = self.candidates.select(rows), np.ones(len(rows)), np.ones(len(self.mean))
        return np.asarray(self.kernel(some, here, self.candidates, there) - self.root[:, rows].T @ self.root)

    def believe(self, row: int) -> "Posterior":
        """Return the posterior after a training of one candidate turned out as predicted: no mean changes."""
        explained = self.covariance(np.array([row])) / (self.variance[row] + self.noise) ** 0.5
        return replace(self, root=np.vstack([self.root, explained]))


@dataclass(frozen=True, eq=False)
class Model:
    """A fitted model; `fit` makes it.

    Attributes:
        known: Candidates (t,) that were observed, one per observation.
        observations: Their accuracies.
        target: (t,), standardised.
        kernel: Covariance.
        noise: Variance of the noise of a training, in units of the signal's.
        scale: Standard deviation of -log(top - accuracy) after the whole training.
        centre: Mean of the same.
        top: An accuracy that none is expected to exceed.
    """

    known: Candidates
    observations: Observations
    target: np.ndarray
    kernel: Kernel
    noise: float
    scale: float
    centre: float
    top: float

    def predict(self, candidates: Candidates) -> Prediction:
        """Return what the model expects of candidates after the whole training."""
        return self.prediction(self.posterior(candidates))

    def prediction(self, posterior: Posterior) -> Prediction:
        """Return a posterior in the unit of the accuracy."""
        return Prediction(self.centre + self.scale * posterior.mean, self.scale * np.sqrt(posterior.variance), self.top)

    def posterior(self, candidates: Candidates) -> Posterior:
        """Return the standardised accuracies of candidates, given the observations."""
        fidelity, whole = self.observations.fidelity, np.ones(len(candidates.cost))
        lower = cholesky(_noisy(self.kernel, self.known, fidelity, self.noise), lower=True)
        across = self.kernel(self.known, fidelity, candidates, whole)
        root = solve_triangular(lower, across, lower=True)
        mean = solve_triangular(lower, self.target, lower=True) @ root
        return Posterior(candidates, self.kernel, self.noise, mean, root)


def fit(candidates: Candidates, observations: Observations) -> Model:
    """Fit a model to what was observed; the kernel and the noise have the highest marginal likelihood on a grid.

    Args:
        candidates: (n,).
        observations: At least one, and at least one of them at the end of the training.
    """
    known = candidates.select(observations.index)
    target, centre, unit, top = _targets(observations)
    (_, scale), _, kernel, noise = max(
        (_likelihood(kernel, noise, known, observations.fidelity, target), -number, kernel, noise)
        for number, (kernel, noise) in enumerate(_grid(observations))
    )
    return Model(known, observations, target / scale, kernel, noise, unit * scale, centre, top)


def _grid(observations: Observations) -> Iterator[tuple[Kernel, float]]:
    agreements = AGREEMENTS if len(np.unique(observations.fidelity)) > 1 else (1.0,)
    for length, slope, agreement, noise in product(LENGTHS, SLOPES, agreements, NOISES):
        yield Kernel(length, slope, agreement), noise


def _noisy(kernel: Kernel, known: Candidates, fidelity: np.ndarray, noise: float) -> np.ndarray:
    return kernel(known, fidelity, known, fidelity) + (noise + TINY) * np.eye(len(fidelity))


def _likelihood(
    kernel: Kernel, noise: float, known: Candidates, fidelity: np.ndarray, target: np.ndarray
) -> tuple[float, float]:
    """Return the logarithm of the marginal likelihood, and the scale at which it is highest."""
    lower = cholesky(_noisy(kernel, known, fidelity, noise), lower=True)
    count, residual = len(target), solve_triangular(lower, target, lower=True)
    square = (residual @ residual + 1.0) / (count + 1)  # one observation of scale 1 in advance
    return float(-0.5 * count * np.log(square) - np.log(np.diag(lower)).sum()), float(np.sqrt(square))


def _targets(observations: Observations) -> tuple[np.ndarray, float, float, float]:
    """Return the standardised targets (t,), and centre, unit and top of the accuracies after the whole training."""
    target, whole = np.empty(len(observations.accuracy)), (0.0, 1.0, 0.0)
    for fidelity in np.unique(observations.fidelity):
        here = observations.fidelity == fidelity
        accuracy = observations.accuracy[here]
        top = accuracy.max() + MARGIN * (np.ptp(accuracy) or 1.0)
        values = -np.log(top - accuracy)
        whole = float(values.mean()), float(values.std() or 1.0), float(top)  # the last is the highest fidelity
        target[here] = (values - whole[0]) / whole[1]
    return target, *whole
