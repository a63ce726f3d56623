"""The behaviour of `Space`, `Levels` and `Architecture` in every search space."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import numpy as np
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from torch import nn

from zenfront.pipeline.errors import UserError
from zenfront.spaces import Architecture, Levels, Network, Space, Task


def build(architecture: Architecture, task: Task) -> Network:
    head = nn.Sequential(nn.Flatten(), nn.Linear(task.channels * task.height * task.width, task.out_features))
    return Network(nn.Identity(), head)


def make(distributions: Mapping[str, BaseDistribution], **fields: object) -> Space:
    return replace(Space("made", distributions, build, "a test"), **fields)  # type: ignore[arg-type]


@pytest.fixture
def space() -> Space:
    return make(
        {
            "depth": IntDistribution(1, 9, step=2),
            "rate": FloatDistribution(0.1, 0.5, step=0.1),
            "kernel": CategoricalDistribution((3, 5, 7)),
            "kind": CategoricalDistribution(("a", "b", "c")),
        }
    )


def test_levels_and_their_order(space: Space) -> None:
    assert space.levels["depth"] == Levels((1, 3, 5, 7, 9), ordered=True)
    assert space.levels["rate"] == Levels((0.1, 0.2, 0.3, 0.4, 0.5), ordered=True)
    assert space.levels["kernel"] == Levels((3, 5, 7), ordered=True)
    assert space.levels["kind"] == Levels(("a", "b", "c"), ordered=False)
    assert space.size == 5 * 5 * 3 * 3


@pytest.mark.parametrize(
    ("distribution", "message"),
    [
        (FloatDistribution(0.0, 1.0), "must be discrete"),
        (CategoricalDistribution((True, False)), "must be a number or a string"),
        (CategoricalDistribution((None, 1)), "must be a number or a string"),
    ],
)
def test_other_distributions_are_user_errors(distribution: BaseDistribution, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Levels.of("gene", distribution)


@pytest.mark.parametrize("value", [3, 3.0, "3", np.int64(3).item()])
def test_an_equal_value_is_cast_to_the_type_of_its_level(space: Space, value: object) -> None:
    architecture = space.architecture({"depth": value, "rate": 0.1 + 0.2, "kernel": 5, "kind": "a"})
    assert repr(architecture["depth"]) == "3"
    assert architecture["rate"] == 0.3


@pytest.mark.parametrize("value", [True, 2, "three", None, 3.5, float("nan")])
def test_a_value_outside_its_levels_is_a_user_error(space: Space, value: object) -> None:
    with pytest.raises(UserError, match="gene 'depth': the value must be one of 1, 3, 5, 7, 9"):
        space.architecture({"depth": value, "rate": 0.3, "kernel": 5, "kind": "a"})


def test_the_id_is_a_hash_of_the_json() -> None:
    architecture = Architecture("made", (("depth", 3), ("kind", "a")))
    assert architecture.to_json() == '{"space":"made","genes":{"depth":3,"kind":"a"}}'
    # printf '%s' '{"space":"made","genes":{"depth":3,"kind":"a"}}' | sha256sum | cut -c1-16
    assert architecture.id == "0f8588947f28a2cf"


def test_neighbours_are_adjacent_levels_and_all_other_categories(space: Space) -> None:
    architecture = space.architecture({"depth": 1, "rate": 0.3, "kernel": 5, "kind": "b"})
    changes = {
        next((name, other[name]) for name, value in architecture.genes if other[name] != value)
        for other in space.neighbours(architecture)
    }
    expected = {("depth", 3), ("rate", 0.2), ("rate", 0.4), ("kernel", 3), ("kernel", 7), ("kind", "a"), ("kind", "c")}
    assert changes == expected


def test_mutations_of_the_space_replace_them(space: Space) -> None:
    def mutations(architecture: Architecture) -> Iterable[Mapping[str, object]]:
        genes = dict(architecture.genes)
        return [genes, genes | {"kind": "c"}, genes | {"kind": "c"}]

    other = make(space.distributions, mutations=mutations)
    architecture = other.architecture({"depth": 1, "rate": 0.3, "kernel": 5, "kind": "b"})
    assert [neighbour["kind"] for neighbour in other.neighbours(architecture)] == ["c"]


def test_neighbours_that_canonicalise_to_the_same_come_once(space: Space) -> None:
    def canonical(architecture: Architecture) -> Architecture:
        return Architecture(architecture.space, (*architecture.genes[:3], ("kind", "a")))

    other = make(space.distributions, canonical=canonical)
    architecture = other.architecture({"depth": 1, "rate": 0.1, "kernel": 3, "kind": "b"})
    assert len(list(other.neighbours(architecture))) == 3


def test_samples_are_uniform_or_log_uniform() -> None:
    """A log-uniform draw from 1 .. 15, between 1/2 and 31/2, is 1 with probability log 3 / log 31."""
    space = make({"flat": IntDistribution(1, 15), "log": IntDistribution(1, 15, log=True)})
    generator = np.random.default_rng(0)
    drawn = [space.sample(generator) for _ in range(4000)]
    flat = Counter(int(architecture["flat"]) for architecture in drawn)
    log = Counter(int(architecture["log"]) for architecture in drawn)
    assert set(flat) == set(log) == set(range(1, 16))
    assert flat[1] / 4000 == pytest.approx(1 / 15, abs=0.015)
    assert log[1] / 4000 == pytest.approx(math.log(3) / math.log(31), abs=0.03)
    assert log[15] / 4000 == pytest.approx(math.log(31 / 29) / math.log(31), abs=0.015)


@pytest.mark.parametrize(
    "distribution",
    [
        IntDistribution(4, 10, step=3),
        IntDistribution(8, 32, step=8),
        IntDistribution(0, 3),
        IntDistribution(1, 15, log=True),
        FloatDistribution(0.1, 0.3, step=0.1),
        CategoricalDistribution(("a", 1)),
    ],
)
def test_ray_draws_every_level_and_nothing_else(distribution: BaseDistribution) -> None:
    space = make({"gene": distribution})
    generator = np.random.default_rng(0)
    domain = space.as_ray()["gene"]
    drawn = {space.architecture({"gene": domain.sample(random_state=generator)}) for _ in range(600)}
    assert {architecture["gene"] for architecture in drawn} == set(space.levels["gene"].values)


def test_a_violation_stops_the_network(space: Space) -> None:
    violation: Callable[[Architecture, Task], str | None] = lambda architecture, task: "it is too deep"  # noqa: E731
    other = make(space.distributions, violation=violation)
    architecture = other.decode([0, 0, 0, 0])
    with pytest.raises(UserError, match=r"^depth=1,rate=0.1,kernel=3,kind=a: it is too deep$"):
        other.network(architecture, Task(1, 2, 2, 2))


def test_literal_is_not_canonical(space: Space) -> None:
    def canonical(architecture: Architecture) -> Architecture:
        return Architecture(architecture.space, (("depth", 1), *architecture.genes[1:]))

    other = make(space.distributions, canonical=canonical)
    assert other.literal([2, 0, 0, 0])["depth"] == 5
    assert other.decode([2, 0, 0, 0])["depth"] == 1
