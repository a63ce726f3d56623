"""Optuna's Gaussian process: for scores that take minutes, and few evaluations.

A proposal costs seconds where those of other algorithms cost milliseconds, and with n results the cube of n in the
end: on one core about 1 s at 50 results with one objective, 5 s at 300 with two. Hence the limit.

Source: Optuna 5, `optuna.samplers.GPSampler`: log expected (hypervolume) improvement, constraints by their
probability.
"""

from optuna.samplers import GPSampler

from zenfront.pipeline.algorithms._algorithm import Algorithm, AlgorithmSpec, Problem
from zenfront.pipeline.algorithms._optuna import OptunaSearch


def _make(problem: Problem) -> Algorithm:
    return OptunaSearch(problem, "optuna_gp", lambda seed: GPSampler(seed=seed), tries=2)


ALGORITHM = AlgorithmSpec(_make, "Optuna's GPSampler; for few evaluations", evaluations=512)
