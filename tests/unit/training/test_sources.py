"""Sources that are not there are called so, and only names of the hub go to the hub."""

import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from urllib.error import URLError

import pytest

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.train_config import Data
from zenfront.pipeline.training.data import load
from zenfront.pipeline.training.images.reading import hub
from zenfront.spaces import Task

TINY = Task(3, 4, 5, 2)
ASK = """\
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.train_config import Data
from zenfront.pipeline.training.images.source import read_train
try:
    read_train(Data(source="nobody/nothing"))
except UserError as error:
    print(error)
"""


@pytest.mark.parametrize(
    "name", ["./nowhere", "nowhere", "/nowhere/at/all", "~/nowhere", "a/b/c", "here/photos", "x/y.csv"]
)
def test_a_path_that_does_not_exist_is_called_so(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*_: object, **__: object) -> None:
        raise AssertionError("the hub was asked")

    monkeypatch.setattr(hub, "urlopen", asked)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()  # so that here/photos is no name on the hub
    with pytest.raises(UserError, match=r"there is no such file or folder in /.*named owner/name") as caught:
        load(Data(source=name), TINY, seed=0)
    assert str(caught.value).startswith(f"train.data.source {name}: ")


def test_a_hub_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise ConnectionError("Couldn't reach 'uoft-cs/cifar10' on the Hub")

    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.setattr(hub, "urlopen", unreachable)
    monkeypatch.setattr("datasets.load_dataset", unreachable)
    with pytest.raises(
        UserError, match=r"source uoft-cs/cifar10: .*Couldn't reach .* looked for on the Hugging Face Hub"
    ):
        load(Data(source="uoft-cs/cifar10"), Task(3, 32, 32, 10), seed=0)


def test_the_hub_is_tried_once(tmp_path: Path) -> None:
    """At an address where nothing listens, `datasets` alone tries six times within 24 s."""
    environment = os.environ | {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path)}
    environment.pop("HF_HUB_OFFLINE", None)
    done = subprocess.run([sys.executable, "-c", ASK], env=environment, capture_output=True, text=True, timeout=60)
    assert "nobody/nothing: the source data cannot be read" in done.stdout
    assert "Retrying" not in done.stderr


def test_an_answer_of_the_hub_leaves_it_online(monkeypatch: pytest.MonkeyPatch) -> None:
    environment: dict[str, str] = {}
    monkeypatch.setattr(os, "environ", environment)
    monkeypatch.setattr(hub, "urlopen", lambda *_, **__: nullcontext())
    hub._stay_offline_if_unreachable("owner/name")
    assert environment == {}

    def timed_out(*_: object, **__: object) -> None:
        raise URLError("timed out")

    monkeypatch.setattr(hub, "urlopen", timed_out)
    hub._stay_offline_if_unreachable("owner/name")
    assert environment == {"HF_HUB_OFFLINE": "1"}
