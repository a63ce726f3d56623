import numpy as np

from zenfront.pipeline.analysis.regret import (
    Regret,
    front_rule,
    measure_on_subsets,
    measure_regret,
    random_rule,
    stratified_rule,
    top_rule,
)
from zenfront.pipeline.seeds import numpy_generator

COST = np.array([1.0, 1, 2, 2, 3, 3])
ACCURACY = np.array([50.0, 60, 70, 65, 68, 55])
RNG = numpy_generator(0, "test of regret")


def test_regret_is_taken_at_every_cost_level() -> None:
    # The best at most at cost 1, 2, 3: 60, 70, 70. Of {0, 3}: 50, 65, 65. Of {4}: nothing, nothing, 68.
    assert measure_regret(np.array([0, 3]), ACCURACY, COST) == Regret(20 / 3, 10.0)
    assert measure_regret(np.array([1, 2]), ACCURACY, COST) == Regret(0.0, 0.0)
    assert measure_regret(np.array([4]), ACCURACY, COST) == Regret((10 + 20 + 2) / 3, 20.0)


def test_round_robin_takes_the_best_of_each_level_first() -> None:
    rule = stratified_rule(-ACCURACY, COST)
    assert rule(3, RNG).tolist() == [1, 2, 4]
    assert rule(6, RNG).tolist() == [1, 2, 4, 0, 3, 5]
    assert rule(2, RNG).tolist() == [1, 4]
    assert sorted(rule(9, RNG)) == [0, 1, 2, 3, 4, 5]


def test_distinct_costs_are_levels_in_quantiles() -> None:
    """Ten architectures of distinct cost make levels of three, three and four."""
    cost, accuracy = np.arange(10.0), np.array([10.0, 40, 20, 30, 0, 50, 90, 60, 80, 70])
    assert stratified_rule(-accuracy, cost)(3, RNG).tolist() == [1, 5, 6]
    assert stratified_rule(-accuracy, cost)(6, RNG).tolist() == [1, 5, 6, 2, 3, 8]
    # The best at most at cost 2, 5 and 9: 40, 50, 90. Of {0, 9}: 10, 10, 70.
    assert measure_regret(np.array([0, 9]), accuracy, cost) == Regret(30.0, 40.0)


def test_without_a_loss_each_level_is_drawn_from() -> None:
    drawn = {tuple(sorted(COST[stratified_rule(None, COST)(3, RNG)])) for _ in range(20)}
    assert drawn == {(1.0, 2.0, 3.0)}


def test_a_front_is_filled_from_the_next_and_cut_by_crowding() -> None:
    losses = np.array([[0.0, 4], [1, 2], [2, 1.9], [4, 0], [5, 5]])
    assert sorted(front_rule(losses)(4, RNG)) == [0, 1, 2, 3]
    assert sorted(front_rule(losses)(5, RNG)) == [0, 1, 2, 3, 4]
    # Crowding distances of the inner two: (2 + 2.1) / 4 and (3 + 2) / 4.
    assert sorted(front_rule(losses)(3, RNG)) == [0, 2, 3]


def test_the_best_by_one_loss() -> None:
    assert top_rule(-ACCURACY)(2, RNG).tolist() == [2, 4]


def test_random_ones_are_distinct() -> None:
    assert sorted(random_rule(5)(5, RNG)) == [0, 1, 2, 3, 4]
    assert len(random_rule(5)(3, RNG)) == 3


def test_the_spread_is_over_subsets_and_repeats_with_its_seeds() -> None:
    def oracle(subset: np.ndarray) -> object:
        return stratified_rule(-ACCURACY[subset], COST[subset])

    def runs(share: float) -> list[Regret]:
        return measure_on_subsets(oracle, ACCURACY, COST, 6, [numpy_generator(s, "subset") for s in range(4)], share)  # type: ignore[arg-type]

    assert runs(0.5) == runs(0.5)
    assert runs(1.0) == [Regret(0.0, 0.0)] * 4  # all are picked
