"""The contract of a search algorithm."""

from collections import deque
from collections.abc import Callable, Sequence

import pytest
from optuna.distributions import CategoricalDistribution, IntDistribution

from zenfront import spaces
from zenfront.pipeline.algorithms import Algorithm, AlgorithmSpec, Problem
from zenfront.pipeline.objectives import Constraint, Objective
from zenfront.pipeline.results.stage_rows import Scores
from zenfront.spaces import Architecture, Space

ANYNET3 = spaces.load("anynet3")
OBJECTIVES = (Objective("width", "maximise"), Objective("depth", "minimise"))
CONSTRAINTS = (Constraint("width", at_most=500),)


def _scored(architecture: Architecture, failing: int = 0) -> Scores:
    """Sum the genes; every architecture whose id is divisible by `failing` fails."""
    if failing and int(architecture.id, 16) % failing == 0:
        return Scores(architecture, {}, "it fails", 0)
    genes = {name: int(value) for name, value in architecture.genes}
    values = {"width": float(genes["w1"] + genes["w2"] + genes["w3"]), "depth": float(genes["d1"] + genes["d2"])}
    return Scores(architecture, values, None, 0)


def _made(
    spec: AlgorithmSpec, seed: int = 0, constraints: Sequence[Constraint] = (), space: Space = ANYNET3
) -> Algorithm:
    return spec.make(Problem(space, OBJECTIVES[: spec.most], constraints, 10, seed))


def _asked(algorithm: Algorithm, generations: int, lookahead: int = 1, failing: int = 0) -> list[Architecture]:
    sequence: list[Architecture] = []
    flight: deque[list[Architecture]] = deque()
    for _ in range(generations):
        flight.append(algorithm.ask(10))
        sequence += flight[-1]
        if len(flight) == lookahead:
            algorithm.tell([_scored(a, failing) for a in flight.popleft()])
    return sequence


class AlgorithmTestCase:
    """The contract of a search algorithm; define the fixture ``algorithm``."""

    @pytest.fixture
    def algorithm(self) -> AlgorithmSpec:
        """The algorithm as its module exports it."""
        raise NotImplementedError("define the fixture `algorithm`, which returns the `AlgorithmSpec`")

    @pytest.fixture
    def generations(self) -> Callable[[int], int]:
        """Generations of a test by its look-ahead; override it for an algorithm that takes seconds to ask."""
        return lambda lookahead: 6

    @pytest.mark.parametrize("lookahead", [1, 2, 3])
    def test_the_seed_decides_the_sequence(
        self, algorithm: AlgorithmSpec, generations: Callable[[int], int], lookahead: int
    ) -> None:
        """One seed gives one sequence, another seed another."""
        count = generations(lookahead)
        first, second, other = (_asked(_made(algorithm, seed), count, lookahead) for seed in (1, 1, 2))
        assert first == second != other

    @pytest.mark.parametrize("lookahead", [1, 2])
    @pytest.mark.parametrize("failing", [0, 1, 2])
    def test_nothing_is_asked_twice_and_failures_are_survived(
        self, algorithm: AlgorithmSpec, generations: Callable[[int], int], lookahead: int, failing: int
    ) -> None:
        """Generations are full and without repeats, also when all or half of the candidates fail."""
        count = generations(lookahead)
        sequence = _asked(_made(algorithm, constraints=CONSTRAINTS), count, lookahead, failing)
        assert len(sequence) == len(set(sequence)) == 10 * count

    def test_what_is_asked_is_canonical_and_legal(
        self, algorithm: AlgorithmSpec, generations: Callable[[int], int]
    ) -> None:
        """Candidates are canonical architectures of the space."""
        for architecture in _asked(_made(algorithm), generations(1)):
            assert ANYNET3.canonical(architecture) == architecture
            assert ANYNET3.architecture(architecture.mapping) == architecture

    def test_a_generation_may_be_smaller_than_the_population(self, algorithm: AlgorithmSpec) -> None:
        """At most as many as asked for."""
        assert len(_made(algorithm).ask(3)) == 3

    def test_a_small_space_is_searched_to_the_end(self, algorithm: AlgorithmSpec) -> None:
        """Every architecture of a space of four is asked, then none."""
        tiny = Space(
            name="anynet3",
            distributions={
                gene: IntDistribution(1, 2) if gene in ("d1", "w1") else CategoricalDistribution((1,))
                for gene in ANYNET3.distributions
            },
            build=ANYNET3.build,
            source="four architectures",
        )
        made, found = _made(algorithm, space=tiny), list[Architecture]()
        while generation := made.ask(3):
            found += generation
            made.tell([_scored(a) for a in generation])
        assert len(found) == len(set(found)) == tiny.size == 4
