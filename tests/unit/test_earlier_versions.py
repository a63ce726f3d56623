"""Experiments that an earlier version stored."""

from zenfront.pipeline.experiment.earlier_versions import completed


def test_the_method_of_ntk_has_the_name_of_today() -> None:
    stored = {"proxies": {"ntk": {"mode": "reference", "precision": "float64"}, "zen": {"mode": "reference"}}}
    assert completed(stored)["proxies"] == {
        "ntk": {"precision": "float64", "method": "exact"},
        "zen": {"mode": "reference"},
    }
