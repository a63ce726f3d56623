"""Figures of a study of weight sharing."""

from zenfront.pipeline.analysis.resampling import Estimate
from zenfront.pipeline.analysis.weight_sharing.instances import Spread
from zenfront.pipeline.evaluation.weight_sharing.figures import groups_against_tau
from zenfront.pipeline.evaluation.weight_sharing.instances import LAST
from zenfront.pipeline.evaluation.weight_sharing.measures import Measures


def test_one_group_belongs_to_every_way_of_grouping() -> None:
    def measures(name: str, tau: float) -> Measures:
        spread = Spread(Estimate(tau, None), 0.0, tau - 0.1, tau + 0.1, 2)
        return Measures(name, LAST, spread, spread, None, {})

    groups = [("one", "random", 1), ("alike", "lexicographic", 8), ("any", "random", 8)]
    plot = groups_against_tau([measures("one", 0.4), measures("alike", 0.7), measures("any", 0.2)], groups)
    assert plot is not None
    assert {series.name: (list(series.x), list(series.y)) for series in plot.series} == {
        "lexicographic": ([1, 8], [0.4, 0.7]),
        "random": ([1, 8], [0.4, 0.2]),
    }
    assert groups_against_tau([measures("alike", 0.7)], groups[1:]) is None
