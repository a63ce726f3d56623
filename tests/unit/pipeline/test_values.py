"""The values of the project: scores, seeds, objectives and constraints."""

import hashlib

import numpy as np
import pytest

from zenfront import spaces
from zenfront.pipeline.objectives import Constraint, Objective, losses, violations
from zenfront.pipeline.results.stage_rows import Epoch, Scores
from zenfront.pipeline.seeds import numpy_generator, seed_for, torch_generator

ARCHITECTURE = spaces.load("anynet3").sample(numpy_generator(0, "values"))


def scores(failure: str | None = None, **values: float) -> Scores:
    return Scores(ARCHITECTURE, values, failure, seed=0)


@pytest.mark.parametrize("values", [{}, {"zen": 1.0}])
def test_scores_have_either_values_or_a_failure(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="values or a failure"):
        Scores(ARCHITECTURE, values, "reason" if values else None, seed=0)


def test_rows_round_trip() -> None:
    full = Scores(ARCHITECTURE, {"zen": 0.1}, None, 3, {"zen": 0.01}, {"zen": 0.5})
    assert Scores.from_row(full.to_row()) == full
    failed = scores("zen: dead")
    assert Scores.from_row(failed.to_row()) == failed
    epoch = Epoch("a-0", 2, {"val_accuracy": 0.5}, None, 1.5)
    assert Epoch.from_row(epoch.to_row()) == epoch


def test_a_seed_is_the_digest_of_its_names() -> None:
    digest = hashlib.sha256(b"7\x1fzen\x1f0").digest()
    assert seed_for(7, "zen", "0") == int.from_bytes(digest[:8], "big") // 2
    assert seed_for(7, "ab", "c") != seed_for(7, "a", "bc")
    assert torch_generator(1, "x").initial_seed() == seed_for(1, "x")
    assert numpy_generator(1, "x").random() == numpy_generator(1, "x").random()


def test_losses_point_down_and_missing_scores_count_nothing() -> None:
    rows = [scores(zen=2.0, flops=5.0), scores(flops=7.0), scores("dead")]
    objectives = [Objective("zen", "maximise"), Objective("flops", "minimise")]
    np.testing.assert_array_equal(losses(rows, objectives), [[-2, 5], [0, 7], [0, 0]])
    assert losses([], objectives).shape == (0, 2)


def test_violation_grows_with_the_distance_and_failures_are_worst() -> None:
    constraints = [Constraint("flops", at_most=10.0), Constraint("zen", at_least=-5.0)]
    rows = [scores(flops=10.0, zen=-5.0), scores(flops=11.0), scores(flops=1e30), scores("dead")]
    rows.append(scores(flops=1e30, zen=-1e30))
    feasible, near, far, failed, both = violations(rows, constraints)
    assert feasible == 0 < near < far < both < failed
    assert np.isfinite([near, far, both, failed]).all()


def test_a_value_one_unit_in_the_last_place_beyond_the_bound_is_infeasible() -> None:
    beyond = np.nextafter(1e6, 2e6)
    assert Constraint("flops", at_most=1e6).excess(beyond) > 0
    assert Constraint("flops", at_most=0.0).excess(5e-324) > 0


def test_bounds_that_exclude_everything_are_refused() -> None:
    with pytest.raises(ValueError, match=r"`at_least <= at_most` must hold, but got \(at_least=2, at_most=1\)"):
        Constraint("zen", at_most=1, at_least=2)
    with pytest.raises(ValueError, match="needs `at_most` or `at_least`"):
        Constraint("zen")


@pytest.mark.parametrize(("shape", "rule"), [((0, 8, 8, 10), "must be at least 1"), ((3, 8, 8, 1), "at least 2")])
def test_a_task_has_images_and_classes(shape: tuple[int, int, int, int], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        spaces.Task(*shape)
