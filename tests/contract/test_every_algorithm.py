"""Every search algorithm keeps the contract of `zenfront.testing`. A new algorithm is covered by being there."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from optuna._gp.optim_sample import optimize_acqf_sample
from optuna.samplers import GPSampler

from zenfront.pipeline import algorithms
from zenfront.pipeline.algorithms import AlgorithmSpec
from zenfront.testing import AlgorithmTestCase


class TestEveryAlgorithm(AlgorithmTestCase):
    @pytest.fixture(params=algorithms.names())
    def name(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture
    def algorithm(self, name: str, monkeypatch: pytest.MonkeyPatch) -> AlgorithmSpec:
        def best_of_a_few(sampler: GPSampler, acqf: Any, best_params: np.ndarray | None) -> np.ndarray:
            """Replace a local search, which takes a second, in Optuna's documented place."""
            return optimize_acqf_sample(acqf, n_samples=64, rng=sampler._rng.rng)[0]

        monkeypatch.setattr(GPSampler, "_optimize_acqf", best_of_a_few)
        return algorithms.load(name)

    @pytest.fixture
    def generations(self, name: str) -> Callable[[int], int]:
        """The last generation knows scores; a Gaussian process has no time for more."""
        return lambda lookahead: lookahead + 1 if name == "optuna_gp" else 6
