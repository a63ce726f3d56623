"""The way of docs/images-to-onnx.md: from class folders to files that others run, with the accuracy of the table."""

import csv
import json
import os
import re
import shlex
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from zenfront.pipeline.cli.app import main
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.record.run_record import RunRecord

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "images-to-onnx.md").read_text(encoding="utf-8")
BUDGET = ["search.evaluations=12", "search.population=6", "search.batch=8", "search.repeats=1", "select.k=2"]
BUDGET += [
    "train.epochs=8",
    "train.recipe.warmup_epochs=1",
    "train.recipe.batch_size=16",
    "train.scheduler.grace_period=2",
]
BUDGET += ["constraints=[{score: flops, at_most: 2e8}]"]
BUDGET += ["resources={device: cpu, search: {workers: 1}, train: {workers: 1}}"]
CLASSES = ("circle", "square", "stripes")
ZENFRONT = "from zenfront.pipeline.cli.app import main; main()"
# What these packages import beside the standard library.
RUNTIME = ("onnxruntime", "numpy", "numpy.libs", "PIL", "pillow.libs", "google", "flatbuffers")
TORCH = (
    *("torch", "torchgen", "functorch", "safetensors", "numpy", "numpy.libs", "typing_extensions.py", "sympy"),
    *("mpmath", "filelock", "networkx", "jinja2", "markupsafe", "fsspec", "packaging"),
)


def picture(name: str, rng: np.random.Generator) -> Image.Image:
    """Return an image of 24 to 32 pixels a side: a bright shape on a dark ground."""
    height, width = rng.integers(24, 33, 2)
    y, x = np.mgrid[:height, :width]
    across, down = x - width / 2 + rng.integers(-3, 4), y - height / 2 + rng.integers(-3, 4)
    inside = {
        "circle": np.hypot(across, down) < rng.uniform(6, 9),
        "square": (abs(across) > 6) | (abs(down) > 6),
        "stripes": (y // 2) % 2 == 0,
    }[name]
    image = np.where(inside[..., None], rng.integers(150, 256, 3), rng.integers(0, 100, 3))
    noise = rng.normal(0, 12, (height, width, 3))
    return Image.fromarray((image + noise).clip(0, 255).astype(np.uint8))


def write_images(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for part, count in (("train", 30), ("test", 15)):
        for name in CLASSES:
            (folder / part / name).mkdir(parents=True)
            for index in range(count):
                picture(name, rng).save(folder / part / name / f"{index}.png")


class Way(NamedTuple):
    folder: Path
    """Where the commands of the page were run."""
    accuracy: float
    """Test accuracy that the table of the run states for the knee."""
    said: dict[str, str]
    """Output of each command, by its second word."""


@pytest.fixture(scope="module")
def way(tmp_path_factory: pytest.TempPathFactory) -> Way:
    folder = tmp_path_factory.mktemp("way")
    write_images(folder / "shapes")
    for name, code in re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL):
        (folder / name).write_text(code, encoding="utf-8")
    commands = "".join(re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)).splitlines()
    said = {}
    for command in commands:
        first, *words = shlex.split(command)
        if first == "zenfront" and words[0] == "run":
            said["run"] = run(folder, "-c", ZENFRONT, *words, *(word for key in BUDGET for word in ("--set", key)))
        elif first == "zenfront":
            said[words[0]] = zenfront(folder, *words)
    record = RunRecord.read(RunFolder(folder / "runs" / "shapes"))
    assert record.trained_front
    knee = record.trained_front.pick("knee")
    assert knee
    assert knee.accuracy is not None
    return Way(folder, knee.accuracy, said)


def zenfront(folder: Path, *words: str) -> str:
    """Run a command that needs no Ray in this process."""
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(StringIO()) as said, redirect_stderr(said):
        patch.chdir(folder)
        patch.setenv("ZENFRONT_RUNS", "runs")
        patch.setattr("sys.argv", ["zenfront", *words])
        with pytest.raises(SystemExit) as end:
            main()
    assert not end.value.code, said.getvalue()
    return said.getvalue()


def run(folder: Path, *words: str | Path, alone: tuple[str, ...] = ()) -> str:
    """Run Python in a folder; with names of packages, in a process that can import these and the standard library."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "ZENFRONT_RUNS": "runs"}
    flags: tuple[str, ...] = ()
    if alone:
        packages = folder / f"only-{alone[0]}"
        packages.mkdir()
        for name in alone:
            (packages / name).symlink_to(Path(np.__file__).parents[1] / name)
        environment, flags = {"PYTHONPATH": str(packages), "OMP_NUM_THREADS": "1"}, ("-S",)
    command = [sys.executable, *flags, *map(str, words)]
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


@pytest.mark.slow
def test_the_networks_learn(way: Way) -> None:
    assert way.accuracy > 0.6  # a guess has a third


@pytest.mark.slow
def test_predict_states_the_accuracy_of_the_table(way: Way) -> None:
    assert f"accuracy {100 * way.accuracy:.2f} % of 45 images" in way.said["predict"]
    with (way.folder / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert sum(row["class"] == Path(row["file"]).parent.name for row in rows) / len(rows) == way.accuracy


@pytest.mark.slow
def test_onnxruntime_alone_has_the_accuracy_of_the_table(way: Way) -> None:
    said = run(way.folder, "classify.py", "shapes-onnx/model.onnx", "shapes/test", alone=RUNTIME)
    assert said.splitlines()[-1] == f"accuracy {way.accuracy}"
    with pytest.raises(AssertionError, match="No module named 'torch'"):
        run(way.folder, "-c", "import torch", alone=("PIL",))


@pytest.mark.slow
def test_torch_alone_has_the_logits_of_the_onnx_file(way: Way) -> None:
    """For images that were decoded here, since that process has no Pillow."""
    from zenfront.pipeline.export.prediction.formats import open_export
    from zenfront.pipeline.training.images.source import decode_rows
    from zenfront.pipeline.training.images.unlabelled import find_images

    network = open_export(way.folder / "shapes-onnx" / "model.onnx")
    rows = find_images([way.folder / "shapes" / "test"])
    pixels = decode_rows(rows, np.arange(len(rows)), network.preprocessing.form)
    np.save(way.folder / "pixels.npy", pixels)
    form = json.loads((way.folder / "shapes-onnx" / "preprocessor_config.json").read_text())
    script = f"""
import sys
sys.path.insert(0, "shapes-onnx")
import numpy, torch
from model import load
mean, std = (torch.tensor(values).reshape(-1, 1, 1) for values in ({form["image_mean"]}, {form["image_std"]}))
with torch.inference_mode():
    logits = load()((torch.from_numpy(numpy.load("pixels.npy")) - mean) / std)
numpy.save("logits.npy", logits.numpy())
"""
    run(way.folder, "-c", script, alone=TORCH)
    logits = np.load(way.folder / "logits.npy")
    assert (
        np.mean([CLASSES[i] == label for i, label in zip(logits.argmax(1), rows.labels, strict=True)]) == way.accuracy
    )
    odds = np.exp(logits - logits.max(1, keepdims=True))
    np.testing.assert_allclose(odds / odds.sum(1, keepdims=True), network.probabilities(rows), atol=2e-5)
