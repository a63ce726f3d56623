"""Optuna's samplers behind ask and tell: no repeated proposals; failures and constraints in Optuna's terms."""

from collections.abc import Mapping
from typing import Any

import optuna
import pytest
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from zenfront.pipeline import algorithms
from zenfront.pipeline.algorithms import Problem
from zenfront.pipeline.algorithms._optuna import OptunaSearch
from zenfront.pipeline.objectives import Constraint, Objective
from zenfront.pipeline.results.stage_rows import Scores
from zenfront.spaces import Space

OBJECTIVES = (Objective("a", "maximise"), Objective("b", "minimise"))


class Stubborn(BaseSampler):
    """A sampler that always proposes the lowest levels."""

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(self, *_: Any) -> dict[str, Any]:
        return {}

    def sample_independent(self, study: Any, trial: Any, name: str, distribution: BaseDistribution) -> Any:
        return 0


def trials(search: Any) -> list[FrozenTrial]:
    return list(search._study.trials)


def test_a_repeated_proposal_fails_and_is_replaced_by_a_uniform_sample(triangle: Space) -> None:
    search = OptunaSearch(Problem(triangle, OBJECTIVES, (), 4, 0), "stubborn", lambda seed: Stubborn(), tries=3)
    asked = search.ask(4)
    assert asked[0].mapping == {"a": 0, "b": 0}
    assert len(set(asked)) == 4
    states = [trial.state for trial in trials(search)]
    assert states.count(TrialState.FAIL) == 3 * 3
    assert states.count(TrialState.RUNNING) == 4
    running = [trial.params for trial in trials(search) if trial.state == TrialState.RUNNING]
    assert running == [a.mapping for a in asked]


def test_trials_end_in_the_states_that_optuna_defines(triangle: Space) -> None:
    constraints = (Constraint("b", at_most=10.0), Constraint("a", at_least=2.0))
    search: Any = algorithms.load("optuna_nsga2").make(Problem(triangle, OBJECTIVES, constraints, 4, 0))
    asked = search.ask(4)
    rows: list[Mapping[str, float]] = [{"a": 4.0, "b": 5.0}, {}, {"b": 20.0}, {"a": 8.0, "b": 10.0}]
    search.tell([Scores(a, row, None if row else "it fails", 0) for a, row in zip(asked, rows, strict=True)])
    first, failed, early, last = trials(search)
    assert (first.state, first.values) == (TrialState.COMPLETE, [4.0, 5.0])
    assert (failed.state, failed.values) == (TrialState.FAIL, None)
    # Its second constraint is unknown; the mean replaces its first score. The excess (20 - 10) / 10 = 1 is squeezed.
    assert (early.state, early.values) == (TrialState.COMPLETE, [4.0, 20.0])
    assert early.constraints == {"b <= 10": 0.5, "a >= 2": 0.0}
    assert last.values == [8.0, 10.0]
    assert [trial.number for trial in search._study.best_trials] == [0, 3]


@pytest.mark.parametrize("objectives", [1, 2])
def test_the_gaussian_process_climbs_and_is_reproducible(triangle: Space, objectives: int) -> None:
    """After ten random samples, two proposals on a plane lie in or next to the best corner, a = 20 and b = 0."""

    def proposed() -> list[dict[str, Any]]:
        search = algorithms.load("optuna_gp").make(Problem(triangle, OBJECTIVES[:objectives], (), 10, 3))
        first = search.ask(10)
        search.tell([Scores(a, {"a": float(a["a"]), "b": float(a["b"])}, None, 0) for a in first])
        return [dict(a.genes) for a in search.ask(2)]

    found = proposed()
    assert proposed() == found
    assert found[0]["a"] >= 18
    assert objectives == 1 or found[0]["b"] <= 2
