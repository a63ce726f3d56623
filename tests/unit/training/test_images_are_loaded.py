"""Loading, splitting and checking of images, compared with images written by the test or scikit-learn's array."""

import io
import pickle
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.train_config import Data
from zenfront.pipeline.training.data import load, proxy_batch
from zenfront.spaces import Task

CIFAR = Path("../shared/data/cifar10")
DIGITS = Task(1, 8, 8, 10)
TINY = Task(3, 4, 5, 2)


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def picture(value: int) -> np.ndarray:
    """Return an image (4, 5, 3) with its row in red, its column in green and the value in blue."""
    rows, columns = np.mgrid[:4, :5]
    return np.stack([rows, columns, np.full((4, 5), value)], axis=-1).astype(np.uint8)


def write_parquet(
    folder: Path, images: list[bytes | None], labels: list[Any], columns: tuple[str, str] = ("img", "label")
) -> Data:
    folder.mkdir(exist_ok=True)
    structs = [None if image is None else {"bytes": image, "path": None} for image in images]
    column = pa.array(structs, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    table = pa.table({columns[0]: column, columns[1]: labels})
    pq.write_table(table, folder / "train.parquet")
    pq.write_table(table, folder / "test.parquet")
    return Data(source=str(folder), validation=0.2)


def write_tiny(folder: Path) -> Data:
    return write_parquet(folder, [png(picture(value)) for value in range(20)], [value % 2 for value in range(20)])


def test_digits_hold_every_image_once() -> None:
    images = load(Data(), DIGITS, seed=0)
    parts = [images.train, images.validation, images.test()]
    assert [len(part) for part in parts] == [1294, 144, 359]
    ours = Counter(p.numpy().tobytes() for part in parts for p in part.images)
    assert ours == Counter(image.astype(np.uint8).tobytes() for image in load_digits().images)


def test_digits_keep_their_labels() -> None:
    by_pixels = {i.astype(np.uint8).tobytes(): int(y) for i, y in zip(*_digits_arrays(), strict=True)}
    part = load(Data(), DIGITS, seed=0).test()
    assert [by_pixels[i.numpy().tobytes()] for i in part.images] == part.labels.tolist()


def _digits_arrays() -> tuple[np.ndarray, np.ndarray]:
    digits = load_digits()
    return digits.images, digits.target


def test_the_seed_draws_the_validation_part_but_never_the_test_part() -> None:
    one, same, other = (load.__wrapped__(Data(), DIGITS, seed) for seed in (0, 0, 1))
    assert torch.equal(one.validation.images, same.validation.images)
    assert not torch.equal(one.validation.images, other.validation.images)
    assert torch.equal(one.test().images, other.test().images)


def test_each_class_keeps_its_share() -> None:
    images = load(Data(validation=0.25, limit=400), DIGITS, seed=3)
    assert (len(images.train), len(images.validation)) == (300, 100)
    share = np.bincount(_digits_arrays()[1]) / 1797
    # within one in each of the three draws (test, limit, validation)
    assert np.abs(torch.bincount(images.validation.labels).numpy() - 100 * share).max() <= 3


def test_normalisation_is_that_of_the_training_part() -> None:
    images = load(Data(), DIGITS, seed=0)
    assert images.mean.item() == pytest.approx(images.train.images.double().mean().item(), rel=1e-6)
    assert images.std.item() == pytest.approx(images.train.images.double().std(correction=0).item(), rel=1e-6)
    normal = images.normalise(images.train.images)
    assert normal.dtype == torch.float32
    assert normal.mean().item() == pytest.approx(0, abs=1e-5)
    assert normal.std().item() == pytest.approx(1, abs=1e-3)


def test_a_constant_channel_stays_finite(tmp_path: Path) -> None:
    data = write_parquet(tmp_path / "grey", [png(np.full((4, 5, 3), 9, np.uint8))] * 10, [0, 1] * 5)
    images = load(data, TINY, seed=0)
    assert torch.equal(images.normalise(images.train.images), torch.zeros(8, 3, 4, 5))


def test_parquet_in_the_layout_of_the_hub(tmp_path: Path) -> None:
    images = load(write_tiny(tmp_path), TINY, seed=0)
    assert (len(images.train), len(images.validation), len(images.test())) == (16, 4, 20)
    for image, label in zip(images.test().images, range(20), strict=True):
        assert torch.equal(image, torch.from_numpy(picture(label)).permute(2, 0, 1))
    for image, label in zip(images.train.images, images.train.labels, strict=True):
        assert int(image[2, 0, 0]) % 2 == label


def test_columns_may_have_other_names(tmp_path: Path) -> None:
    data = write_parquet(tmp_path, [png(picture(0))] * 10, [0, 1] * 5, ("picture", "kind"))
    loaded = load(data.model_copy(update={"image": "picture", "label": "kind"}), TINY, seed=0)
    assert len(loaded.train) == 8


def write_folders(folder: Path, roles: tuple[str, ...] = ("train", "test")) -> Data:
    for role in roles:
        for label, name in enumerate(("ant", "bee")):
            (folder / role / name).mkdir(parents=True)
            for index in range(5):
                (folder / role / name / f"{index}.png").write_bytes(png(picture(10 * label + index)))
    return Data(source=str(folder), validation=0.2)


def test_image_folders(tmp_path: Path) -> None:
    images = load(write_folders(tmp_path), TINY, seed=0)
    assert (len(images.train), len(images.validation), len(images.test())) == (8, 2, 10)
    for part in (images.train, images.test()):
        assert [int(image[2, 0, 0]) // 10 for image in part.images] == part.labels.tolist()


def test_palettes_are_colours(tmp_path: Path) -> None:
    image = Image.fromarray(picture(7)).convert("P", palette=Image.Palette.ADAPTIVE)
    file = io.BytesIO()
    image.save(file, "PNG")
    data = write_parquet(tmp_path, [file.getvalue()] * 10, [0, 1] * 5)
    assert torch.equal(load(data, TINY, 0).train.images[0], torch.from_numpy(picture(7)).permute(2, 0, 1))


def test_data_are_loaded_once_in_a_process(tmp_path: Path) -> None:
    data = write_tiny(tmp_path)
    assert load(data, TINY, 0) is load(data.model_copy(), TINY, 0)


def test_test_data_are_not_touched_before_they_are_asked_for(tmp_path: Path) -> None:
    data = write_tiny(tmp_path)
    (tmp_path / "test.parquet").write_bytes(b"not yet")
    images = load(data, TINY, 0)
    with pytest.raises(UserError, match="test data cannot be read"):
        images.test()


def test_images_travel_to_a_process_in_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tiny(tmp_path / "tiny")
    monkeypatch.chdir(tmp_path)
    images = load(Data(source="tiny", validation=0.2), TINY, 0)
    copy = pickle.loads(pickle.dumps(images))
    monkeypatch.chdir("/")
    assert torch.equal(copy.train.images, images.train.images)
    assert torch.equal(copy.test().images, images.test().images)


def test_a_batch_for_the_proxies() -> None:
    images = load(Data(), DIGITS, seed=0)
    batch, labels = proxy_batch(images, 32, seed=0)
    assert (batch.shape, batch.dtype, labels.shape) == ((32, 1, 8, 8), torch.float32, (32,))
    pixels = (batch * images.std + images.mean).round().to(torch.uint8)
    train = {i.numpy().tobytes(): int(y) for i, y in zip(images.train.images, images.train.labels, strict=True)}
    assert [train[p.numpy().tobytes()] for p in pixels] == labels.tolist()
    assert torch.equal(batch, proxy_batch(images, 32, seed=0)[0])
    assert not torch.equal(batch, proxy_batch(images, 32, seed=1)[0])
    with pytest.raises(UserError, match=r"search\.batch must be at most the 1294 training images, but got 1295"):
        proxy_batch(images, 1295, seed=0)


WRONG_ROWS: dict[str, tuple[dict[str, Any], str]] = {
    "label too large": (
        {"labels": [0, 1] * 9 + [0, 2]},
        r"train\.parquet, column 'label': there are 3 classes, .* is 2\. .*rarest, 2, has 1 image, .* row 19\.",
    ),
    "label negative": ({"labels": [-1] + [1] * 19}, r"row 0, column 'label': .* got -1"),
    "label a fraction": ({"labels": [0.5, 1.0] * 10}, r"row 0, column 'label': .*integer or a text, but got 0\.5"),
    "labels a text and missing": ({"labels": ["cat", ""] * 10}, r"row 1, column 'label': a label is missing"),
    "label missing": ({"labels": [0, None] * 10}, r"row 1, column 'label': a label is missing .*None"),
    "class missing": ({"labels": [0] * 20}, r"there must be at least two classes, but got the class 0"),
    "image too large": (
        {"image": png(np.zeros((5, 5, 3), np.uint8))},
        r"column 'img': .*is 5 high, 5 wide, but `task` says 4 high, 5 wide.*size: \[4, 5\]",
    ),
    "image with 16 bits": (
        {"image": png(np.full((4, 5), 258, np.uint16))},
        r"column 'img': .* 16 bits per pixel.*convert=true",
    ),
    "image transparent": (
        {"image": png(np.zeros((4, 5, 4), np.uint8))},
        r"column 'img': .* transparent pixels.*convert=true",
    ),
    "image damaged": ({"image": b"\x89PNG but no more"}, r"row \d+, column 'img': .*cannot be decoded"),
    "image cut off": ({"image": png(picture(0))[:-30]}, r"row \d+, column 'img': .*cannot be decoded"),
    "image empty": ({"image": None}, r"row \d+, column 'img': there is no image"),
    "no rows": (
        {"images": [], "labels": pa.array([], pa.int64())},
        r"train\.parquet: there must be at least one image, but got none",
    ),
    "one image": (
        {"images": [png(picture(0))] * 2, "labels": [0, 1]},
        r"at least 2 images .* of 2 images 2 are left and 0 held out",
    ),
    "column missing": (
        {"columns": ("image", "label")},
        r"no column 'img'. It has: image, label. .*train\.data\.image",
    ),
    "label column missing": ({"columns": ("img", "y")}, r"no column 'label'. It has: img, y. .*train\.data\.label"),
}


@pytest.mark.parametrize("case", WRONG_ROWS)
def test_wrong_rows_are_named(case: str, tmp_path: Path) -> None:
    wrong, message = WRONG_ROWS[case]
    image = wrong.get("image", png(picture(0)))
    rows = {"images": [image] * 20, "labels": [0, 1] * 10} | {k: v for k, v in wrong.items() if k != "image"}
    data = write_parquet(tmp_path, **rows)
    with pytest.raises(UserError, match=message):
        load(data, TINY, seed=0)


def truncate(folder: Path) -> None:
    path = folder / "train.parquet"
    path.write_bytes(path.read_bytes()[:-50])


def number_images(folder: Path) -> None:
    pq.write_table(pa.table({"img": [1, 2], "label": [0, 1]}), folder / "train.parquet")


WRONG_FOLDERS = {
    "truncated": (truncate, r"train data cannot be read"),
    "not parquet": (lambda f: (f / "train.parquet").write_bytes(b"x" * 99), r"train data cannot be read"),
    "no train file": (
        lambda f: (f / "train.parquet").unlink(),
        r"a table for test, but none for train",
    ),
    "no test file": (lambda f: (f / "test.parquet").unlink(), r"there is no test part .*train\.data\.test=0\.2"),
    "images are numbers": (number_images, r"column 'img': images must be encoded bytes, .* the type is int64"),
}


@pytest.mark.parametrize("case", WRONG_FOLDERS)
def test_wrong_folders_are_named(case: str, tmp_path: Path) -> None:
    spoil, message = WRONG_FOLDERS[case]
    data = write_tiny(tmp_path)
    spoil(tmp_path)
    with pytest.raises(UserError, match=message) as caught:
        load(data, TINY, seed=0)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("spoil", ["empty", "text", "one class"])
def test_wrong_image_folders_are_named(spoil: str, tmp_path: Path) -> None:
    data = write_folders(tmp_path)
    bees = tmp_path / "train" / "bee"
    for path in [*bees.iterdir(), *(tmp_path / "train" / "ant").iterdir()] if spoil == "empty" else bees.iterdir():
        path.write_text("not an image") if spoil == "text" else path.unlink()
    with pytest.raises(UserError, match=str(tmp_path)):
        load(data, TINY, seed=0)


def test_digits_need_their_task() -> None:
    with pytest.raises(UserError, match=r"digits, image \d+: the image is 8 high, 8 wide, .* 9 high, 8 wide"):
        load(Data(), Task(1, 9, 8, 10), seed=0)


@pytest.mark.slow
@pytest.mark.skipif(not CIFAR.is_dir(), reason=f"{CIFAR}/train.parquet is absent")
def test_cifar10_is_loaded_whole() -> None:
    images = load(Data(source=str(CIFAR)), Task(3, 32, 32, 10), seed=0)
    assert torch.bincount(images.train.labels).tolist() == [4500] * 10
    assert torch.bincount(images.validation.labels).tolist() == [500] * 10
    # the published statistics of the 50,000 training images, in units of 255
    assert (images.mean / 255).tolist() == pytest.approx([0.4914, 0.4822, 0.4465], abs=2e-3)
    assert (images.std / 255).tolist() == pytest.approx([0.2470, 0.2435, 0.2616], abs=2e-3)
    assert torch.bincount(images.test().labels).tolist() == [1000] * 10
