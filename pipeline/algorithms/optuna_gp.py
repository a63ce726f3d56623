"""Optuna's Gaussian-process sampler, for few evaluations of expensive scores.

A proposal takes seconds, where those of other algorithms take milliseconds, and the time grows with the cube of the
number of results: on one core it was about 1 s at 50 results with one objective, and 5 s at 300 results with two. The
number of evaluations is therefore limited.

Source: Optuna 5, `optuna.samplers.GPSampler`: log expected (hypervolume) improvement, weighted with the probability of
feasibility.
"""

from optuna.samplers import GPSampler

from zenfront.pipeline.algorithms._algorithm import Algorithm, AlgorithmSpec, Problem
from zenfront.pipeline.algorithms._optuna import OptunaSearch


def _make(problem: Problem) -> Algorithm:
    return OptunaSearch(problem, "optuna_gp", lambda seed: GPSampler(seed=seed), tries=2)


ALGORITHM = AlgorithmSpec(_make, "Optuna's GPSampler; for few evaluations", evaluations=512)
