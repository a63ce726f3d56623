"""The contract of a training function, on a small network of the task."""

import inspect
import shutil
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from zenfront import spaces
from zenfront.pipeline.code_checks import check_training_function
from zenfront.pipeline.results.metric import ACCURACY, Metric
from zenfront.pipeline.results.stage_rows import SECONDS
from zenfront.pipeline.seeds import numpy_generator, seed_global_generators
from zenfront.pipeline.training.function import TrainingFunction
from zenfront.pipeline.user_code import UserCode, allow, read
from zenfront.spaces import Network, Task

SEED, SAMPLES = 11, 32
Rows = list[dict[str, float]]


class TrainingFunctionTestCase:
    """The contract of a training function; define `task`, `metric`, `options` and the fixture ``function``.

    Attributes:
        task: Task of the networks.
        metric: Metric of the experiments.
        options: Options that it is called with.
        space: Name of a search space; its cheapest network of a sample is trained.
        epochs: Number of epochs, at least 3.
    """

    task: Task
    metric: Metric = ACCURACY
    options: Mapping[str, object] = {}
    space = "anynet3"
    epochs = 3

    @pytest.fixture
    def function(self) -> Callable[..., Any]:
        """The function, at the top of a file."""
        raise NotImplementedError("define the fixture `function`, which returns the training function")

    @pytest.fixture
    def code(self, function: Callable[..., Any]) -> UserCode:
        """The function as an experiment names it."""
        file = inspect.getsourcefile(function)
        assert file
        code = read("training", "train", f"{file}:{function.__name__}", Path())
        allow([code])
        return code

    @pytest.fixture
    def network(self) -> Callable[[], Network]:
        """Build the network that is trained."""
        space, generator = spaces.load(self.space), numpy_generator(SEED, "training function")
        drawn = (space.sample(generator) for _ in range(SAMPLES))
        allowed = [each for each in drawn if space.violation(each, self.task) is None]
        sizes = [sum(p.numel() for p in space.network(each, self.task).parameters()) for each in allowed]
        return lambda: space.network(allowed[sizes.index(min(sizes))], self.task)

    def _run(
        self, code: UserCode, network: Network, folder: Path, stop: int | None = None, seed: int = 0
    ) -> tuple[Rows, dict[str, Tensor], list[str]]:
        """Train, closed after `stop` epochs; return the rows without their time, the weights and the notes."""
        notes: list[str] = []
        made = TrainingFunction(code, self.metric, self.options)
        device = torch.device("cpu")
        epochs = made.train(network, epochs=self.epochs, seed=seed, device=device, checkpoint=folder, note=notes.append)
        taken = list(islice(epochs, stop))
        epochs.close()
        assert [each.failure for each in taken] == [None] * len(taken)
        rows = [{name: value for name, value in each.metrics.items() if name != SECONDS} for each in taken]
        return rows, network.state_dict(), notes

    @pytest.fixture
    def whole(self, code: UserCode, network: Callable[[], Network], tmp_path: Path) -> tuple[Rows, dict[str, Tensor]]:
        """A run without an interruption."""
        rows, weights, _ = self._run(code, network(), tmp_path / "whole")
        return rows, weights

    def test_it_takes_the_arguments(self, function: Callable[..., Any], code: UserCode) -> None:
        """It can be called with the network and the keywords."""
        check_training_function(function, code)

    def test_it_yields_a_row_for_every_epoch(self, whole: tuple[Rows, dict[str, Tensor]]) -> None:
        """The rows have the metric and finite numbers, and training changes it."""
        rows, _ = whole
        assert len(rows) == self.epochs
        assert all(self.metric.name in row for row in rows)
        assert len({row[self.metric.name] for row in rows}) > 1

    def test_it_is_the_same_again(
        self, whole: tuple[Rows, dict[str, Tensor]], code: UserCode, network: Callable[[], Network], tmp_path: Path
    ) -> None:
        """One seed gives one result, whatever was drawn before; another seed gives another."""
        rows, weights = whole
        seed_global_generators(99)
        again, others, _ = self._run(code, network(), tmp_path / "again")
        assert again == rows
        _assert_equal(others, weights)
        assert self._run(code, network(), tmp_path / "seed", seed=1)[0] != rows

    def test_it_resumes_after_every_epoch(
        self, whole: tuple[Rows, dict[str, Tensor]], code: UserCode, network: Callable[[], Network], tmp_path: Path
    ) -> None:
        """A run that was closed gives the same rows and weights when it is called again."""
        rows, weights = whole
        for stop in range(1, self.epochs):
            folder = tmp_path / f"closed{stop}"
            assert self._run(code, network(), folder, stop)[0] == rows[:stop]
            again, others, notes = self._run(code, network(), folder)
            assert (again, notes) == (rows, [])
            _assert_equal(others, weights)

    def test_it_resumes_after_a_row_that_was_not_recorded(
        self, whole: tuple[Rows, dict[str, Tensor]], code: UserCode, network: Callable[[], Network], tmp_path: Path
    ) -> None:
        """Its own files may be an epoch ahead of the record: it was killed after it had saved them."""
        rows, weights = whole
        folder = tmp_path / "killed"
        self._run(code, network(), folder, 2)
        (folder / "000002.pt").unlink()
        again, others, _ = self._run(code, network(), folder)
        assert again == rows
        _assert_equal(others, weights)

    def test_it_needs_no_checkpoint(
        self, whole: tuple[Rows, dict[str, Tensor]], code: UserCode, network: Callable[[], Network], tmp_path: Path
    ) -> None:
        """A run whose files are lost begins again, with the same rows."""
        rows, _ = whole
        folder = tmp_path / "lost"
        self._run(code, network(), folder, 2)
        shutil.rmtree(folder)
        assert self._run(code, network(), folder)[0] == rows

    def test_it_can_be_closed_before_it_begins(
        self, function: Callable[..., Any], network: Callable[[], Network], tmp_path: Path
    ) -> None:
        """It is a generator, and calling it computes nothing yet."""
        given = {"epochs": self.epochs, "seed": 0, "device": torch.device("cpu"), "checkpoint": tmp_path / "missing"}
        rows = function(network(), **given, options=dict(self.options))
        assert isinstance(rows, Iterator)
        getattr(rows, "close", lambda: None)()


def _assert_equal(weights: Mapping[str, Tensor], others: Mapping[str, Tensor]) -> None:
    assert weights.keys() == others.keys()
    for name, value in weights.items():
        torch.testing.assert_close(others[name], value, rtol=0, atol=0)
