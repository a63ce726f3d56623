"""Scores depend on seed, architecture and proxy alone; costs come first; a failure is a stated reason."""

import math
import pickle
from dataclasses import replace
from typing import ClassVar

import pytest
import torch

from zenfront import spaces
from zenfront.pipeline import measurement, proxies
from zenfront.pipeline.errors import ScoreUndefined
from zenfront.pipeline.objectives import Constraint
from zenfront.pipeline.proxies import Batch, Proxy
from zenfront.pipeline.results.stage_rows import Scores
from zenfront.pipeline.scoring import Place, Scoring, noise_batch
from zenfront.pipeline.seeds import numpy_generator, torch_generator
from zenfront.pipeline.structure.graph import COLUMNS
from zenfront.spaces import Network, Task

SPACE = spaces.load("anynet3")
TASK = Task(1, 8, 8, 10)
SMALL = SPACE.architecture(SPACE.parse("d1=1,w1=16,b1=2,g1=4,d2=1,w2=16,b2=1,g2=8,d3=2,w3=24,b3=2,g3=1"))
SCORING = Scoring(SPACE, TASK, ["zen", "ntk", "flops", "depth"], noise_batch(TASK, 8, 0), seed=0)


def broken(network: Network, batch: Batch, generator: torch.Generator) -> float:
    raise MemoryError("no room")


def undefined(network: Network, batch: Batch, generator: torch.Generator) -> float:
    raise ScoreUndefined("a dead network")


def infinite(network: Network, batch: Batch, generator: torch.Generator) -> float:
    return float("inf")


