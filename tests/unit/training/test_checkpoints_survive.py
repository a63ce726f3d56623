"""Checkpoints that are damaged, foreign or hostile, and a full disk."""

import errno
import hashlib
import io
import logging
import os
import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path
from shutil import copy
from typing import Any
from zipfile import ZipFile

import pytest
import torch

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.recipe import Recipe
from zenfront.pipeline.results.stage_rows import Epoch
from zenfront.pipeline.training.checkpoint import evaluated_weights, load, save
from zenfront.pipeline.training.data import Images
from zenfront.pipeline.training.loop import train
from zenfront.spaces import Network

GOLDEN = Path(__file__).parents[2] / "golden"
CPU = torch.device("cpu")
RECIPE = Recipe(batch_size=16, learning_rate=0.05, warmup_epochs=0, ema=0.5)
IDENTITY = {"seed": 0, "recipe": {"batch_size": 16}}


def save_three(folder: Path) -> list[Path]:
    for epoch in (1, 2, 3):
        save(folder, epoch, IDENTITY, {"epoch": epoch, "weights": torch.full((1000,), float(epoch))})
    return sorted(folder.iterdir())


def test_the_last_two_are_kept(tmp_path: Path) -> None:
    older, newest = save_three(tmp_path)
    state = load(tmp_path, IDENTITY)
    assert state is not None
    assert state["epoch"] == 3
    assert torch.equal(state["weights"], torch.full((1000,), 3.0))
    newest.unlink()
    assert (load(tmp_path, IDENTITY) or {})["epoch"] == 2
    older.unlink()
    assert load(tmp_path, IDENTITY) is None


def test_people_can_read_them(tmp_path: Path) -> None:
    path = save_three(tmp_path)[-1]
    stored = torch.load(path, weights_only=True)
    assert stored["identity"] == IDENTITY
    assert torch.equal(stored["state"]["weights"], torch.full((1000,), 3.0))
    comment = ZipFile(path).comment.decode()
    digest = hashlib.sha256(path.read_bytes()[: -len(comment)]).hexdigest()
    assert comment == f"zenfront checkpoint 2, sha256 {digest}"


def test_one_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    """The file was written by the version before the archive came first."""
    copy(GOLDEN / "checkpoint_1.pt", tmp_path / "000001.pt")
    state = load(tmp_path, {"seed": 0, "epochs": 4})
    assert state is not None
    assert state["history"] == [{"epoch": 1, "metrics": {"train_loss": 2.25, "val_accuracy": 0.5}}]
    assert evaluated_weights(state)["weight"].tolist() == [[0.0, 0.5, 1.0], [1.5, 2.0, 2.5]]


def as_of_the_first_form(path: Path) -> None:
    archive = path.read_bytes()
    path.write_bytes(b"zenfront checkpoint 1\n" + hashlib.sha256(archive).digest() + archive)


def test_a_run_of_an_earlier_version_goes_on(
    digits: Images, new_network: Callable[[], Network], tmp_path: Path
) -> None:
    expected = run(new_network(), digits, tmp_path / "whole")
    interrupted = train(new_network(), digits, RECIPE, epochs=4, seed=0, device=CPU, checkpoint=tmp_path / "cut")
    for _ in range(2):
        next(interrupted)
    for path in (tmp_path / "cut").iterdir():
        as_of_the_first_form(path)
    assert values(run(new_network(), digits, tmp_path / "cut")) == values(expected)


def cut(content: bytes) -> bytes:
    return content[:-1]


