"""Survivors are the best in ZenNAS, the youngest in regularised evolution, and the best rank sums in AZ-NAS."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from zenfront.pipeline import algorithms
from zenfront.pipeline.algorithms import Problem, rank_sum, regularized_evolution, zennas
from zenfront.pipeline.algorithms._evolution import mutate
from zenfront.pipeline.objectives import Constraint, Objective
from zenfront.pipeline.results.stage_rows import Scores
from zenfront.pipeline.seeds import numpy_generator
from zenfront.spaces import Architecture, Space

TOTAL = (Objective("total", "maximise"),)


def scored(architecture: Architecture) -> Scores:
    total = float(sum(int(value) for _, value in architecture.genes))
    return Scores(architecture, {"total": total}, None, 0)


def searched(name: str, space: Space, seed: int, *constraints: Constraint, generations: int = 20) -> list[Scores]:
    algorithm, found = algorithms.load(name).make(Problem(space, TOTAL, constraints, 10, seed)), list[Scores]()
    for _ in range(generations):
        generation = [scored(a) for a in algorithm.ask(10)]
        algorithm.tell(generation)
        found += generation
    return found


def best(found: list[Scores], at_most: float = math.inf) -> float:
    return max(s.values["total"] for s in found if s.values["total"] <= at_most)


@pytest.mark.parametrize("name", ["zennas", "regularized_evolution", "rank_sum"])
def test_evolution_climbs_higher_than_random_search(name: str, lattice: Space) -> None:
    """The sum of 8 uniform draws has mean 36 and standard deviation 8.1: the best of 200 is about 58."""
    for seed in range(3):
        assert best(searched(name, lattice, seed)) > best(searched("random", lattice, seed)) + 4


@pytest.mark.parametrize("name", ["zennas", "regularized_evolution", "rank_sum"])
def test_a_budget_that_random_search_never_meets_is_found(name: str, lattice: Space) -> None:
    """P(sum <= 8) = C(16, 8) / 10^8 = 0.0001; 600 architectures are evaluated."""
    found = searched(name, lattice, 0, Constraint("total", at_most=8), generations=60)
    assert best(found, at_most=8) == 8


def test_zennas_drops_the_lowest_and_admits_architectures_within_the_budget() -> None:
    losses = np.array([[-5.0], [-9.0], [-7.0], [-1.0], [-8.0]])
    assert zennas.survivors(losses, np.zeros(5), 3).tolist() == [1, 4, 2]
    # 1 and 4 exceed the budget: 4 by less, and room is left for one of them.
    assert zennas.survivors(losses, np.array([0, 0.5, 0, 0, 0.25]), 4).tolist() == [2, 0, 3, 4]


def test_regularised_evolution_removes_the_oldest() -> None:
    losses = np.array([[-100.0], [-1.0], [-3.0], [-2.0]])
    assert regularized_evolution.survivors(losses, np.zeros(4), 3).tolist() == [2, 3, 1]
    assert regularized_evolution.survivors(losses, np.zeros(4), 9).tolist() == [0, 2, 3, 1]


@pytest.mark.parametrize(("name", "lives"), [("regularized_evolution", False), ("zennas", True)])
def test_the_best_of_the_first_generation_survives_in_zennas_but_not_in_regularised_evolution(
    name: str, lives: bool, lattice: Space
) -> None:
    algorithm: Any = algorithms.load(name).make(Problem(lattice, TOTAL, (), 10, 0))
    elders = algorithm.ask(10)
    algorithm.tell([Scores(a, {"total": 100.0 if a is elders[3] else 0.0}, None, 0) for a in elders])
    assert elders[3] in algorithm._population
    algorithm.tell([scored(a) for a in algorithm.ask(10)])
    assert (elders[3] in algorithm._population) == lives


def test_failed_architectures_are_never_parents(lattice: Space) -> None:
    algorithm: Any = zennas.ALGORITHM.make(Problem(lattice, TOTAL, (), 4, 0))
    asked = algorithm.ask(4)
    algorithm.tell([Scores(a, {}, "it fails", 0) if i < 3 else scored(a) for i, a in enumerate(asked)])
    assert algorithm._population == [asked[3]]


def test_survivors_have_the_highest_sums_of_log_ranks() -> None:
    """By hand, n = 3: log(3/3 * 1/3), log(2/3 * 3/3), log(1/3 * 2/3)."""
    losses = np.array([[1.0, 30.0], [2.0, 10.0], [3.0, 20.0]])
    assert rank_sum.survivors(losses, np.zeros(3), 3).tolist() == [1, 0, 2]


def test_infeasible_architectures_have_no_rank() -> None:
    """The first would be best in every score; it comes last, and the order of the others does not change."""
    losses = np.array([[0.0, 0.0], [1.0, 30.0], [2.0, 10.0], [3.0, 20.0]])
    assert rank_sum.survivors(losses, np.array([0.1, 0, 0, 0]), 4).tolist() == [2, 1, 3, 0]


def test_a_mutation_changes_one_gene(lattice: Space) -> None:
    generator = numpy_generator(0, "mutants")
    parent = lattice.sample(generator)
    children = [mutate(lattice, parent, generator) for _ in range(200)]
    changes = [sum(child[gene] != parent[gene] for gene in lattice.levels) for child in children]
    assert set(changes) == {0, 1}  # a step that is reflected at a bound may end where it began
    assert np.mean(changes) > 0.85


def test_a_space_with_mutations_of_its_own_is_mutated_by_them(lattice: Space) -> None:
    own = replace(
        lattice, mutations=lambda architecture: [dict(architecture.mapping) | {"x0": x, "x1": x} for x in (3, 7)]
    )
    generator = numpy_generator(0, "mutants")
    parent = own.sample(generator)
    children = {mutate(own, parent, generator) for _ in range(20)}
    assert children == {own.architecture(dict(parent.mapping) | {"x0": x, "x1": x}) for x in (3, 7)}
