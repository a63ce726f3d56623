"""A name that is spelled otherwise, or called by another usual word, is recognised in a message."""

import pytest

from zenfront.pipeline import algorithms, proxies, schedulers
from zenfront.pipeline.experiment.recipe import Recipe
from zenfront.pipeline.wording import suggestion
from zenfront.spaces import names


@pytest.mark.parametrize(
    ("written", "known", "meant"),
    [
        ("ASHA", schedulers.names(), "asha"),
        ("NSGA-II", algorithms.names(), "nsga2"),
        ("NSGA III", algorithms.names(), "nsga3"),
        ("NAS-Bench-201", names(), "nasbench201"),
        ("NAS_Bench_Macro", names(), "nasbench_macro"),
        ("RegNet", names(), "regnet"),
        ("lr", list(Recipe.model_fields), "learning_rate"),
        ("learning-rate", list(Recipe.model_fields), "learning_rate"),
        ("weightDecay", list(Recipe.model_fields), "weight_decay"),
        ("maximize", ["maximise", "minimise"], "maximise"),
        ("MINIMIZE", ["maximise", "minimise"], "minimise"),
        ("max", ["maximise", "minimise"], "maximise"),
        ("NWOT", proxies.names(), "naswot"),
        ("parameters", proxies.names(), "params"),
        ("Successive-Halving", schedulers.names(), "successive_halving"),
    ],
)
def test_the_intended_name_is_suggested(written: str, known: list[str], meant: str) -> None:
    assert suggestion(written, known) == f" Did you mean {meant!r}?"


@pytest.mark.parametrize("written", ["", "qqqqqq", "lr", 7, None])
def test_nothing_is_suggested_where_no_name_is_near(written: object) -> None:
    assert suggestion(written, ["zen", "naswot"]) == ""
