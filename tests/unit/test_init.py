"""`zenfront init` writes an experiment for a data set, and `task: auto` reads the task from the data."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import zenfront as zf
from zenfront.pipeline.checks import read_task
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config_file import load_experiment
from zenfront.pipeline.record.data_file import keep_overview, read_overview
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.training.images.look import look

Zenfront = Callable[..., tuple[int, str, str]]
RNG = np.random.default_rng(0)


def picture(height: int, width: int, mode: str = "RGB") -> Image.Image:
    return Image.fromarray(RNG.integers(0, 256, (height, width, 3), dtype=np.uint8)).convert(mode)


def write_photos(folder: Path, parts: tuple[str, ...] = (".",), mode: str = "RGB") -> Path:
    """Write images of different sizes, 10 cats and 60 dogs in each part."""
    for part in parts:
        for name, count in (("cat", 10), ("dog", 60)):
            (folder / part / name).mkdir(parents=True)
            for index in range(count):
                suffix = "jpg" if mode == "CMYK" else "png"
                picture(20 + index % 3, 24, mode).save(folder / part / name / f"{index}.{suffix}")
    return folder


def test_a_folder_of_photos_takes_two_commands(tmp_path: Path, zenfront: Zenfront) -> None:
    write_photos(tmp_path / "my photos [2]")
    code, out, err = zenfront("init", "my photos [2]")
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == "Written: my-photos-2.yaml. Start with: zenfront run my-photos-2.yaml"
    assert "2 classes, with their images (train + test): cat (8 + 2), dog (48 + 12)" in out
    experiment = load_experiment("my-photos-2.yaml", read_task=read_task)
    assert (experiment.task.channels, experiment.task.height, experiment.task.classes) == (3, 16, 2)
    assert experiment.train.metric == "balanced_accuracy"
    assert experiment.train.data.test == 0.2
    assert [o.score for o in experiment.objectives] == ["zen", "ntk", "flops"]
    assert "train.data.source=" not in out
    assert zenfront("config", "check", "my-photos-2.yaml")[0] == 0
    code, _, err = zenfront("init", "my photos [2]")
    assert (code, err[:48]) == (2, "zenfront: my-photos-2.yaml is there already. Cho")


def test_objectives_follow_the_evidence_for_the_space(tmp_path: Path, zenfront: Zenfront) -> None:
    write_photos(tmp_path / "photos", ("train", "test"))
    assert zenfront("init", "photos", "--space", "nasbench201", "--name", "cells-of-mine")[0] == 0
    experiment = load_experiment("cells-of-mine.yaml", read_task=read_task)
    assert [o.score for o in experiment.objectives] == ["jacob_cov", "naswot", "flops"]
    assert experiment.constraints == ()
    assert experiment.train.data.test is None


@pytest.mark.parametrize(("mode", "convert"), [("RGB", "lossless"), ("CMYK", True), ("L", "lossless")])
def test_what_cannot_be_read_without_loss_is_allowed_in_the_file(
    mode: str, convert: object, tmp_path: Path, zenfront: Zenfront
) -> None:
    write_photos(tmp_path / "photos", ("train", "val"), mode)
    assert zenfront("init", "photos")[0] == 0
    experiment = load_experiment("photos.yaml", read_task=read_task)
    assert experiment.train.data.convert == convert
    assert experiment.train.data.test == "validation"
    assert experiment.task.channels == (1 if mode == "L" else 3)


def test_columns_of_tables_are_found_or_asked_for(tmp_path: Path, zenfront: Zenfront) -> None:
    (tmp_path / "pictures").mkdir()
    with (tmp_path / "birds.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["filename", "sex", "species"])
        for index in range(20):
            picture(8, 8).save(tmp_path / f"pictures/{index}.png")
            table.writerow([f"pictures/{index}.png", "fm"[index % 2], ["owl", "tit", "jay"][index % 3]])
    assert zenfront("init", "birds.csv")[0] == 0
    data = load_experiment("birds.yaml", read_task=read_task).train.data
    assert (data.image, data.label) == ("filename", "species")
    assert zenfront("init", "birds.csv", "--label", "sex", "--name", "sexes")[0] == 0
    assert load_experiment("sexes.yaml", read_task=read_task).task.classes == 2
    pixels = [RNG.integers(0, 256, (8, 8)).tolist() for _ in range(20)]
    columns = {"scan": pixels, "a": [0, 1] * 10, "b": [1, 2] * 10}
    pq.write_table(pa.table(columns), tmp_path / "scans.parquet")
    code, _, err = zenfront("init", "scans.parquet")
    assert (code, err) == (
        2,
        "zenfront: which column holds the classes? The table has: scan, a, b. Say it with --label COLUMN.\n",
    )
    assert zenfront("init", "scans.parquet", "--label", "b")[0] == 0


def test_the_task_that_is_read_is_part_of_the_experiment(tmp_path: Path, zenfront: Zenfront) -> None:
    (tmp_path / "auto.yaml").write_text(
        "name: auto\nspace: anynet3\nobjectives: [{score: flops, direction: minimise}]\n"
    )
    code, out, _ = zenfront("config", "show", "auto.yaml")
    assert code == 0
    assert "task:\n  channels: 1\n  height: 8\n  width: 8\n  classes: 10\n" in out
    assert zenfront("config", "show", "auto.yaml", "--set", "task=auto")[1] == out
    code, _, err = zenfront("config", "show", "auto.yaml", "--set", "train.data.source=./nowhere")
    assert (code, err.startswith("zenfront: train.data.source ./nowhere: there is no such file or folder in")) == (
        2,
        True,
    )


def test_a_run_keeps_its_classes(tmp_path: Path) -> None:
    data = load_experiment("smoke").train.data
    photos = data.model_copy(update={"source": str(write_photos(tmp_path / "photos")), "test": 0.2, "limit": None})
    photos = photos.model_validate(photos.model_dump() | {"resize": {"size": 16}})
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    found = look(photos, None)
    assert keep_overview(folder, found)
    assert not keep_overview(folder, found)
    assert read_overview(folder) == found
    classes = zf.Run(folder.path).classes()
    assert classes.to_dict() == {"train": {"cat": 8, "dog": 48}, "test": {"cat": 2, "dog": 12}}
    folder.scores.write_text("")
    (tmp_path / "photos/dog").rename(tmp_path / "photos/wolf")
    with pytest.raises(UserError, match=r"began with 2 classes \(dog\), but the data have 2 classes \(wolf\) now"):
        keep_overview(folder, look(photos, None))
