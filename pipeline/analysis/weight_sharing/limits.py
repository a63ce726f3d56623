"""The floor and the ceiling of a supernet: rankings at random, and architectures trained alone."""

import numpy as np

from zenfront.pipeline.seeds import numpy_generator


def random_rankings(n: int, count: int, seed: int) -> np.ndarray:
    """Return rankings at random, (count, n): what is reached without training anything."""
    generator = numpy_generator(seed, "random rankings")
    return np.array([generator.permutation(n) for _ in range(count)], dtype=np.float64).reshape(count, n)


def stand_alone_runs(mean: np.ndarray, sd: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Return simulated accuracies of runs in which each architecture is trained alone: mean + sd z, z ~ N(0, 1).

    They agree with the truth only up to the noise of single runs: no supernet can be expected to agree better.

    Args:
        mean: (n,), mean accuracy over runs of each architecture: the ground truth.
        sd: (n,), standard deviation over runs.
        count: Number of simulated runs.
        seed: Seed of the noise.

    Returns:
        (count, n).
    """
    noise = numpy_generator(seed, "stand-alone runs").standard_normal((count, len(mean)))
    return np.asarray(mean + sd * noise)
