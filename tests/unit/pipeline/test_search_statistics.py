"""The running statistics of a search."""

import numpy as np
import pytest
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

from zenfront import spaces
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.objectives import Constraint, Objective
from zenfront.pipeline.pareto import normalised_hypervolume
from zenfront.pipeline.results.stage_rows import Box, Scores
from zenfront.pipeline.seeds import numpy_generator
from zenfront.pipeline.stages.search.statistics import SearchStatistics

OBJECTIVES = [Objective("zen", "maximise"), Objective("flops", "minimise")]
ARCHITECTURE = spaces.load("anynet3").sample(numpy_generator(0, "progress"))


def point(zen: float, flops: float) -> Scores:
    return Scores(ARCHITECTURE, {"zen": zen, "flops": flops}, None, 0)


FAILED = Scores(ARCHITECTURE, {}, "ntk: singular", 0)


def test_hypervolume_is_in_units_of_the_first_front() -> None:
    statistics = SearchStatistics(OBJECTIVES, [])
    statistics.add([point(10, 100), point(20, 200), point(5, 300)])
    # Front (0, 0.. ) in the unit box: corners (1, 0) and (0, 1); reference 1.1: 1.1 * 0.1 + 0.1 * 1.1 - 0.1 * 0.1.
    assert statistics.hypervolume == pytest.approx(0.21)
    assert statistics.box == Box([-20, 100], [-10, 200])
    statistics.add([point(20, 100)])
    assert statistics.hypervolume == pytest.approx(1.21)
    assert len(statistics.front) == 1
    assert statistics.best == {"zen": 20, "flops": 100}


def test_failures_and_infeasible_are_counted_apart_and_not_on_the_front() -> None:
    statistics = SearchStatistics(OBJECTIVES, [Constraint("flops", at_most=150)])
    statistics.add([point(10, 100), point(20, 200), FAILED, FAILED])
    row = statistics.generation(3, seconds=2.0, rate=4.0, time=1.8e9)
    assert (row.generation, row.front, row.failures, row.infeasible, row.evaluations) == (3, 1, 2, 1, 4)
    assert (row.seconds, row.rate, row.time) == (2.0, 4.0, 1.8e9)
    assert statistics.failures == {"ntk: singular": 2}


def test_a_search_without_progress_is_infeasible_and_names_the_constraints() -> None:
    statistics = SearchStatistics(OBJECTIVES, [Constraint("flops", at_most=10)])
    statistics.add([point(10, 300), point(10, 200)])
    statistics.add([point(10, 250), point(10, 100)])
    with pytest.raises(UserError, match=r"flops <= 10 excludes 6 of 6 \(flops was 100 to 300\)"):
        statistics.add([point(10, 100), point(20, 200)])


def test_a_search_in_which_all_candidates_fail_reports_the_reasons() -> None:
    statistics = SearchStatistics(OBJECTIVES, [])
    statistics.add([FAILED, FAILED])
    assert statistics.hypervolume is None
    with pytest.raises(UserError, match="4 of 4 failed: ntk: singular"):
        statistics.add([FAILED, FAILED])


def test_the_front_kept_from_generation_to_generation_is_that_of_all() -> None:
    rng = numpy_generator(0, "points")
    generations = [[point(*rng.integers(0, 40, 2)) for _ in range(50)] for _ in range(6)]
    statistics = SearchStatistics(OBJECTIVES, [])
    for scored in generations:
        statistics.add(scored)
    everything = np.array([[-s.values["zen"], s.values["flops"]] for scored in generations for s in scored])
    expected = everything[NonDominatedSorting().do(everything)[0]]
    assert sorted(statistics.front.tolist()) == sorted(expected.tolist())
    assert statistics.box is not None
    assert statistics.hypervolume == normalised_hypervolume(expected, statistics.box.ideal, statistics.box.nadir)