def halve(content: bytes) -> bytes:
    return content[: len(content) // 2]


def empty(content: bytes) -> bytes:
    return b""


def flip_a_bit(content: bytes) -> bytes:
    return content[:-500] + bytes([content[-500] ^ 1]) + content[-499:]


def change_the_version(content: bytes) -> bytes:
    return content.replace(b"checkpoint 2", b"checkpoint 9", 1)


DAMAGES = [cut, halve, empty, flip_a_bit, change_the_version]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_one_falls_back_to_the_one_before(
    damage: Callable[[bytes], bytes], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    newest = save_three(tmp_path)[-1]
    newest.write_bytes(damage(newest.read_bytes()))
    assert (load(tmp_path, IDENTITY) or {})["epoch"] == 2
    assert [r.message for r in caplog.records] == [
        f"{newest} is damaged and is skipped: looking for an earlier checkpoint"
    ]


@pytest.mark.parametrize("damage", DAMAGES)
def test_when_all_are_damaged_training_restarts(
    damage: Callable[[bytes], bytes], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for path in save_three(tmp_path):
        path.write_bytes(damage(path.read_bytes()))
    assert load(tmp_path, IDENTITY) is None
    assert f"no checkpoint in {tmp_path} is usable: training restarts from the first epoch" in caplog.text


def run(
    network: Network, images: Images, folder: Path, recipe: Recipe = RECIPE, epochs: int = 4, seed: int = 0
) -> list[Epoch]:
    return list(train(network, images, recipe, epochs=epochs, seed=seed, device=CPU, checkpoint=folder))


def values(results: list[Epoch]) -> list[tuple[float, float]]:
    return [(r.metrics["train_loss"], r.metrics["val_loss"]) for r in results]


@pytest.mark.parametrize("damaged", [1, 2])
def test_training_continues_from_the_remaining_checkpoint(
    damaged: int, digits: Images, new_network: Callable[[], Network], tmp_path: Path
) -> None:
    expected = run(new_network(), digits, tmp_path / "whole")
    interrupted = train(new_network(), digits, RECIPE, epochs=4, seed=0, device=CPU, checkpoint=tmp_path / "cut")
    for _ in range(3):
        next(interrupted)
    for path in sorted((tmp_path / "cut").iterdir(), reverse=True)[:damaged]:
        path.write_bytes(cut(path.read_bytes()))
    network = new_network()
    assert values(run(network, digits, tmp_path / "cut")) == values(expected)
    assert [p.name for p in sorted((tmp_path / "cut").iterdir())] == ["000003.pt", "000004.pt"]
    assert values(run(network, digits, tmp_path / "cut")) == values(expected)  # and the new ones are whole


def test_a_write_that_was_killed_leaves_the_earlier_one(tmp_path: Path) -> None:
    save_three(tmp_path)
    (tmp_path / "000004.pt.new").write_bytes(b"half of it")
    assert (load(tmp_path, IDENTITY) or {})["epoch"] == 3
    save(tmp_path, 4, IDENTITY, {"epoch": 4})
    assert [p.name for p in sorted(tmp_path.iterdir())] == ["000003.pt", "000004.pt"]


def test_a_full_disk_is_named_and_leaves_the_earlier_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    save_three(tmp_path)
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(UserError, match=r"000004\.pt: No space left on device\. The previous one is intact: free"):
        save(tmp_path, 4, IDENTITY, {"epoch": 4})
    with pytest.raises(UserError, match=r"000001\.pt: No space left on device\. Free some space"):
        save(tmp_path / "another", 1, IDENTITY, {"epoch": 1})
    (tmp_path / "another").rmdir()
    assert (load(tmp_path, IDENTITY) or {})["epoch"] == 3
    assert [p.name for p in sorted(tmp_path.iterdir())] == ["000002.pt", "000003.pt"]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"cannot write the checkpoint .*file/run/000001\.pt: Not a directory"):
        save(tmp_path / "file" / "run", 1, IDENTITY, {})


def test_a_checkpoint_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "000001.pt").mkdir()
    with pytest.raises(UserError, match=r"cannot read the checkpoint .*000001\.pt: it is not a regular file"):
        load(tmp_path, IDENTITY)


FOREIGN: dict[str, tuple[dict[str, Any], str]] = {
    "recipe": ({"recipe": RECIPE.model_copy(update={"momentum": 0.5})}, r"recipe\.momentum: 0\.9 -> 0\.5"),
    "seed": ({"seed": 1}, r"seed: 0 -> 1"),
    "epochs": ({"epochs": 9}, r"epochs: 4 -> 9"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_checkpoint_of_another_run_is_refused(
    name: str, digits: Images, new_network: Callable[[], Network], tmp_path: Path
) -> None:
    other, message = FOREIGN[name]
    run(new_network(), digits, tmp_path)
    with pytest.raises(UserError, match=rf"000004\.pt is a checkpoint of another run:\n  {message}\nDelete"):
        run(new_network(), digits, tmp_path, **other)


def test_a_checkpoint_of_another_architecture_is_refused(
    digits: Images, new_network: Callable[..., Network], tmp_path: Path
) -> None:
    run(new_network(), digits, tmp_path)
    with pytest.raises(UserError, match=r"of another run:\n  network: "):
        run(new_network(16), digits, tmp_path)


def test_a_checkpoint_on_other_images_is_refused(
    digits: Images, new_network: Callable[[], Network], tmp_path: Path
) -> None:
    run(new_network(), digits, tmp_path)
    others = Images(digits.validation, digits.train, digits.mean + 1, digits.std, digits.test, 10)
    with pytest.raises(UserError, match=r"images\.train: 108 -> 12"):
        run(new_network(), others, tmp_path)


class Hostile:
    """An object that runs a command when it is unpickled."""

    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return os.mkdir, (str(self.victim),)


@pytest.mark.parametrize("write", [torch.save, partial(pickle.dump, protocol=2)])
def test_a_hostile_checkpoint_is_not_executed(
    write: Callable[[Any, Any], None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    buffer = io.BytesIO()
    write({"identity": IDENTITY, "state": Hostile(tmp_path / "victim")}, buffer)
    digest = hashlib.sha256(buffer.getvalue())
    first_form = b"zenfront checkpoint 1\n" + digest.digest() + buffer.getvalue()
    second_form = buffer.getvalue() + b"zenfront checkpoint 2, sha256 " + digest.hexdigest().encode()
    for content in (first_form, second_form):
        (tmp_path / "000001.pt").write_bytes(content)
        assert load(tmp_path, IDENTITY) is None
        assert not (tmp_path / "victim").exists()
    assert caplog.text.count("000001.pt is damaged") == 2
