"""Images on the disk: the same as in memory, written once, found again, and resumed after a kill."""

import errno
import json
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.experiment.recipe import Recipe
from zenfront.pipeline.experiment.train_config import Data, Resize
from zenfront.pipeline.training.data import Images, ImageSet, load
from zenfront.pipeline.training.images import source
from zenfront.pipeline.training.loop import train
from zenfront.pipeline.training.store import keeping, stored_images, writing
from zenfront.pipeline.training.store._shards import Shards, write_shard
from zenfront.pipeline.training.store.stored_images import StoredImages
from zenfront.spaces import Network, Task

TASK = Task(3, 8, 8, 2)
COUNT = 40


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ZENFRONT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(writing, "FILE", 10 * 3 * 8 * 8)  # ten images a file
    monkeypatch.setattr(writing, "BATCH", 4 * 3 * 8 * 8)
    load.cache_clear()
    return tmp_path / "cache/images"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Write a folder of photographs of different sizes in two classes, train/ and test/."""
    rng = np.random.default_rng(0)
    for number in range(COUNT):
        part = "train" if number % 4 else "test"
        folder = tmp_path / f"photos/{part}/{'ab'[number % 2]}"
        folder.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (9 + number % 3, 12, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.jpg", quality=90)
    return tmp_path / "photos"


def settings(photos: Path, store: str, **more: object) -> Data:
    return Data.model_validate({"source": str(photos), "resize": Resize(size=8), "store": store, **more})


def both(photos: Path, **more: object) -> tuple[Images, Images]:
    memory, disk = (load.__wrapped__(settings(photos, store, **more), TASK, 0) for store in ("memory", "disk"))
    assert isinstance(memory.train.pixels, torch.Tensor)
    assert isinstance(disk.train.pixels, StoredImages)
    return memory, disk


def same(one: ImageSet, other: ImageSet) -> bool:
    assert one.pixels.shape == other.pixels.shape
    return torch.equal(one.images, other.images) and torch.equal(one.labels, other.labels)


@pytest.mark.parametrize("more", [{}, {"limit": 17}, {"validation": 0.3}, {"test": 0.25}], ids=str)
def test_the_disk_has_the_bits_of_the_memory(cache: Path, photos: Path, more: dict[str, object]) -> None:
    memory, disk = both(photos, **more)
    for one, other in ((memory.train, disk.train), (memory.validation, disk.validation), (memory.test(), disk.test())):
        assert same(one, other)
    assert torch.equal(memory.mean, disk.mean)
    assert torch.equal(memory.std, disk.std)


def test_a_training_from_the_disk_has_the_bits_of_one_from_memory(cache: Path, photos: Path, tmp_path: Path) -> None:
    recipe = Recipe(batch_size=4, warmup_epochs=0, flip=True, crop_padding=1, cutout=2, mixup=0.2)
    memory, disk = both(photos)
    one, other, fresh = _of_colours(), _of_colours(), _of_colours()
    whole = list(train(one, memory, recipe, epochs=3, seed=0, device=torch.device("cpu")))
    begun = train(other, disk, recipe, epochs=3, seed=0, device=torch.device("cpu"), checkpoint=tmp_path / "run")
    next(begun)
    begun.close()
    resumed = train(fresh, memory, recipe, epochs=3, seed=0, device=torch.device("cpu"), checkpoint=tmp_path / "run")
    for expected, found in zip(whole, resumed, strict=True):
        values = [{k: v for k, v in each.metrics.items() if k != "seconds"} for each in (expected, found)]
        assert values[0] == values[1]
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), fresh.parameters(), strict=True))


def _of_colours() -> Network:
    with torch.device("meta"):  # weights are drawn by the training
        features = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU())
        return Network(features, torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4 * 36, 2)))


def test_files_are_arrow_with_an_image_a_row(cache: Path, photos: Path) -> None:
    memory, _ = both(photos, validation=0.1)
    (folder,) = cache.glob("train-*")
    tables = [pa.ipc.open_file(path).read_all() for path in sorted(folder.glob("*.arrow"))]
    assert [len(table) for table in tables] == [10, 10, 10]
    rows = [row for table in tables for row in table["image"].to_pylist()]
    taken = {image.numpy().tobytes() for part in (memory.train, memory.validation) for image in part.images}
    assert set(rows) == taken


def test_images_are_written_once_for_all_seeds(
    cache: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = load.__wrapped__(settings(photos, "disk"), TASK, 0)
    said = capsys.readouterr().err
    assert "30 images are written to" in said
    assert str(cache) in said
    assert "30 of 30 images (100 %)" in said
    monkeypatch.setattr(writing, "decode_row", None)
    second = load.__wrapped__(settings(photos, "disk"), TASK, 1)
    assert not torch.equal(first.train.images, second.train.images)
    assert capsys.readouterr().err == ""


def test_a_changed_file_or_form_is_another_store(cache: Path, photos: Path) -> None:
    before = load.__wrapped__(settings(photos, "disk"), TASK, 0)
    path = next(photos.glob("train/a/*.jpg"))
    Image.fromarray(np.zeros((9, 12, 3), np.uint8)).save(path)
    after = load.__wrapped__(settings(photos, "disk"), TASK, 0)
    assert not torch.equal(before.train.images, after.train.images)
    load.__wrapped__(settings(photos, "disk", resize={"size": 9, "crop": 8}), TASK, 0)
    assert len(list(cache.glob("train-*"))) == 3


def test_a_writer_that_was_killed_goes_on_where_it_was(
    cache: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    decode_row, decoded = source.decode_row, []

    def counted(rows: object, row: int, form: object) -> np.ndarray:
        decoded.append(row)
        if len(decoded) == 26:
            raise KeyboardInterrupt
        return decode_row(rows, row, form)  # type: ignore[arg-type]

    monkeypatch.setattr(writing, "decode_row", counted)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    with pytest.raises(KeyboardInterrupt):
        load.__wrapped__(settings(photos, "disk"), TASK, 0)
    assert not list(cache.glob("train-*/store.json"))
    decoded.clear()
    monkeypatch.setattr(writing, "decode_row", counted)
    images = load.__wrapped__(settings(photos, "disk"), TASK, 0)
    assert sorted(decoded) == list(range(20, 30))
    assert "going on after 20" in capsys.readouterr().err
    assert same(images.train, load.__wrapped__(settings(photos, "memory"), TASK, 0).train)


@pytest.mark.parametrize("how", ["shortened", "removed"])
def test_a_damaged_file_is_written_again(cache: Path, photos: Path, how: str) -> None:
    load.__wrapped__(settings(photos, "disk"), TASK, 0)
    path = sorted(cache.glob("train-*/*.arrow"))[1]
    path.write_bytes(path.read_bytes()[:-100]) if how == "shortened" else path.unlink()
    assert same(*(load.__wrapped__(settings(photos, s), TASK, 0).train for s in ("disk", "memory")))


@pytest.mark.parametrize("place", [-200, -60, -6, 0, 100])
def test_damaged_positions_of_rows_are_written_again(cache: Path, photos: Path, place: int) -> None:
    """An Arrow file has its description at its beginning and its end; pyarrow reads some of it whatever it says."""
    memory, _ = both(photos)
    for path in cache.glob("train-*/*.arrow"):
        content = bytearray(path.read_bytes())
        start = place % len(content)
        content[start : start + 50] = bytes(255 - each for each in content[start : start + 50])
        path.write_bytes(content)
    assert same(memory.train, load.__wrapped__(settings(photos, "disk"), TASK, 0).train)


@pytest.mark.parametrize("random", [0.0, 0.3])
def test_a_stored_image_that_is_damaged_later_names_the_folder(cache: Path, photos: Path, random: float) -> None:
    images = load.__wrapped__(settings(photos, "disk", resize=Resize(size=8, random=random)), TASK, 0)
    assert images.train.pixels[:1].shape == (1, 3, 8, 8)
    for path in cache.glob("train-*/*.arrow"):
        os.truncate(path, 0)
        if random:
            os.truncate(path, 2**20)  # zeros in the place of the encoded images
    with pytest.raises(
        UserError, match=r"image \d+ of .*/train-\w+ cannot be read \(.*\)\. Delete this folder and run"
    ):
        images.train.pixels[:]


def test_a_full_disk_is_one_message(cache: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("usage", (), {"free": 2**28 + 1000})
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "disk_usage", lambda folder: usage)
        with pytest.raises(UserError, match=r"need 5\.62 KiB in .* but its disk has"):
            load.__wrapped__(settings(photos, "disk"), TASK, 0)

    def full(path: Path, batches: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writing, "write_shard", full)
    with pytest.raises(UserError, match=r"No space left.*What is written is kept.*ZENFRONT_CACHE"):
        load.__wrapped__(settings(photos, "disk"), TASK, 0)


def test_a_damaged_image_names_its_place(cache: Path, photos: Path) -> None:
    path = next(photos.glob("train/b/*.jpg"))
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match=path.name):
        load.__wrapped__(settings(photos, "disk"), TASK, 0)


def test_pickled_images_are_found_or_written_on_the_other_machine(
    cache: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    images = load.__wrapped__(settings(photos, "disk"), TASK, 0)
    sent = pickle.dumps(images)
    assert len(sent) < 20_000
    assert same(pickle.loads(sent).train, images.train)
    monkeypatch.setenv("ZENFRONT_CACHE", str(tmp_path / "other"))
    assert same(pickle.loads(sent).train, images.train)
    assert not (tmp_path / "other").exists()  # Ray was started with another environment
    cache.rename(tmp_path / "elsewhere")
    assert same(pickle.loads(sent).train, images.train)
    assert same(pickle.loads(sent).test(), images.test())
    assert len(list((tmp_path / "other").glob("images/*/store.json"))) == 2
    next(photos.glob("train/b/*.jpg")).unlink()
    monkeypatch.setenv("ZENFRONT_CACHE", str(tmp_path / "third"))
    with pytest.raises(UserError, match="there are 29 images on this machine, but 30"):
        len(pickle.loads(sent).train.images)


def test_images_in_memory_are_pickled_as_an_array_that_processes_can_share(cache: Path, photos: Path) -> None:
    part = load.__wrapped__(settings(photos, "memory"), TASK, 0).train
    buffers: list[pickle.PickleBuffer] = []
    sent = pickle.dumps(part, protocol=5, buffer_callback=buffers.append)
    assert max(buffer.raw().nbytes for buffer in buffers) == part.images.shape.numel()
    shared = [bytes(buffer.raw()) for buffer in buffers]  # read-only, as in Ray's object store
    assert same(pickle.loads(sent, buffers=shared), part)


def test_grey_images_have_the_same_strides_in_every_store(cache: Path) -> None:
    memory, disk = (load.__wrapped__(Data(limit=60, store=s), Task(1, 8, 8, 10), 0).train for s in ("memory", "disk"))
    chosen = torch.tensor([3, 1])
    expected = memory.pixels[chosen].stride()  # it decides the order of sums in a convolution
    assert disk.pixels[chosen].stride() == expected
    assert pickle.loads(pickle.dumps(memory)).pixels[chosen].stride() == expected


def test_auto_takes_the_disk_for_many_images(cache: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = 30 * 3 * 8 * 8
    for limit, kind in ((size, torch.Tensor), (size - 1, StoredImages)):
        monkeypatch.setattr(keeping, "IN_MEMORY", limit)
        assert isinstance(load.__wrapped__(settings(photos, "auto"), TASK, 0).train.pixels, kind)


def test_pixels_are_counted_once(cache: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load.__wrapped__(settings(photos, "disk"), TASK, 0)
    monkeypatch.setattr(stored_images, "histogram", None)
    assert torch.equal(load.__wrapped__(settings(photos, "disk"), TASK, 0).mean, first.mean)
    (kept,) = cache.glob("train-*/histogram-*.json")
    assert [sum(channel) for channel in json.loads(kept.read_text())] == [len(first.train) * 64] * 3


def test_rows_of_any_size_are_read_from_arrow_files(tmp_path: Path) -> None:
    rows = [os.urandom(size) for size in (0, 1, 70_000, 3, 12)]
    write_shard(tmp_path / "a.arrow", [pa.array(rows[:2], pa.binary()), pa.array(rows[2:4], pa.binary())])
    write_shard(tmp_path / "b.arrow", [pa.array(rows[4:], pa.binary())])
    assert list(Shards([tmp_path / "a.arrow", tmp_path / "b.arrow"])) == rows


def test_the_store_is_no_part_of_the_results() -> None:
    begun = {"name": "x", "space": "anynet3", "task": {"channels": 1, "height": 8, "width": 8, "classes": 10}}
    objectives = {"objectives": [{"score": "flops", "direction": "minimise"}]}
    one, other = (
        Experiment.model_validate(begun | objectives | {"train": {"data": {"store": store}}}).identity()
        for store in ("memory", "disk")
    )
    assert one == other
