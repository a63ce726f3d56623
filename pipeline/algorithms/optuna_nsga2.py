"""Optuna's NSGA-II, for comparison with `nsga2`.

It uses Optuna's defaults with the experiment's population: uniform crossover, mutation by uniform sampling, and
selection of parents by tournament. A proposal takes some milliseconds, growing with the number of candidates.

Source: Optuna 5, `optuna.samplers.NSGAIISampler`; Deb et al., IEEE TEC 6(2), 2002.
"""

from optuna.samplers import NSGAIISampler

from zenfront.pipeline.algorithms._algorithm import Algorithm, AlgorithmSpec, Problem
from zenfront.pipeline.algorithms._optuna import OptunaSearch


def _make(problem: Problem) -> Algorithm:
    return OptunaSearch(
        problem, "optuna_nsga2", lambda seed: NSGAIISampler(population_size=problem.population, seed=seed)
    )


ALGORITHM = AlgorithmSpec(_make, "Optuna's NSGAIISampler; Deb et al., IEEE TEC 6(2), 2002")
