"""The folder of an export: used without Zenfront, written whole or not at all."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from zenfront import spaces
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.train_config import Resize
from zenfront.pipeline.export.from_run import run_subject
from zenfront.pipeline.export.hub_folder import preprocessor_config, read_preprocessing, write_hub_folder
from zenfront.pipeline.export.model_card import model_card
from zenfront.pipeline.export.subject import Preprocessing, Subject, fresh_subject
from zenfront.pipeline.export.target import new_folder
from zenfront.pipeline.record.files.json_file import write_json
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.spaces import Task

FILES = ["README.md", "config.json", "model.py", "model.safetensors", "preprocessor_config.json"]
ALONE = """
import sys, torch
sys.path.insert(0, {folder!r})
torch.set_num_threads(1)
from model import load
images = torch.load({images!r}, weights_only=True)
torch.save(load()(images), {logits!r})
assert not [name for name in sys.modules if name.startswith("zenfront")]
"""


@pytest.fixture(scope="session")
def subject(trained_run: RunFolder) -> Subject:
    return run_subject(trained_run)


@pytest.fixture(scope="session")
def folder(subject: Subject, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("export") / "network"
    with new_folder(target) as aside:
        write_hub_folder(subject, aside)
    return target


def test_it_is_used_without_zenfront(folder: Path, subject: Subject, tmp_path: Path) -> None:
    images, logits = tmp_path / "images.pt", tmp_path / "logits.pt"
    torch.save(torch.linspace(-1, 1, 3 * 64).reshape(3, 1, 8, 8), images)
    script = ALONE.format(folder=str(folder), images=str(images), logits=str(logits))
    subprocess.run([sys.executable, "-I", "-B", "-c", script], check=True, cwd=tmp_path)
    with torch.inference_mode():
        expected = subject.network(torch.load(images, weights_only=True))
    assert torch.equal(torch.load(logits, weights_only=True), expected)


def test_it_holds_five_files_and_nothing_else_is_left(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == FILES
    assert [path.name for path in folder.parent.iterdir()] == ["network"]


def test_the_weights_are_those_of_the_network(folder: Path, subject: Subject) -> None:
    stored, own = load_file(folder / "model.safetensors"), subject.network.state_dict()
    assert len(stored) == len(own)
    assert sum(value.numel() for value in stored.values()) == sum(value.numel() for value in own.values())
    assert "stem_conv.weight" in stored
    assert "head.bias" in stored


def test_the_configuration_says_what_it_is(folder: Path, subject: Subject) -> None:
    config = json.loads((folder / "config.json").read_text())
    assert (config["space"], config["id"], config["run"]) == ("anynet3", subject.id, "small")
    assert config["genes"] == dict(subject.architecture.genes)
    assert config["weights"] == {"trained": True, "seed": subject.facts.seed, "epochs": 3}
    assert config["accuracy"]["test"] == subject.facts.test
    assert config["id2label"]["9"] == "9"
    assert config["scores"]["params"] == sum(value.numel() for value in subject.network.parameters())


@pytest.mark.parametrize("resize", [None, Resize(size=32), Resize(size=40, crop=32), Resize(size=(32, 32))])
def test_the_preprocessing_is_read_as_it_was_written(resize: Resize | None, tmp_path: Path) -> None:
    found = Preprocessing(3, 32, 32, (100.5, 90.25, 80.0), (50.0, 51.0, 52.5), resize, rules=1)
    write_json(tmp_path / "preprocessor_config.json", preprocessor_config(found))
    again = read_preprocessing(tmp_path, channels=3)
    assert (again.mean, again.std, again.rules, again.height, again.width) == (found.mean, found.std, 1, 32, 32)
    assert (again.resize and (again.resize.size, again.resize.shape)) == (resize and (resize.size, resize.shape))


def test_a_damaged_preprocessing_is_named(tmp_path: Path) -> None:
    write_json(tmp_path / "preprocessor_config.json", {"size": 3})
    with pytest.raises(UserError, match=r"preprocessor_config\.json is not what an export holds"):
        read_preprocessing(tmp_path, channels=3)


@pytest.mark.global_rng  # the module draws weights before it loads those of the file
def test_the_example_of_the_card_runs(folder: Path, subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    card = (folder / "README.md").read_text()
    example = card.split("```python\n")[1].split("```")[0]
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delitem(sys.modules, "model", raising=False)
    pixels = torch.arange(2 * 64.0).reshape(2, 1, 8, 8) % 17
    names = {"images": pixels}
    exec(example, names)
    monkeypatch.delitem(sys.modules, "model", raising=False)
    mean, std = (
        torch.tensor(values)[:, None, None] for values in (subject.preprocessing.mean, subject.preprocessing.std)
    )
    with torch.inference_mode():
        expected = subject.network((pixels - mean) / std).softmax(1)
    assert torch.equal(names["probabilities"], expected)


def test_the_card_states_what_is_known(folder: Path, subject: Subject) -> None:
    card = (folder / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: pytorch\npipeline_tag: image-classification\n# license:")
    assert f"| {100 * (subject.facts.test or 0):.2f} % |" in card
    assert "mean over 2 training runs" in card
    assert subject.notation in card
    assert "* `knee`: " in card


def test_a_fresh_network_has_a_card_without_accuracy() -> None:
    space = spaces.load("resnet")
    fresh = fresh_subject(space, space.architecture(space.parse("d1=1,w1=16,d2=1,w2=16,d3=1,w3=16")), Task(1, 8, 8, 3))
    card = model_card(fresh)
    assert "must be trained" in card
    assert "## Accuracy" not in card
    assert "no mean and no standard deviation are known" in card


def test_an_existing_folder_stays(folder: Path, tmp_path: Path) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    with pytest.raises(UserError, match=r"exists\. Replace it with --force"), new_folder(folder):
        pass
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_force_replaces_an_export_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match="is no export of Zenfront"), new_folder(tmp_path / "mine", force=True):
        pass
    assert (tmp_path / "mine" / "thesis.txt").exists()
    (tmp_path / "old").mkdir()
    write_json(tmp_path / "old" / "config.json", {"zenfront": "0.1.0"})
    with new_folder(tmp_path / "old", force=True) as aside:
        (aside / "new").touch()
    assert [path.name for path in (tmp_path / "old").iterdir()] == ["new"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "old"]


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    def fail(aside: Path) -> None:
        (aside / "half").touch()
        raise OSError(28, os.strerror(28))

    with pytest.raises(UserError, match="No space left on device"), new_folder(tmp_path / "network") as aside:
        fail(aside)
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_target_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(UserError, match=r"cannot write .*file/network: .*Choose another folder with --to"),
        new_folder(tmp_path / "file" / "network"),
    ):
        pass
