"""Sources that are not there are called so, and only names of the hub go to the hub."""

import pytest

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.train_config import Data
from zenfront.pipeline.training.data import load
from zenfront.spaces import Task

TINY = Task(3, 4, 5, 2)


def test_a_folder_that_does_not_exist() -> None:
    with pytest.raises(UserError, match=r"train\.data\.source \./nowhere: there is no such file or folder"):
        load(Data(source="./nowhere"), TINY, seed=0)


def test_a_hub_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise ConnectionError("Couldn't reach 'uoft-cs/cifar10' on the Hub")

    monkeypatch.setattr("datasets.load_dataset", unreachable)
    with pytest.raises(
        UserError, match=r"source uoft-cs/cifar10: .*Couldn't reach .* looked for on the Hugging Face Hub"
    ):
        load(Data(source="uoft-cs/cifar10"), Task(3, 32, 32, 10), seed=0)
