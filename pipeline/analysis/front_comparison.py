"""Trained fronts of two runs, compared."""

from dataclasses import dataclass

import numpy as np

from zenfront.pipeline.analysis.accuracy_cost_box import Box, box_around, hypervolume_in
from zenfront.pipeline.analysis.resampling import Estimate, draw_resamples, estimate
from zenfront.pipeline.pareto import coverage, front_indices


@dataclass(frozen=True, eq=False)
class TrainedNetworks:
    """Networks of one run that were trained to the end.

    Attributes:
        accuracy: (n, s), test accuracy in [0, 1], or `Metric.sign` times another metric, by seed; NaN where a seed was
            not trained to the end.
        costs: (n, c), lower is better.
    """

    accuracy: np.ndarray
    costs: np.ndarray


@dataclass(frozen=True)
class FrontComparison:
    """Two trained fronts A and B.

    Attributes:
        hypervolumes: Hypervolumes of A and B, in one box.
        box: The box of both.
        difference: Hypervolume of A minus that of B with its bootstrap interval over the seeds; without an interval
            where a run has one seed only.
        coverages: C(A, B) and C(B, A): the share of the front of B that a network of A equals or dominates, and vice
            versa.
    """

    hypervolumes: tuple[float, float]
    box: Box
    difference: Estimate
    coverages: tuple[float, float]


def compare_fronts(
    a: TrainedNetworks, b: TrainedNetworks, chance: float, seed: int = 0, box: Box | None = None
) -> FrontComparison:
    """Compare the trained fronts of two runs.

    The interval resamples the seeds of each run (their columns, for all networks alike), so it holds for other seeds
    of the same networks and not for other searches. With two or three seeds a percentile interval is too narrow.

    Args:
        a: Networks of run A; costs are in the same units and order as those of B.
        b: Networks of run B.
        chance: Accuracy of guessing in [0, 1).
        seed: Seed of the bootstrap.
        box: The box of the hypervolumes, if not the one around the networks of both.
    """
    box = box or box_around(np.vstack([a.costs, b.costs]), chance)
    volumes = [_resampled(box, run, seed + index) for index, run in enumerate((a, b))]
    difference = volumes[0] - volumes[1]
    several = min(a.accuracy.shape[1], b.accuracy.shape[1]) > 1
    fronts = [_front_losses(run) for run in (a, b)]
    return FrontComparison(
        (float(volumes[0][0]), float(volumes[1][0])),
        box,
        estimate(difference) if several else Estimate(float(difference[0])),
        (coverage(fronts[0], fronts[1]), coverage(fronts[1], fronts[0])),
    )


def _resampled(box: Box, run: TrainedNetworks, seed: int) -> np.ndarray:
    """Return the hypervolume of a run and of its resamples over the seeds (1 + count,).

    A network that has no run in a resample is not part of its front.
    """
    weights = draw_resamples(run.accuracy.shape[1], seed).astype(np.float64)
    known = np.isfinite(run.accuracy)
    counts = weights @ known.T
    means = (weights @ np.where(known, run.accuracy, 0.0).T) / np.where(counts > 0, counts, 1.0)
    volumes = [hypervolume_in(box, mean[row], run.costs[row]) for mean, row in zip(means, counts > 0, strict=True)]
    return np.array(volumes, dtype=np.float64)


def _front_losses(run: TrainedNetworks) -> np.ndarray:
    losses = np.column_stack([-np.nanmean(run.accuracy, axis=1), run.costs])
    return np.asarray(losses[front_indices(losses)])
