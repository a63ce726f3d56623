"""Optuna's tree-structured Parzen estimator.

A proposal takes 10 to 20 ms with one objective and 30 to 60 ms with several, growing with the number of results.

Source: Optuna 5, `optuna.samplers.TPESampler`; Bergstra et al., NeurIPS 2011; for several objectives Ozaki et al.,
JAIR 73, 2022.
"""

from optuna.samplers import TPESampler

from zenfront.pipeline.algorithms._algorithm import Algorithm, AlgorithmSpec, Problem
from zenfront.pipeline.algorithms._optuna import OptunaSearch


def _make(problem: Problem) -> Algorithm:
    return OptunaSearch(problem, "optuna_tpe", lambda seed: TPESampler(seed=seed), tries=3)


ALGORITHM = AlgorithmSpec(_make, "Optuna's TPESampler; Bergstra et al., NeurIPS 2011; Ozaki et al., JAIR 73, 2022")