@pytest.fixture
def with_score(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the three proxies above loadable."""
    known = {f.__name__: Proxy(f.__name__, f, "1", "maximise", "a test") for f in (broken, undefined, infinite)}
    load = proxies.load
    monkeypatch.setattr(proxies, "load", lambda name, code=(): known.get(name) or load(name))


def test_a_score_does_not_depend_on_the_others_or_on_what_was_scored_before() -> None:
    together = SCORING.score(SMALL)
    SCORING.score(SPACE.sample(numpy_generator(0, "another")))
    for name in SCORING.names:
        alone = replace(SCORING, names=[name]).score(SMALL)
        assert alone.values[name] == together.values[name]
    assert replace(SCORING, names=list(reversed(SCORING.names))).score(SMALL).values == together.values


class Moved(Batch):
    """A mini-batch that notes where it is copied to."""

    places: ClassVar[list[str]] = []

    def to(self, device: torch.device | str) -> Batch:
        """Note the device."""
        self.places.append(str(device))
        return Batch(self.images, self.labels)


def test_the_mini_batch_goes_to_the_device_once_for_all_candidates() -> None:
    Moved.places.clear()
    scoring = replace(SCORING, batch=Moved(SCORING.batch.images, SCORING.batch.labels))
    assert scoring.score(SMALL).values == SCORING.score(SMALL).values
    scoring.score(SPACE.sample(numpy_generator(0, "another")))
    assert Moved.places.count("cpu") == 1
    assert "_batch_there" not in vars(pickle.loads(pickle.dumps(scoring)))


def test_weights_are_drawn_where_the_option_says(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def note(root: int, *names: str, device: torch.device | str = "cpu") -> torch.Generator:
        if "gaussian" in names:
            asked.append(str(device))
        return torch_generator(root, *names)

    monkeypatch.setattr(measurement, "torch_generator", note)
    places: tuple[Place, Place] = ("cpu", "device")
    for place in places:
        replace(SCORING, names=["zen"], device="meta", init_device=place).score(SMALL)  # it stands for a GPU
    assert asked == ["cpu", "meta"]


def test_on_a_cpu_the_device_is_the_cpu() -> None:
    assert replace(SCORING, init_device="device").score(SMALL).values == SCORING.score(SMALL).values


def test_the_seed_changes_sampled_scores_and_not_costs() -> None:
    one, other = SCORING.score(SMALL).values, replace(SCORING, seed=1).score(SMALL).values
    assert one["zen"] != other["zen"]
    assert one["ntk"] != other["ntk"]
    assert (one["flops"], one["depth"]) == (other["flops"], other["depth"])


def test_repeats_give_mean_and_standard_error() -> None:
    single, repeated = SCORING.score(SMALL), replace(SCORING, repeats=3).score(SMALL)
    assert not single.errors
    assert set(repeated.errors) == {"zen", "ntk"}
    assert repeated.errors["zen"] > 0
    more = replace(SCORING, repeats=2).score(SMALL)
    second = 2 * more.values["zen"] - single.values["zen"]  # of two values, from the first and their mean
    assert more.errors["zen"] == pytest.approx(abs(second - single.values["zen"]) / 2)


def test_architectures_excluded_by_a_cost_are_not_scored_further() -> None:
    tight = replace(SCORING, constraints=[Constraint("flops", at_most=10)])
    scores = tight.score(SMALL)
    assert set(scores.values) == {"flops", "depth"}
    assert set(scores.seconds) == {"build", "flops", "depth"}


@pytest.mark.usefixtures("with_score")
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("broken", "broken: MemoryError: no room"),
        ("undefined", "undefined: a dead network"),
        ("infinite", "infinite: the value is inf"),
    ],
)
def test_any_error_becomes_the_reason_of_the_failure(name: str, reason: str) -> None:
    scores = replace(SCORING, names=["flops", name]).score(SMALL)
    assert scores.failure == reason
    assert not scores.values


def test_a_network_too_deep_for_the_images_is_a_stated_failure() -> None:
    scores = replace(SCORING, task=Task(1, 2, 2, 10)).score(SMALL)
    assert scores.failure is not None
    assert "resolution" in scores.failure


def test_options_reach_the_proxy() -> None:
    reference = replace(SCORING, options={"zen": {"mode": "reference"}})
    assert reference.score(SMALL).values["zen"] != SCORING.score(SMALL).values["zen"]


@pytest.mark.usefixtures("with_score")
def test_an_undefined_score_leaves_the_others_unchanged() -> None:
    names = ["flops", "zen", "undefined", "broken"]
    scores = replace(SCORING, names=names, keep_partial=True).score(SMALL)
    assert scores.failure is None
    assert scores.values == replace(SCORING, names=["flops", "zen"]).score(SMALL).values
    assert scores.undefined == {
        "undefined": "undefined: a dead network",
        "broken": "broken: MemoryError: no room",
    }
    none = replace(SCORING, names=["undefined", "broken"], keep_partial=True).score(SMALL)
    assert none.failure == "undefined: a dead network"


def test_the_row_keeps_the_reason_of_a_missing_score() -> None:
    scores = Scores(SMALL, {"flops": 1.0}, None, 0, undefined={"zen": "a dead network"})
    assert Scores.from_row(scores.to_row()) == scores


def test_graphs_are_counted_of_feasible_networks_if_they_are_asked_for() -> None:
    assert SCORING.score(SMALL).graph == ()
    scoring = replace(SCORING, names=["flops"], describe=True)
    scores = scoring.score(SMALL)
    assert dict(zip(COLUMNS, scores.graph, strict=True))["depth"] == pytest.approx(math.log1p(13))
    assert Scores.from_row(scores.to_row()) == replace(scores, seconds=Scores.from_row(scores.to_row()).seconds)
    small = replace(scoring, constraints=[Constraint("flops", at_most=1)])
    assert small.score(SMALL).graph == ()


def test_a_network_that_cannot_be_followed_has_scores_without_a_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object) -> None:
        raise NotImplementedError("the cost of this layer is not known")

    monkeypatch.setattr("zenfront.pipeline.scoring.graph_row", unknown)
    scores = replace(SCORING, names=["zen"], describe=True).score(SMALL)
    assert scores.graph == ()
    assert set(scores.values) == {"zen"}
