"""What every search algorithm keeps: one seed, one sequence; no architecture twice; failures are survived."""

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from optuna._gp.optim_sample import optimize_acqf_sample
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.samplers import GPSampler

from zenfront import spaces
from zenfront.pipeline import algorithms
from zenfront.pipeline.algorithms import Algorithm, Problem
from zenfront.pipeline.objectives import Constraint, Objective
from zenfront.pipeline.results import Scores
from zenfront.spaces import Architecture, Space

ANYNET3 = spaces.load("anynet3")
OBJECTIVES = (Objective("width", "maximise"), Objective("depth", "minimise"))
CONSTRAINTS = (Constraint("width", at_most=500),)


def scored(architecture: Architecture, failing: int = 0) -> Scores:
    """Sums of the genes; every architecture whose id is divisible by `failing` fails."""
    if failing and int(architecture.id, 16) % failing == 0:
        return Scores(architecture, {}, "it fails", 0)
    genes = {name: int(value) for name, value in architecture.genes}
    values = {"width": float(genes["w1"] + genes["w2"] + genes["w3"]), "depth": float(genes["d1"] + genes["d2"])}
    return Scores(architecture, values, None, 0)


def make(name: str, seed: int = 0, constraints: Sequence[Constraint] = (), space: Space = ANYNET3) -> Algorithm:
    method = algorithms.load(name)
    return method.make(Problem(space, OBJECTIVES[: method.most], constraints, 10, seed))


def asked(algorithm: Algorithm, generations: int, lookahead: int = 1, failing: int = 0) -> list[Architecture]:
    sequence: list[Architecture] = []
    flight: deque[list[Architecture]] = deque()
    for _ in range(generations):
        flight.append(algorithm.ask(10))
        sequence += flight[-1]
        if len(flight) == lookahead:
            algorithm.tell([scored(a, failing) for a in flight.popleft()])
    return sequence


@pytest.fixture(params=algorithms.names())
def name(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    def best_of_a_few(sampler: GPSampler, acqf: Any, best_params: np.ndarray | None) -> np.ndarray:
        """Instead of a local search, which takes a second; Optuna's documented place to change it."""
        return optimize_acqf_sample(acqf, n_samples=64, rng=sampler._rng.rng)[0]

    monkeypatch.setattr(GPSampler, "_optimize_acqf", best_of_a_few)
    return str(request.param)


def enough(name: str, lookahead: int) -> int:
    """Generations, the last of which knows scores; a Gaussian process has no time for more."""
    return lookahead + 1 if name == "optuna_gp" else 6


@pytest.mark.parametrize("lookahead", [1, 2, 3])
def test_the_seed_decides_the_sequence(name: str, lookahead: int) -> None:
    first, second, other = (asked(make(name, seed), enough(name, lookahead), lookahead) for seed in (1, 1, 2))
    assert first == second != other


@pytest.mark.parametrize("lookahead", [1, 2])
@pytest.mark.parametrize("failing", [0, 1, 2])
def test_nothing_is_asked_twice_and_failures_are_survived(name: str, lookahead: int, failing: int) -> None:
    generations = enough(name, lookahead)
    sequence = asked(make(name, constraints=CONSTRAINTS), generations, lookahead, failing)
    assert len(sequence) == len(set(sequence)) == 10 * generations


def test_what_is_asked_is_canonical_and_legal(name: str) -> None:
    for architecture in asked(make(name), enough(name, 1)):
        assert ANYNET3.canonical(architecture) == architecture
        assert ANYNET3.architecture(architecture.mapping) == architecture


def test_a_generation_may_be_smaller_than_the_population(name: str) -> None:
    algorithm = make(name)
    assert len(algorithm.ask(3)) == 3


def test_a_small_space_is_searched_to_the_end(name: str) -> None:
    tiny = Space(
        name="anynet3",
        distributions={
            gene: IntDistribution(1, 2) if gene in ("d1", "w1") else CategoricalDistribution((1,))
            for gene in ANYNET3.distributions
        },
        build=ANYNET3.build,
        source="four architectures",
    )
    algorithm, found = make(name, space=tiny), list[Architecture]()
    while generation := algorithm.ask(3):
        found += generation
        algorithm.tell([scored(a) for a in generation])
    assert len(found) == len(set(found)) == tiny.size == 4
