"""A search that is given architectures to begin with asks them first."""

import pytest

from zenfront import spaces
from zenfront.pipeline import algorithms
from zenfront.pipeline.algorithms import FeasibleSample, Problem
from zenfront.pipeline.objectives import Constraint, Objective
from zenfront.pipeline.results.stage_rows import Scores
from zenfront.pipeline.seeds import numpy_generator
from zenfront.spaces import Architecture

SPACE = spaces.load("nats_sss")
START = [SPACE.sample(numpy_generator(0, "start", str(i))) for i in range(3)]
TWO = (Objective("a", "maximise"), Objective("b", "minimise"))


def scored(architecture: Architecture) -> Scores:
    widths = [int(value) for value in architecture.mapping.values()]
    return Scores(architecture, {"a": float(widths[0]), "b": float(sum(widths))}, None, 0)


@pytest.mark.parametrize("name", algorithms.names())
@pytest.mark.parametrize("count", [2, 3, 6])
def test_the_first_generations_begin_with_the_start(name: str, count: int) -> None:
    method = algorithms.load(name)
    algorithm = method.make(Problem(SPACE, TWO[: method.most], (), 6, 0, [*START, START[0]]))
    asked: list[Architecture] = []
    while len(asked) < 6:
        generation = algorithm.ask(count)
        assert 0 < len(generation) <= count
        asked += generation
        algorithm.tell([scored(architecture) for architecture in generation])
    assert asked[: min(count, 3)] == START[:count]
    assert len(set(asked)) == len(asked)


def test_a_feasible_sample_ends_when_it_has_found_enough() -> None:
    sample = FeasibleSample(Problem(SPACE, TWO, (Constraint("b", at_most=200),), 8, 0), 5)
    found = 0
    while generation := sample.ask(4):
        assert found < 5
        sample.tell([scored(architecture) for architecture in generation])
        found += sum(scored(architecture).values["b"] <= 200 for architecture in generation)
    assert found >= 5
