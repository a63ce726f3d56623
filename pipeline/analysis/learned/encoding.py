"""Scores, costs and structure of architectures before training, as numbers that a model can compare."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

TINY = 1e-12
"""Relative spread below which the numbers of a column are equal up to rounding."""


@dataclass(frozen=True, eq=False)
class Population:
    """Scores, costs and structure of n architectures before training.

    Attributes:
        scores: (n,) by name, higher is better, costs included; NaN where a score is undefined.
        cost: (n,), finite: the cost along which the best networks are wanted.
        structure: (n, d) by name: blocks of genes and of counts, as `structure.Describer` returns them; NaN where a
            count is not known.
        objectives: Names of the scores that are thought to predict the accuracy; costs are none of them.
    """

    scores: Mapping[str, np.ndarray]
    cost: np.ndarray
    structure: Mapping[str, np.ndarray] = field(default_factory=dict)
    objectives: Sequence[str] = ()

    def select(self, rows: np.ndarray) -> "Population":
        """Return the population of these rows, given as indices or as (n,) bool."""
        scores = {name: values[rows] for name, values in self.scores.items()}
        structure = {name: block[rows] for name, block in self.structure.items()}
        return Population(scores, self.cost[rows], structure, self.objectives)


@dataclass(frozen=True, eq=False)
class Candidates:
    """Architectures as a model sees them.

    Attributes:
        features: (n, d), finite. Each block of features has a total variance of 1 over the encoder's population.
        prior: (n,), rank sum of the objectives as far as the cost does not explain it, mean 0 and variance 1 over the
            encoder's population; 0 without objectives.
        size: (n,), rank of the cost, mean 0 and variance 1 over the encoder's population; 0 if all cost the same.
        cost: (n,), finite.
    """

    features: np.ndarray
    prior: np.ndarray
    size: np.ndarray
    cost: np.ndarray

    def select(self, rows: np.ndarray) -> "Candidates":
        """Return the candidates of these rows, given as indices or as (n,) bool."""
        return Candidates(self.features[rows], self.prior[rows], self.size[rows], self.cost[rows])


@dataclass(frozen=True, eq=False)
class Encoder:
    """Ranks and scales of a population, with which any architecture of the space can be encoded.

    Attributes:
        reference: The population that ranks and scales refer to.
    """

    reference: Population

    @staticmethod
    def of(population: Population) -> "Encoder":
        """Return the encoder whose ranks and scales are those of a population (n >= 1)."""
        return Encoder(population)

    def encode(self, population: Population) -> Candidates:
        """Encode architectures, each by itself: the result of a row does not depend on the other rows.

        Args:
            population: The same scores, blocks and objectives as those of the reference.
        """
        ranks, reference = self._ranks(population), self._ranks(self.reference)
        blocks = {"": (_columns(ranks), _columns(reference))}
        blocks |= {name: (population.structure[name], known) for name, known in self.reference.structure.items()}
        features = [_scaled(rows, known) for rows, known in blocks.values()]
        size, size_known = (_standardised(each["cost"], reference["cost"]) for each in (ranks, reference))
        prior, known = (self._rank_sum(each) for each in (ranks, reference))
        slope = float(known @ size_known) / len(known)  # least squares: what the cost explains is not in the prior
        prior = _standardised(prior - slope * size, known - slope * size_known)
        return Candidates(np.hstack([np.empty((len(prior), 0)), *features]), prior, size, population.cost)

    def _ranks(self, population: Population) -> dict[str, np.ndarray]:
        """Return the share in (0, 1] of the reference that is not better, by score; undefined scores are worst."""
        known = self.reference.scores
        return {name: _rank(population.scores[name], values) for name, values in known.items()} | {
            "cost": _rank(population.cost, self.reference.cost)
        }

    def _rank_sum(self, ranks: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the sum of the logarithms of the ranks of the objectives, (n,) (`ranking.log_rank_sum`)."""
        logarithms = [np.log(ranks[name]) for name in self.reference.objectives]
        return np.sum(logarithms, axis=0) if logarithms else np.zeros(len(ranks["cost"]))


def _rank(values: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return the mid-rank of each value among the reference as a share in (0, 1]; NaN is below all numbers."""
    ordered = np.sort(np.where(np.isnan(reference), -np.inf, reference))
    sought = np.where(np.isnan(values), -np.inf, values)
    below, upto = (np.searchsorted(ordered, sought, side=side) for side in ("left", "right"))
    return np.asarray((below + np.maximum(upto, below + 1) + 1) / 2 / (len(ordered) + 1))


def _standardised(values: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return values (n,) in standard deviations of the reference from its mean; 0 if the reference is constant."""
    spread = reference.std()
    varies = spread > TINY * (1 + abs(reference.mean()))
    return (values - reference.mean()) / spread if varies else np.zeros(len(values))


def _columns(ranks: Mapping[str, np.ndarray]) -> np.ndarray:
    return np.column_stack(list(ranks.values()))


def _scaled(rows: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Standardise the columns (n, d) by those of the reference, and divide by sqrt(d).

    Columns that are constant in the reference are dropped. What is not known counts as the mean.
    """
    known = np.isfinite(reference)
    counts = np.maximum(known.sum(0), 1)
    mean = np.where(known, reference, 0.0).sum(0) / counts
    spread = np.sqrt((np.where(known, reference - mean, 0.0) ** 2).sum(0) / counts)
    varies = spread > TINY * (1 + np.abs(mean))
    scaled = (rows[:, varies] - mean[varies]) / spread[varies] / max(1, varies.sum()) ** 0.5
    return np.where(np.isfinite(scaled), scaled, 0.0)
