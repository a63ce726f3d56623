"""Training of a supernet: reproducible, resumable, and independent training where nothing is shared."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.recipe import Recipe
from zenfront.pipeline.experiment.supernet_config import FineTuning, Norm, Pruning, Setting
from zenfront.pipeline.experiment.supernet_config import Supernet as Config
from zenfront.pipeline.results.supernet_rows import SupernetStep
from zenfront.pipeline.supernet.course import Course
from zenfront.pipeline.supernet.supernet import Supernet
from zenfront.pipeline.supernet.training import train_supernet
from zenfront.pipeline.training.data import Images
from zenfront.pipeline.training.loop import train
from zenfront.spaces import Architecture, Space, Task, load

CPU = torch.device("cpu")
SMALL = Config(last=3, recalibrate=2, finetune=FineTuning(batches=2, after=(1, 3)))


class Runs:
    """Supernets over eight architectures, each trained for three epochs of six steps."""

    def __init__(self, space: Space, architectures: list[Architecture], task: Task, recipe: Recipe, images: Images):
        self.space, self.architectures, self.task = space, architectures, task
        self.recipe, self.images = recipe, images
        self.supernet = self.new()

    def new(self, norm: Norm | None = None) -> Supernet:
        return Supernet(self.space, self.task, self.architectures, norm)

    def course(self, setting: Setting | None = None, config: Config = SMALL) -> Course:
        return Course(config, setting or Setting(), self.recipe, epochs=3, seed=1, order_seed=2)

    def rows(
        self, setting: Setting | None = None, config: Config = SMALL, folder: Path | None = None, stop: int = 10**6
    ) -> list[SupernetStep]:
        """Train and return the rows, at most `stop`: an interruption in the middle."""
        self.supernet = self.new(setting.norm if setting else None)
        found = []
        for row in train_supernet(
            self.supernet, self.images, self.course(setting, config), device=CPU, checkpoint=folder
        ):
            found.append(row)
            if len(found) == stop:
                break
        return found


@pytest.fixture
def runs(space: Space, every: list[Architecture], task: Task, recipe: Recipe, images: Images) -> Runs:
    return Runs(space, every[::8], task, recipe, images)


def _values(rows: list[SupernetStep]) -> list[object]:
    return [(row.key, row.child, row.accuracy, row.train_loss, row.learning_rate) for row in rows]


def test_steps_that_are_evaluated(runs: Runs) -> None:
    rows = runs.rows()
    assert [row.key for row in rows] == [
        (6, "shared"),
        (6, "finetuned"),
        (12, "shared"),
        (16, "shared"),
        (17, "shared"),
        (18, "shared"),
        (18, "ema"),
        (18, "swa"),
        (18, "recalibrated"),
        (18, "finetuned"),
    ]
    assert all(len(row.accuracy) == 8 for row in rows)
    every_four = runs.rows(config=Config(last=2, every=4, ema=0, swa=0, recalibrate=0))
    assert [row.step for row in every_four] == [4, 8, 12, 16, 17, 18]


def test_it_learns(runs: Runs) -> None:
    last = [row for row in runs.rows() if row.kind == "shared"][-1]
    assert np.mean([value for value in last.accuracy if value is not None]) > 0.45  # by chance 1 / 3


def test_the_same_seed_gives_the_same_rows(runs: Runs) -> None:
    assert _values(runs.rows()) == _values(runs.rows())


def test_stochastic_depth_drops_branches_of_the_path(
    task: Task, recipe: Recipe, images: Images, tmp_path: Path
) -> None:
    space, few = load("nasbench_macro"), Config(last=1, ema=0, swa=0, recalibrate=0)
    architectures = [space.architecture(space.parse(text)) for text in ("11111111", "01101101")]
    runs = Runs(space, architectures, task, recipe.model_copy(update={"stochastic_depth": 0.5}), images)
    whole = _values(runs.rows(config=few))
    runs.rows(config=few, folder=tmp_path, stop=1)
    assert _values(runs.rows(config=few, folder=tmp_path)) == whole
    runs.recipe = recipe
    assert _values(runs.rows(config=few)) != whole


@pytest.mark.parametrize("stop", [2, 4, 7])
def test_an_interrupted_run_goes_on_to_the_same_rows(stop: int, runs: Runs, tmp_path: Path) -> None:
    setting = Setting(prune=Pruning(every=1, fraction=0.25))
    whole = runs.rows(setting)
    weights = {name: tensor.clone() for name, tensor in runs.supernet.state_dict().items()}
    runs.rows(setting, folder=tmp_path, stop=stop)
    assert _values(runs.rows(setting, folder=tmp_path)) == _values(whole)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in runs.supernet.state_dict().items())
    assert _values(runs.rows(setting, folder=tmp_path)) == _values(whole)  # nothing is left to do


def test_a_checkpoint_of_another_setting_is_refused(runs: Runs, tmp_path: Path) -> None:
    runs.rows(folder=tmp_path)
    with pytest.raises(UserError, match="is a checkpoint of another run"):
        runs.rows(Setting(order="fixed"), folder=tmp_path)


def test_orders_are_those_of_the_setting(runs: Runs) -> None:
    config = Config(last=18, ema=0, swa=0, recalibrate=0)
    fixed, shuffled = ([r.child for r in runs.rows(Setting(order=o), config)] for o in ("fixed", "shuffled"))
    assert fixed[:8] == fixed[8:16]
    assert shuffled[:8] != shuffled[8:16]
    assert sorted(fixed[:8]) == sorted(shuffled[8:16]) == list(range(8))


def test_one_architecture_alone_is_independent_training(runs: Runs) -> None:
    """A group of one has, bit for bit, the weights and the accuracies of `train` with the same seed."""
    runs.architectures = runs.architectures[5:6]
    rows = [row for row in runs.rows() if row.kind == "shared" and row.step % 6 == 0]
    network = runs.space.network(runs.architectures[0], runs.task)
    epochs = list(train(network, runs.images, runs.recipe, epochs=3, seed=1, device=CPU))
    path = runs.supernet.path(runs.architectures[0]).state_dict()
    assert all(torch.equal(tensor, path[name]) for name, tensor in network.state_dict().items())
    assert [row.accuracy[0] for row in rows] == [epoch.metrics["val_accuracy"] for epoch in epochs]
    assert [row.learning_rate for row in rows] == [epoch.metrics["learning_rate"] for epoch in epochs]


def test_the_lowest_are_dropped(runs: Runs) -> None:
    rows = [r for r in runs.rows(Setting(prune=Pruning(every=1, fraction=0.5, keep=3))) if r.kind == "shared"]
    left = [[index for index, value in enumerate(row.accuracy) if value is not None] for row in rows]
    assert [len(each) for each in left] == [8, 4, 3, 3, 3]
    for row, after in zip(rows, left[1:3], strict=False):
        kept = [row.accuracy[index] or 0.0 for index in after]
        dropped = [value for index, value in enumerate(row.accuracy) if index not in after and value is not None]
        assert min(kept) >= max(dropped)
    assert all(row.child in members for row, members in zip(rows, left, strict=True))


def test_statistics_of_an_evaluation(runs: Runs) -> None:
    trained = runs.rows()
    end = {row.kind: row.accuracy for row in trained}
    recalibrated = runs.rows(Setting(norm=Norm(statistics="recalibrated", batches=2)))
    assert [row.kind for row in recalibrated].count("recalibrated") == 0
    assert recalibrated[-4].accuracy == end["recalibrated"]
    assert end["recalibrated"] != end["shared"]
    assert len(runs.rows(Setting(norm=Norm(statistics="batch")))) == 9


def test_a_run_that_diverges_says_so(runs: Runs) -> None:
    runs.recipe = runs.recipe.model_copy(update={"learning_rate": 1e30, "warmup_epochs": 0})
    rows = runs.rows()
    assert rows[-1].failure is not None
    assert re.fullmatch(
        r"training diverged: train_loss is (nan|inf) \(learning rate at most 1e\+30\)", rows[-1].failure
    )
    assert rows[-1].accuracy == ()


def test_a_course_must_fit_its_steps(runs: Runs) -> None:
    with pytest.raises(UserError, match=r"\(last=64, steps=18\): 3 epochs of 6 mini-batches"):
        runs.rows(config=Config())
    runs.recipe = runs.recipe.model_copy(update={"warmup_epochs": 5})
    with pytest.raises(UserError, match=r"\(warmup_epochs=5, epochs=3\)"):
        runs.rows()


def test_rows_go_through_json(runs: Runs) -> None:
    for row in runs.rows()[-2:]:
        assert SupernetStep.from_row(row.to_row() | {"accuracy": tuple(row.accuracy)}) == row
