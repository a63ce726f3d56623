"""Exports classify images as the test pass of the training did, whatever their format is."""

import csv
import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from zenfront import spaces
from zenfront.pipeline.cli.app import app
from zenfront.pipeline.cli.export import Asked, export
from zenfront.pipeline.cli.export_formats import Formats
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.export.graph.description import describe
from zenfront.pipeline.export.prediction.formats import Stated, open_export
from zenfront.pipeline.export.subject import fresh_subject
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.training import data
from zenfront.spaces import Task


@pytest.fixture(scope="module")
def exported(trained_run: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the most accurate network, with an ONNX file that takes pixels, and a .pt2 file."""
    folder = tmp_path_factory.mktemp("exports") / "digits"
    asked = Asked(str(trained_run.path), None, "most_accurate", None, None, False, None, None, "")
    export(asked, Formats(onnx=True, pt2=True, normalise=True), trained_run.path.parent, folder, False, False)
    return folder


@pytest.fixture(scope="module")
def image_files(trained_run: RunFolder, exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the test images of the run as files, in folders that are named like the classes."""
    folder = tmp_path_factory.mktemp("images")
    names = stated(exported)["id2label"]
    experiment = trained_run.experiment()
    images = data.load(experiment.train.data, experiment.task, experiment.search.seed).test()
    for index, (pixels, label) in enumerate(zip(images.images, images.labels.tolist(), strict=True)):
        path = folder / names[str(label)] / f"{index:04d}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels[0].numpy()).save(path)
    return folder


def stated(exported: Path) -> dict[str, dict[str, str]]:
    return dict(json.loads((exported / "config.json").read_text()))


def predict(*words: str | Path) -> tuple[int, str, str]:
    """Return exit code, output and messages of `zenfront predict`."""
    result = CliRunner().invoke(app, ["predict", *map(str, words)])
    message = f"{result.exception}" if isinstance(result.exception, UserError) else result.stderr
    return 2 if isinstance(result.exception, UserError) else result.exit_code, result.stdout, message


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


def test_the_accuracy_is_that_of_the_table(exported: Path, image_files: Path, tmp_path: Path) -> None:
    tested = json.loads((exported / "config.json").read_text())["accuracy"]["test"]
    code, output, messages = predict(exported, image_files, "--output", tmp_path / "out.csv")
    assert (code, output) == (0, f"359 images: {tmp_path / 'out.csv'}\n")
    assert f"accuracy {100 * tested:.2f} % of 359 images" in messages
    rows = table((tmp_path / "out.csv").read_text())
    right = sum(Path(row["file"]).parent.name == row["class"] for row in rows)
    assert right / len(rows) == tested
    for row in rows:
        probabilities = {name[2:]: float(value) for name, value in row.items() if name.startswith("p_")}
        assert max(probabilities, key=lambda name: probabilities[name]) == row["class"]
        assert sum(probabilities.values()) == pytest.approx(1, abs=1e-4)


def test_all_formats_agree(exported: Path, image_files: Path) -> None:
    files = sorted(image_files.rglob("*.png"))[::12]
    tables = [
        table(predict(*words, *files)[1])
        for words in (
            [exported],
            [exported / "model.onnx"],
            [exported / "model.pt2", "--allow-code"],
            [exported, "--allow-code"],
        )
    ]
    numbers = [np.array([[float(v) for k, v in row.items() if k[:2] == "p_"] for row in rows]) for rows in tables]
    assert len(files) == 30 == len(numbers[0])
    assert [row["file"] for row in tables[0]] == [str(file) for file in files]
    for other in numbers[1:]:
        np.testing.assert_allclose(other, numbers[0], atol=2e-5)


def test_code_of_an_export_is_run_only_if_it_is_allowed(exported: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"can run code that it holds.*--allow-code"):
        open_export(exported / "model.pt2")
    shutil.copytree(exported, tmp_path / "own")
    row = stated(exported) | {"space": "myspace"}
    (tmp_path / "own" / "config.json").write_text(json.dumps(row))
    (tmp_path / "own" / "model.py").write_text("raise SystemExit('code was run')")
    with pytest.raises(UserError, match=r"'myspace', which Zenfront does not have, is code: model\.py"):
        open_export(tmp_path / "own")
    (tmp_path / "own" / "config.json").write_text(json.dumps(stated(exported)))
    open_export(tmp_path / "own")  # the space of Zenfront builds the network


def a_picture(path: Path, mode: str = "L", size: tuple[int, int] = (8, 8)) -> Path:
    Image.new(mode, size, "red" if mode == "RGB" else 7).save(path)
    return path


def test_images_of_other_modes_are_converted_and_named(exported: Path, tmp_path: Path) -> None:
    code, output, messages = predict(exported, a_picture(tmp_path / "a.png", "RGB"), a_picture(tmp_path / "b.png"))
    assert code == 0
    assert "mode RGB is read as L: 1 of 2 images" in messages
    assert len(table(output)) == 2


def images_wrong(folder: Path) -> list[tuple[Sequence[str | Path], str]]:
    (folder / "empty").mkdir()
    (folder / "empty" / "notes.txt").write_text("no image")
    whole = a_picture(folder / "whole.png").read_bytes()
    (folder / "damaged.png").write_bytes(whole[: len(whole) // 2])
    return [
        ([folder / "empty"], "there is no image"),
        ([folder / "absent.png"], "there is no such file or folder"),
        ([folder / "whole.png", folder / "damaged.png"], r"damaged\.png: the image cannot be decoded"),
        (
            [a_picture(folder / "wide.png", size=(9, 8))],
            "is 8 high, 9 wide, but .* takes images that are 8 high, 8 wide",
        ),
    ]


def test_wrong_images_are_named_and_nothing_is_written(exported: Path, tmp_path: Path) -> None:
    for words, message in images_wrong(tmp_path):
        code, output, messages = predict(exported, *words, "-o", tmp_path / "out.csv")
        assert (code, output) == (2, "")
        assert re.search(message, messages), messages
    assert not (tmp_path / "out.csv").exists()
    (tmp_path / "out.csv").write_text("mine")
    code, _, messages = predict(exported, tmp_path / "whole.png", "-o", tmp_path / "out.csv")
    assert code == 2
    assert "exists already" in messages
    assert predict(exported, tmp_path / "whole.png", "-o", tmp_path / "out.csv", "--force")[0] == 0


def test_a_network_with_outputs_says_so_and_is_not_asked_for_classes() -> None:
    space = spaces.load("vanilla")
    architecture = space.architecture(space.parse("d1=1,w1=16,d2=1,w2=16,d3=1,w3=16"))
    row = describe(fresh_subject(space, architecture, Task(3, 8, 8, outputs=2)))
    assert (row["classes"], row["outputs"]) == ([], 2)
    with pytest.raises(UserError, match="trained for outputs, not for classes"):
        Stated.of(row)


def test_what_is_no_export_is_refused(exported: Path, tmp_path: Path) -> None:
    shutil.copytree(exported, tmp_path / "damaged")
    weights = (exported / "model.safetensors").read_bytes()
    (tmp_path / "damaged" / "model.safetensors").write_bytes(weights[:-100])
    (tmp_path / "cut.onnx").write_bytes((exported / "model.onnx").read_bytes()[:-5000])
    (tmp_path / "cut.pt2").write_bytes((exported / "model.pt2").read_bytes()[:-5000])
    (tmp_path / "model.h5").write_bytes(b"")
    for path, message in (
        (tmp_path, "has no config.json"),
        (tmp_path / "damaged", "the weights are not those of the network"),
        (tmp_path / "cut.onnx", "onnxruntime cannot read it"),
        (tmp_path / "cut.pt2", r"it holds no zenfront\.json"),
        (tmp_path / "model.h5", "neither a folder nor an .onnx or .pt2 file"),
        (tmp_path / "absent", "there is no such file or folder"),
    ):
        with pytest.raises(UserError, match=message):
            open_export(path)
