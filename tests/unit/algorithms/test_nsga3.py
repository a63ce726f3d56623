"""NSGA-III spreads its population over the reference directions."""

from math import comb

import numpy as np
import pytest

from zenfront.pipeline.algorithms import Problem, nsga3
from zenfront.pipeline.objectives import Objective
from zenfront.pipeline.results.stage_rows import Scores
from zenfront.spaces import Architecture, Space

OBJECTIVES = tuple(Objective(name, "minimise") for name in "abc")


@pytest.mark.parametrize(
    ("objectives", "population", "count"), [(2, 64, 64), (3, 64, 55), (4, 64, 56), (3, 12, 10), (3, 3, 3), (3, 2, 2)]
)
def test_there_are_as_many_directions_as_the_population_has_room_for(
    objectives: int, population: int, count: int
) -> None:
    directions = nsga3.reference_directions(objectives, population)
    assert directions.shape == (count, objectives)
    assert directions.sum(1) == pytest.approx(np.ones(count))
    assert count in {comb(p + objectives - 1, objectives - 1) for p in range(1, 70)} | {population}
    assert len(np.unique(directions.round(9), axis=0)) == count
    assert (directions.max(1) == 1).sum() == min(objectives, population)  # the corners


def scored(architecture: Architecture) -> Scores:
    """The unit simplex for a + b <= 20, and dominated points behind it."""
    a, b = int(architecture["a"]) / 20, int(architecture["b"]) / 20
    return Scores(architecture, {"a": a, "b": b, "c": max(0.0, 1 - a - b)}, None, 0)


def test_failures_do_not_make_the_search_depend_on_chance(lattice: Space) -> None:
    """Three of four fail, so that most tournaments are between equals: twelve generations of them, twice the same."""

    def mostly_failed(architecture: Architecture) -> Scores:
        values = {name: float(architecture[f"x{i}"]) for i, name in enumerate("abc")}
        failed = int(architecture.id, 16) % 4 > 0
        return Scores(architecture, {} if failed else values, "it fails" if failed else None, 0)

    def proposals() -> list[str]:
        algorithm = nsga3.ALGORITHM.make(Problem(lattice, OBJECTIVES, (), 12, 0))
        asked: list[Architecture] = []
        for _ in range(12):
            generation = algorithm.ask(12)
            algorithm.tell([mostly_failed(architecture) for architecture in generation])
            asked += generation
        return [architecture.id for architecture in asked]

    assert proposals() == proposals()


def test_nearly_every_direction_has_a_survivor(triangle: Space) -> None:
    """A front of 231 points, 55 directions, 330 evaluations."""
    algorithm = nsga3.ALGORITHM.make(Problem(triangle, OBJECTIVES, (), 55, 0))
    for _ in range(6):
        algorithm.tell([scored(a) for a in algorithm.ask(55)])
    survivors = algorithm._algorithm.pop.get("F")  # type: ignore[attr-defined]
    directions = nsga3.reference_directions(3, 55)
    units = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    nearest = (survivors @ units.T / np.linalg.norm(survivors, axis=1, keepdims=True)).argmax(1)
    assert len(survivors) == 55
    assert len(set(nearest.tolist())) >= 50
