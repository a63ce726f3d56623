"""Data that are not read: the message names the file, what is odd and how much, and how to convert it."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.train_config import Data
from zenfront.pipeline.training.images.look import look
from zenfront.spaces import Task

RNG = np.random.default_rng(0)


def save(path: Path, height: int = 8, width: int = 8, file_format: str | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RNG.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(path, file_format)


def parts(folder: Path, test: tuple[str, ...] = ("ant", "bee")) -> Path:
    for part, names in (("train", ("ant", "bee")), ("test", test)):
        for name in names:
            for index in range(6 if part == "train" else 2):
                save(folder / part / name / f"{index}.png")
    return folder


def flat_test(folder: Path) -> None:
    parts(folder, ())
    for index in range(4):
        save(folder / f"test/{index}.png")


def nested(folder: Path) -> None:
    parts(folder)
    for index in range(3):
        save(folder / f"train/ant/more/{index}.png")


def empty_class(folder: Path) -> None:
    parts(folder)
    (folder / "train/cow").mkdir()


def dead_link(folder: Path) -> None:
    parts(folder)
    (folder / "train/cow").symlink_to(folder / "nowhere")


def gifs(folder: Path) -> None:
    parts(folder)
    for index in range(3):
        save(folder / f"train/ant/g{index}.gif")


def mixed(folder: Path) -> None:
    parts(folder)
    save(folder / "train/bee/3.png", 10, 9)


def table(folder: Path, images: list[Any], labels: list[Any]) -> None:
    for part in ("train", "test"):
        pq.write_table(pa.table({"img": images, "label": labels}), folder / f"{part}.parquet")


def png() -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(file, "PNG")
    return file.getvalue()


def arrays(*shape: int, high: int = 256) -> list[Any]:
    return [RNG.integers(0, high, shape).tolist() for _ in range(6)]


def out_of_range(folder: Path) -> None:
    images = np.zeros((6, 8, 8), int)
    images[4, 2, 1] = 800
    table(folder, images.tolist(), [0, 1] * 3)


def write(name: str, content: bytes | str = b"x") -> Callable[[Path], None]:
    def into(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())

    return into


def both(folder: Path) -> None:
    parts(folder)
    for name in ("val", "valid"):
        save(folder / name / "ant/0.png")


TWO = [0, 1] * 3
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "flat test": (flat_test, r"test: the images must lie in one folder for each class, but 4 lie .*test=0\.2"),
    "nested": (nested, r"train/ant/more: a class folder must hold images, .* folder with 3 files\. Move"),
    "class in test alone": (
        lambda f: parts(f, ("ant", "bee", "cow")),
        r"test/cow/0\.png: .*test has the class 'cow', which .*train does not have \(2 images of 6\)\. .*'ant', 'bee'",
    ),
    "class in capitals": (
        lambda f: parts(f, ("Ant", "bee")),
        r"has the class 'Ant', .* Is it 'ant'\? Remove or rename",
    ),
    "empty class": (empty_class, r"train/cow: each class must have an image, but 1 of 3 class folders have none\."),
    "dead link": (dead_link, r"train/cow: the link leads to .*nowhere, which does not exist\. Correct or remove it"),
    "GIF": (
        gifs,
        r"ant/g0\.gif: images must be PNG, JPEG, BMP, WEBP, but 3 in .*train are not\. Convert them: mogrify",
    ),
    "mixed sizes": (
        mixed,
        r"8 high, 8 wide, but 1 of 12 has another: .*bee/3\.png is 10 high, 9 wide\. .*resize=\{size",
    ),
    "two validation parts": (both, r"both val/ and valid/ may be the validation data\. Rename or merge"),
    "value out of range": (out_of_range, r"row 4, column 'img': pixels must be whole numbers .* got 800\. .*>> 2"),
    "decimals": (lambda f: table(f, RNG.random((6, 8, 8)).tolist(), TWO), r"row 0, .* got 0\..*255 \* image"),
    "16 bits": (lambda f: table(f, arrays(8, 8, high=2**16), TWO), r"row 0, .*>> 8"),
    "negative": (lambda f: table(f, (RNG.random((6, 8, 8)) - 0.5).tolist(), TWO), r"Scale the images to 0 \.\. 255"),
    "channels first": (lambda f: table(f, arrays(3, 8, 8), TWO), r"\(3, 8, 8\)\. The channels come first: .*transpose"),
    "ragged": (lambda f: table(f, [[[1, 2], [3]]] * 6, TWO), r"lists of equal length"),
    "unlabelled": (
        lambda f: table(f, [png()] * 6, [0, 1, 0, 1, -1, -1]),
        r"row 4, .*not be negative, but got -1, .*train\.data\.test",
    ),
    "no label": (lambda f: table(f, [png()] * 6, [0, 1, None, 1, 0, 1]), r"row 2, column 'label': a label is missing"),
    "one class": (lambda f: table(f, [png()] * 6, [3] * 6), r"at least two classes, but got the class 3"),
    "empty file": (
        lambda f: parts(f) and write("train/ant/9.png", b"")(f),
        r"ant/9\.png: the file of the image is empty",
    ),
    "pointer of git-lfs": (write("train.parquet", LFS), r"train\.parquet: .* pointer of git-lfs\. .* `git lfs pull`"),
    "arrays of numpy": (
        write("train.npz"),
        r"the folder must hold images or tables, but it holds train\.npz\. Write each",
    ),
    "arrow": (write("train/data.arrow"), r"train: there must be a folder of images for each class"),
    "archive": (write("photos.zip"), r"it holds photos\.zip\. Unpack it\. Zenfront reads class folders"),
    "nothing": (lambda f: None, r"the folder must hold images or tables, but it is empty\. Zenfront reads"),
    "table without a column": (
        write("train.csv", "id,class\n1,2\n"),
        r"no column 'img'\. It has: id, class\. .*image=COL",
    ),
    "table that is no text": (write("train.csv", b"\xff\xfe\0\0"), r"train\.csv: the table cannot be read .*UTF-8"),
    "table of files that are absent": (
        write("birds.csv", "img,label\nx.png,a\ny.png,b\n"),
        r"birds\.csv, line 2 \(x\.png\).*: the file .*x\.png cannot be read .*No such file",
    ),
    "folder of data sets": (lambda f: parts(f / "a") and parts(f / "b"), r"holds data sets\. Name one: .*/a or .*/b"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_the_message_says_what_and_where_and_how(case: str, tmp_path: Path) -> None:
    make, message = REFUSED[case]
    make(tmp_path)
    data = Data(source=str(tmp_path), test=0.3 if case == "table of files that are absent" else None)
    with pytest.raises(UserError, match=message) as caught:
        look(data, None)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, r"there is no test part \(test or testing\)\. .*train\.data\.test=0\.2"),
        ({"test": "validation"}, r"has no validation part\. Set a fraction"),
        ({"test": 0.2, "validation": "split"}, r"`split` takes a validation part .* none .*validation=0\.1"),
    ],
)
def test_a_part_that_is_not_there_is_asked_for(settings: dict[str, Any], message: str, tmp_path: Path) -> None:
    parts(tmp_path / "a", ())
    with pytest.raises(UserError, match=message):
        look(Data(source=str(tmp_path / "a"), **settings), None)


def test_a_test_part_is_not_replaced_without_a_word(tmp_path: Path) -> None:
    flat_test(tmp_path)  # nobody labelled it
    found = look(Data(source=str(tmp_path), test=0.5), None)
    assert [(part.role, part.counts) for part in found.parts] == [("train", (3, 3)), ("test", (3, 3))]
    assert [note.removeprefix(str(tmp_path)) for note in found.notes] == [
        ": the test part is not used, since train.data.test is 0.5",
        ": 6 of 12 training images are held out as test data",
    ]


def test_names_from_elsewhere_send_nothing_to_the_terminal(tmp_path: Path) -> None:
    for name in ("ant\x1b[2J", "bee\n"):
        for part in ("train", "test"):
            save(tmp_path / part / name / "0.png")
            save(tmp_path / part / name / "1.png")
    (tmp_path / "train/ant\x1b[2J/\x1b]0;x.txt").touch()
    found = look(Data(source=str(tmp_path)), None)
    assert found.classes == ("ant [2J", "bee")
    assert [note for note in found.notes if "\x1b" in note or "\n" in note] == []
    assert len(found.notes) == 1


def test_the_task_is_compared_with_all_parts(tmp_path: Path) -> None:
    parts(tmp_path)
    for path in (tmp_path / "test").rglob("*.png"):
        save(path, 10, 10)
    with pytest.raises(
        UserError, match=r"test: all images must have one size, 8 high, 8 wide, but 4 of 4 have another"
    ):
        look(Data(source=str(tmp_path)), Task(3, 8, 8, 2))
    with pytest.raises(UserError, match=r"task\.classes: .*there are 2 classes, but `task\.classes` is 5"):
        look(Data(source=str(parts(tmp_path / "b"))), Task(3, 8, 8, 5))
