"""Parts that are cut out at random: where they may lie, what depends on what, and that they come from the image."""

import io
import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import kstest

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config_file import load_experiment
from zenfront.pipeline.experiment.recipe import Recipe
from zenfront.pipeline.experiment.train_config import Data, Resize
from zenfront.pipeline.seeds import numpy_generator
from zenfront.pipeline.training.data import Images, load
from zenfront.pipeline.training.images.decoding.decoder import decode
from zenfront.pipeline.training.images.decoding.form import Form
from zenfront.pipeline.training.images.decoding.part import Part, draw_part
from zenfront.pipeline.training.loop import draw_batches
from zenfront.pipeline.training.store.encoded_images import EncodedImages
from zenfront.spaces import Task

TASK = Task(3, 16, 16, 2)


def test_the_share_of_the_area_is_uniform_and_the_ratio_log_uniform() -> None:
    generator = np.random.default_rng(0)
    parts = [draw_part(1000, 1000, 0.1, generator) for _ in range(3000)]
    assert all(p.top >= 0 and p.left >= 0 and p.top + p.height <= 1 and p.left + p.width <= 1 for p in parts)
    # Below 3/4 of the area every ratio fits into a square, so that no draw is repeated.
    small = [part for part in parts if part.height * part.width < 0.7]
    shares = np.array([part.height * part.width for part in small])
    ratios = np.log([part.width / part.height for part in small])
    assert kstest((shares - 0.1) / 0.6, "uniform").pvalue > 1e-4
    assert kstest((ratios / math.log(4 / 3) + 1) / 2, "uniform").pvalue > 1e-4
    tops = np.array([part.top / (1 - part.height) for part in small])
    assert kstest(tops, "uniform").pvalue > 1e-4


@pytest.mark.parametrize(("height", "width"), [(10, 1000), (1000, 10), (1, 1), (3, 200)])
def test_a_part_of_a_narrow_image_lies_inside_it(height: int, width: int) -> None:
    for seed in range(50):
        part = draw_part(height, width, 1.0, np.random.default_rng(seed))
        left, upper, right, lower = part.box(height, width)
        assert 0 <= left < right <= width
        assert 0 <= upper < lower <= height


def jpeg(pixels: np.ndarray, orientation: int = 1) -> bytes:
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(file, "JPEG", quality=95, subsampling=0, exif=exif)
    return file.getvalue()


def gradient(height: int, width: int) -> np.ndarray:
    """Return an image with its height in red and its width in green, 0 to 255."""
    rows, columns = np.mgrid[:height, :width]
    red, green = 255 * (rows + 0.5) / height, 255 * (columns + 0.5) / width
    return np.stack([red, green, np.zeros_like(red)], axis=-1).round().astype(np.uint8)


@pytest.mark.parametrize("part", [Part(0.1, 0.3, 0.4, 0.2), Part(0.5, 0.0, 0.5, 1.0), Part(0.0, 0.0, 1.0, 1.0)])
@pytest.mark.parametrize("orientation", [1, 6], ids=["upright", "turned"])
def test_the_pixels_are_those_of_the_part_also_at_reduced_scale(part: Part, orientation: int) -> None:
    form, upright = Form(3, 16, 16, Resize(size=16)), gradient(480, 640)
    stored = np.rot90(upright) if orientation == 6 else upright  # 6: turn it by 90 degrees clockwise to look at it
    pixels = decode(jpeg(np.ascontiguousarray(stored), orientation), form, lambda height, width: part)
    middle = (np.arange(16) + 0.5) / 16
    assert np.abs(pixels[:, 3, 0] - 255 * (part.top + part.height * middle)).max() < 4
    assert np.abs(pixels[3, :, 1] - 255 * (part.left + part.width * middle)).max() < 4


@pytest.fixture
def cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Images:
    """Photographs of which the red value tells the image and the green one the column."""
    monkeypatch.setenv("ZENFRONT_CACHE", str(tmp_path / "cache"))
    for number in range(24):
        pixels = gradient(40, 60)
        pixels[:, :, 0] = 10 * number
        for part in ("train", "test"):
            folder = tmp_path / f"data/{part}/{number % 2}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{number:02}.jpg").write_bytes(jpeg(pixels))
    data = Data(source=str(tmp_path / "data"), resize=Resize(size=20, crop=16, random=0.2), validation=0.2)
    return load.__wrapped__(data, TASK, 0)


def batches(images: Images, epoch: int, size: int = 4, seed: int = 0) -> dict[int, torch.Tensor]:
    """Return the images of an epoch by their number, which the red channel has."""
    generator, recipe = numpy_generator(seed, "epoch", str(epoch)), Recipe(batch_size=size)
    drawn = torch.cat([x for x, _ in draw_batches(images.train, images, recipe, generator)])
    pixels = drawn * images.std[:, None, None] + images.mean[:, None, None]
    return {round(image[0].mean().item() / 10): image for image in pixels}


def test_each_epoch_and_seed_cuts_other_parts_and_repeats_its_own(cut: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(cut.train.pixels, EncodedImages)
    first = batches(cut, 1)
    assert len(first) == len(cut.train) // 4 * 4
    for threads, size in ((1, 4), (3, 4), (8, 2)):  # neither the threads nor the place in a mini-batch matter
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        again = batches(cut, 1, size)
        assert all(torch.equal(again[number], first[number]) for number in first)
    for other in (batches(cut, 2), batches(cut, 1, seed=1)):
        both = other.keys() & first.keys()
        assert sum(torch.equal(other[number], first[number]) for number in both) == 0


def test_only_training_images_are_cut_at_random(cut: Images, tmp_path: Path) -> None:
    data = Data(source=str(tmp_path / "data"), resize=Resize(size=20, crop=16), validation=0.2)
    middle = load.__wrapped__(data, TASK, 0)
    assert torch.equal(cut.validation.images, middle.validation.images)
    assert torch.equal(cut.test().images, middle.test().images)
    assert torch.equal(cut.train.images, middle.train.images)  # without a key, as scores see them
    assert torch.equal(cut.mean, middle.mean)
    assert torch.equal(cut.std, middle.std)


def test_random_parts_need_the_disk(tmp_path: Path) -> None:
    overrides = ["train.data.resize={size: 8, random: 0.1}", "train.data.store=memory"]
    read = partial(load_experiment, "smoke")
    with pytest.raises(UserError, match=r"train\.data: `store: memory`.*`store: auto`"):
        read(overrides)
    with pytest.raises(UserError, match=r"train\.data\.resize\.random: must be less than or equal to 1"):
        read(["train.data.resize={size: 8, random: 1.5}"])
