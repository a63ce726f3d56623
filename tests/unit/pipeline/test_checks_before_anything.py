"""What can be known at the start is said at the start, and `config check` says the same."""

import re
import shutil
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zenfront.pipeline.checks import check, check_room, check_store
from zenfront.pipeline.checks.places import checkpoint_bytes
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment

Zenfront = Callable[..., tuple[int, str, str]]
CONFIG = """\
name: case
space: anynet3
task: {channels: 3, height: 16, width: 16, classes: 2}
objectives: [{score: naswot, direction: maximise}, {score: flops, direction: minimise}]
search: {population: 4, evaluations: 8, batch: 4}
select: {k: 2}
train: {epochs: 2, recipe: {warmup_epochs: 0}, data: {validation: 0.25}}
"""


def _images(folder: Path, test_side: int = 16) -> Path:
    rng = np.random.default_rng(0)
    for part, side, count in (("train", 16, 8), ("test", test_side, 3)):
        for name in ("cat", "dog"):
            (folder / part / name).mkdir(parents=True)
            for index in range(count):
                pixels = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / part / name / f"{index}.png")
    return folder


def _experiment(**changes: object) -> Experiment:
    values = {
        "name": "case",
        "space": "anynet3",
        "task": {"channels": 3, "height": 16, "width": 16, "classes": 2},
        "objectives": [{"score": "flops", "direction": "minimise"}],
        "select": {"k": 4},
    }
    return Experiment.model_validate(values | changes)


@pytest.mark.parametrize(("key", "value"), [("cutout", 16), ("cutout", 40), ("crop_padding", 16), ("crop_padding", 20)])
def test_an_augmentation_larger_than_the_image_is_refused(key: str, value: int) -> None:
    recipe = {"recipe": {key: value}}
    with pytest.raises(UserError, match=rf"train\.recipe\.{key} must be less than .* 16 pixels, but got {value}"):
        check(_experiment(train=recipe))
    check(_experiment(train={"recipe": {key: 15}}))


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("./mlruns", "no longer keeps runs in a folder, but got './mlruns'"),
        ("/data/mlruns", "no longer keeps runs in a folder"),
        ("file:///data/mlruns", "no longer keeps runs in a folder"),
        ("redis://host", "MLflow knows no stores redis://"),
        ("http://", r"a server is http://host:port, but got 'http://'"),
        ("sqlite:///nowhere/mlflow.db", "there is no folder nowhere"),
    ],
)
def test_a_store_that_mlflow_refuses(uri: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE", raising=False)
    with pytest.raises(UserError, match=said):
        check_store(uri)


@pytest.mark.parametrize(
    "uri",
    [None, "sqlite:///mlflow.db", "http://host:5000", "postgresql+psycopg2://user:secret@host/db", "databricks"],
)
def test_a_store_that_mlflow_takes(uri: str | None) -> None:
    check_store(uri)


def test_mlflow_decides_as_we_say() -> None:
    from mlflow.store.tracking import file_store
    from mlflow.utils.uri import is_local_uri

    assert is_local_uri("./mlruns")
    assert "MLFLOW_ALLOW_FILE_STORE" in Path(file_store.__file__).read_text()


def test_a_disk_too_small_for_the_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = _experiment(train={"seeds": [0, 1, 2]})
    wanted = checkpoint_bytes(experiment)
    assert checkpoint_bytes(_experiment()) == pytest.approx(wanted / 3)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(0, 0, wanted - 1))
    with pytest.raises(UserError, match=r"are free, but the checkpoints of 12 training runs take about"):
        check_room(experiment, tmp_path / "not" / "there")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(0, 0, wanted))
    check_room(experiment, tmp_path)


def test_config_check_describes_the_images(tmp_path: Path, zenfront: Zenfront) -> None:
    (tmp_path / "case.yaml").write_text(CONFIG)
    data = f"train.data.source={_images(tmp_path / 'right')}"
    code, out, _ = zenfront("config", "check", "case.yaml", "--set", data)
    assert code == 0
    assert "16 train, 6 test images, read as 16 × 16 pixels, 3 channels" in out
    assert "2 classes, with their images (train + test): cat (8 + 3), dog (8 + 3)" in out


def test_config_check_estimates_time_and_disk(tmp_path: Path, zenfront: Zenfront) -> None:
    """The numbers depend on the machine; those of the experiment are in the lines."""
    (tmp_path / "case.yaml").write_text(CONFIG)
    data = f"train.data.source={_images(tmp_path / 'right')}"
    workers = ("--set", "resources.search.workers=1", "--set", "resources.train.workers=1")
    code, out, _ = zenfront("config", "check", "case.yaml", "--time", "--set", data, *workers)
    assert code == 0
    assert re.search(r"search: about \d+:\d\d for 8 architectures, [\d.e-]+ s each with 1 worker here", out)
    assert re.search(r"training: at most \d+:\d\d for 2 runs of 2 epochs, [\d.e-]+ s an epoch with 1 worker here", out)
    assert re.search(r"checkpoints: about [\d.]+ [KM]iB", out)


def test_config_check_finds_what_training_would(tmp_path: Path, zenfront: Zenfront) -> None:
    (tmp_path / "case.yaml").write_text(CONFIG)
    data = f"train.data.source={_images(tmp_path / 'wrong', test_side=20)}"
    code, _, err = zenfront("config", "check", "case.yaml", "--set", data)
    assert (code, "test" in err, "20" in err) == (2, True, True)
    assert zenfront("config", "check", "--no-data", "case.yaml", "--set", data)[0] == 0
    code, _, err = zenfront("run", "case.yaml", "--set", data, "--runs", "runs")
    assert (code, "20" in err) == (2, True)
    large = ("--set", f"train.data.source={tmp_path / 'right'}", "--set", "search.batch=13")
    _images(tmp_path / "right")
    code, _, err = zenfront("config", "check", "case.yaml", *large)
    assert (code, err) == (2, "zenfront: search.batch must be at most the 12 training images, but got 13.\n")


def test_a_sample_too_small_for_statistics_is_refused_at_once(zenfront: Zenfront, tmp_path: Path) -> None:
    code, _, err = zenfront("correlate", "smoke", "--train", "8", "--runs", ".")
    assert (code, err) == (2, "zenfront: --train: at least 10 architectures are needed, but got 8.\n")
    assert list(tmp_path.iterdir()) == []
