"""An experiment that an algorithm does not support is refused before any work."""

from collections.abc import Callable

import pytest

from zenfront.pipeline import algorithms
from zenfront.pipeline.algorithms import AlgorithmSpec

Zenfront = Callable[..., tuple[int, str, str]]
TAKES = {"zennas": "1", "regularized_evolution": "1", "nsga3": "2 or more"}


@pytest.mark.parametrize("name", algorithms.names())
def test_the_number_of_supported_objectives(name: str) -> None:
    assert algorithms.load(name).objectives == TAKES.get(name, "1 or more")


def test_a_range_of_objectives_in_words() -> None:
    assert AlgorithmSpec(algorithms.load("random").make, "", least=2, most=3).objectives == "2 to 3"


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (
            ["search.algorithm=zennas"],
            "search.algorithm: number of objectives that 'zennas' takes: 1, but got 3 (zen, ntk, flops). "
            "Make the others constraints, or choose from `zenfront algorithms`.",
        ),
        (
            ["search.algorithm=nsga3", "objectives=[{score: zen, direction: maximise}]"],
            "search.algorithm: number of objectives that 'nsga3' takes: 2 or more, but got 1 (zen). "
            "Name more objectives, or choose from `zenfront algorithms`.",
        ),
        (
            ["search.algorithm=optuna_gp", "search.evaluations=513"],
            "search.evaluations: 'optuna_gp' takes at most 512, but got 513: its proposals grow dearer",
        ),
    ],
)
def test_an_unsupported_experiment_is_refused_before_the_search(
    overrides: list[str], said: str, zenfront: Zenfront
) -> None:
    words = [word for override in overrides for word in ("--set", override)]
    code, out, err = zenfront("search", "smoke", *words)
    assert (code, out) == (2, "")
    assert said in " ".join(err.split())


def test_an_experiment_with_one_objective_can_be_scored(zenfront: Zenfront) -> None:
    genes = ",".join(f"d{i}=1,w{i}=8,b{i}=1,g{i}=8" for i in (1, 2, 3))
    words = ("--proxies", "params,flops", "--repeats", "1", "--set", "search.algorithm=zennas")
    code, out, err = zenfront("score", "smoke", "--architecture", genes, *words)
    assert (code, err) == (0, "")
    assert "flops" in out
