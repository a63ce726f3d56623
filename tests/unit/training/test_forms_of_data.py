"""Every form of data that docs/data.md names is read: parts, classes and pixels are those that were written."""

import csv
import io
import json
import os
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from zenfront.pipeline.experiment.train_config import Data
from zenfront.pipeline.training.data import load
from zenfront.pipeline.training.images.look import look
from zenfront.pipeline.training.images.reading import layout, parquet

PAGE = Path(__file__).parents[3] / "docs/data.md"
NAMES = ("ant", "bee")


def picture(number: int) -> np.ndarray:
    """Return an image (4, 5, 3) whose red tells which one it is."""
    rows, columns = np.mgrid[:4, :5]
    return np.stack([np.full((4, 5), number), 9 * rows, 9 * columns], axis=-1).astype(np.uint8)


def png(number: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture(number)).save(file, "PNG")
    return file.getvalue()


def classes(folder: Path, count: int, start: int = 0, suffix: str = ".png", names: tuple[str, ...] = NAMES) -> None:
    """Write images `start`, start + 1, ... in turn into the folders of the classes."""
    for number in range(start, start + count):
        place = folder / names[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}{suffix}").write_bytes(png(number))


def parts(
    folder: Path, names: tuple[str, ...] = ("train", "test"), suffix: str = ".png", of: tuple[str, ...] = NAMES
) -> None:
    for part, name in enumerate(names):
        classes(folder / name, 10 if part == 0 else 4, 100 * part, suffix, of)


def rows(file: Path, numbers: Iterable[int], image: Callable[[int], Any], label: Callable[[int], Any]) -> None:
    """Write a table of parquet or text."""
    file.parent.mkdir(parents=True, exist_ok=True)
    images, labels = zip(*((image(number), label(number)) for number in numbers), strict=True)
    if file.suffix == ".parquet":
        pq.write_table(pa.table({"img": list(images), "label": list(labels)}), file)
        return
    if file.suffix == ".jsonl":
        lines = (json.dumps({"file_name": one, "label": two}) for one, two in zip(images, labels, strict=True))
        file.write_text("\n".join(lines) + "\n")
        return
    with file.open("w", newline="", encoding="utf-8-sig") as stream:
        writer = csv.writer(stream, delimiter="\t" if file.suffix == ".tsv" else ";")
        writer.writerows(
            [("file_name" if file.stem == "metadata" else "img", "label"), *zip(images, labels, strict=True)]
        )


def encoded(number: int) -> dict[str, Any]:
    return {"bytes": png(number), "path": None}


def text_label(number: int) -> str:
    return NAMES[number % 2]


def links(folder: Path) -> None:
    classes(folder / "elsewhere", 10)
    parts(folder / "data")
    for file in (folder / "data/train/bee").iterdir():
        file.unlink()
    (folder / "data/train/bee").rmdir()
    (folder / "data/train/bee").symlink_to(folder / "elsewhere/bee")


def numbered(folder: Path, name: str = "train.csv") -> None:
    """Write images into a folder of their own, and tables beside it with paths relative to them."""
    classes(folder / "all [2]", 10)
    classes(folder / "all [2]", 4, 100)
    path: Callable[[int], str] = lambda number: f"all [2]/{text_label(number)}/{number}.png"  # noqa: E731
    for part, numbers in (("train", range(10)), ("test", range(100, 104))):
        if "train" in name:
            rows(folder / name.replace("train", part), numbers, path, text_label)
        elif part == "train":
            rows(folder / name, [*range(10), *range(100, 104)], path, text_label)


def backslashes(folder: Path) -> None:
    numbered(folder)
    for table in folder.glob("*.csv"):
        table.write_text(table.read_text(encoding="utf-8").replace("/", "\\"), encoding="utf-8")


def metadata(folder: Path, name: str) -> None:
    for part, numbers in (("train", range(10)), ("test", range(100, 104))):
        for number in numbers:
            (folder / part).mkdir(parents=True, exist_ok=True)
            (folder / part / f"{number}.png").write_bytes(png(number))
        rows(folder / part / name, numbers, lambda number: f"{number}.png", text_label)


def tables(folder: Path, image: Callable[[int], Any] = encoded, label: Callable[[int], Any] = text_label) -> None:
    rows(folder / "train.parquet", range(10), image, label)
    rows(folder / "test.parquet", range(100, 104), image, label)


def shards(folder: Path, where: str) -> None:
    for part, numbers in (("train", range(10)), ("test", range(100, 104))):
        for shard in range(2):
            file = folder / where.format(part=part, shard=shard)
            rows(file, range(numbers.start + shard, numbers.stop, 2), encoded, text_label)


def tars(folder: Path, where: str, label: str = "cls") -> None:
    for part, numbers in (("train", range(10)), ("test", range(100, 104))):
        for shard in range(2):
            file = folder / where.format(part=part, shard=f"{shard:06}")
            file.parent.mkdir(parents=True, exist_ok=True)
            with tarfile.open(file, "w") as tar:
                for number in range(numbers.start + shard, numbers.stop, 2):
                    class_ = text_label(number) if label == "cls" else json.dumps({"label": text_label(number)})
                    for suffix, content in ((label, class_.encode()), ("png", png(number)), ("txt", b"an insect")):
                        member = tarfile.TarInfo(f"all/{number:04}.{suffix}")
                        member.size = len(content)
                        tar.addfile(member, io.BytesIO(content))


def hub_clone(folder: Path) -> None:
    """Write what `git clone` of a data set of the hub gives; the cache of the hub has links to files elsewhere."""
    shards(folder / "blobs", "{part}-{shard}.parquet")
    for file in (folder / "blobs").iterdir():
        (folder / "clone/data").mkdir(parents=True, exist_ok=True)
        (folder / "clone/data" / f"{file.stem}0000-of-00002.parquet").symlink_to(file)
    (folder / "clone/README.md").write_text("---\nlicense: mit\n---\n")


def class_labels(folder: Path) -> None:
    features = {"img": {"_type": "Image"}, "label": {"names": list(NAMES), "_type": "ClassLabel"}}
    stated = {"huggingface": json.dumps({"info": {"features": features}})}
    for part, numbers in (("train", range(10)), ("test", range(100, 104))):
        table = pa.table({"img": [encoded(n) for n in numbers], "label": [n % 2 for n in numbers]})
        pq.write_table(table.replace_schema_metadata(stated), folder / f"{part}.parquet")


# By the name that docs/data.md gives the form: what is written, and the settings besides the source, "." within it.
FORMS: dict[str, tuple[Callable[[Path], object], dict[str, Any]]] = {
    "train/CLASS/FILE and test/CLASS/FILE": (parts, {}),
    "Train/ and Test/": (lambda f: parts(f, ("Train", "Test")), {}),
    "a path with brackets, stars and question marks": (lambda f: parts(f / "a [v2]*?"), {"source": "a [v2]*?"}),
    "CLASS/FILE without train/ and test/": (lambda f: classes(f, 14), {"test": 0.25}),
    "train/ and val/ without test/": (lambda f: parts(f, ("train", "val")), {"test": "validation"}),
    "a class folder that is a link": (links, {"source": "data"}),
    "class folders whose names begin with _": (lambda f: parts(f, of=("_ant", "__bee")), {}),
    "files without a suffix": (lambda f: parts(f, suffix=""), {}),
    "files in capitals": (lambda f: parts(f, suffix=".PNG"), {}),
    "train.csv and test.csv": (numbered, {}),
    "train.tsv and test.tsv": (lambda f: numbered(f, "train.tsv"), {}),
    "paths that were written on Windows": (backslashes, {}),
    "one .csv file": (lambda f: numbered(f, "birds.csv"), {"source": "birds.csv", "test": 0.25}),
    "train/metadata.csv and test/metadata.csv": (lambda f: metadata(f, "metadata.csv"), {}),
    "train/metadata.jsonl and test/metadata.jsonl": (lambda f: metadata(f, "metadata.jsonl"), {}),
    "train.parquet and test.parquet": (tables, {}),
    "one .parquet file": (
        lambda f: rows(f / "all.parquet", range(14), encoded, text_label),
        {"source": "all.parquet", "test": 0.25},
    ),
    "a folder of shards": (lambda f: shards(f, "{part}-{shard}-of-2.parquet"), {}),
    "train/*.parquet and test/*.parquet": (lambda f: shards(f, "{part}/{shard}.parquet"), {}),
    "a folder of shards without parts": (lambda f: shards(f, "{part}s-{shard}.parquet"), {"test": 0.25}),
    "shards of WebDataset": (lambda f: tars(f, "insects-{part}-{shard}.tar"), {}),
    "train/*.tar and test/*.tar": (lambda f: tars(f, "{part}/{shard}.tar"), {}),
    "shards of WebDataset with classes in JSON": (lambda f: tars(f, "{part}-{shard}.tar", "json"), {}),
    "a local clone of a data set of the hub": (hub_clone, {"source": "clone"}),
    "encoded bytes": (lambda f: tables(f, png), {}),
    "arrays of whole numbers": (lambda f: tables(f, lambda n: picture(n).tolist()), {}),
    "labels that are names": (tables, {}),
    "labels with names of the hub": (class_labels, {}),
    "labels from 1": (lambda f: tables(f, label=lambda n: n % 2 + 1), {}),
    "labels that are true or false": (lambda f: tables(f, label=lambda n: n % 2 == 1), {}),
    "labels as whole decimals": (lambda f: tables(f, label=lambda n: float(n % 2)), {}),
}
SHOWN = {
    "class folders whose names begin with _": ("__bee", "_ant"),
    "labels from 1": ("1", "2"),
    "labels that are true or false": ("false", "true"),
    "labels as whole decimals": ("0", "1"),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_form_is_read(form: str, tmp_path: Path) -> None:
    write, settings = FORMS[form]
    write(tmp_path)
    source = str(tmp_path / settings.get("source", "."))
    data = Data(**{"validation": 0.2} | settings | {"source": source})
    found = look(data, None)
    assert found.classes == SHOWN.get(form, NAMES)
    assert (found.task.channels, found.task.height, found.task.width) == (3, 4, 5)
    images = load(data, found.task, 0)
    first = found.classes[0] in ("ant", "1", "false", "0")  # whether even numbers are class 0
    for part in (images.train, images.validation, images.test()):
        assert [number % 2 == (0 if first else 1) for number in part.images[:, 0, 0, 0].tolist()] == [
            label == 0 for label in part.labels.tolist()
        ]
        assert all(
            np.array_equal(image.numpy(), picture(int(image[0, 0, 0])).transpose(2, 0, 1)) for image in part.images
        )
    counts = {part.role: part.images for part in found.parts}
    assert counts["train"] + counts["test"] == 14
    assert len(images.train) + len(images.validation) == counts["train"]
    assert len(images.test()) == counts["test"]


@pytest.mark.parametrize("form", [form for form in FORMS if "parquet" in form or "shards" in form])
def test_large_tables_are_read_a_few_rows_at_a_time(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "IN_MEMORY", 0)
    monkeypatch.setattr(parquet, "FEW", 2)
    test_a_form_is_read(form, tmp_path)


def test_the_page_names_every_form() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert [form for form in FORMS if form not in page] == []


@pytest.mark.parametrize("name", ["val", "valid", "validation", "dev"])
def test_a_validation_part_is_used(name: str, tmp_path: Path) -> None:
    parts(tmp_path, ("train", "test"))
    classes(tmp_path / name, 6, 200)
    found = look(Data(source=str(tmp_path)), None)
    assert [(part.role, part.counts) for part in found.parts] == [
        ("train", (5, 5)),
        ("validation", (3, 3)),
        ("test", (2, 2)),
    ]
    images = load(Data(source=str(tmp_path)), found.task, 0)
    assert sorted(images.validation.images[:, 0, 0, 0].tolist()) == list(range(200, 206))
    assert len(images.train) == 10
    held_out = Data(source=str(tmp_path), validation=0.2)
    assert len(load(held_out, found.task, 0).train) == 8
    assert [n for n in look(held_out, None).notes if "the validation part is not used" in n] != []
    assert len(load(Data(source=str(tmp_path), validation="split"), found.task, 0).train) == 10


def test_what_is_left_out_is_named(tmp_path: Path) -> None:
    parts(tmp_path)
    (tmp_path / "train/ant/Thumbs.db").write_text("no image")
    (tmp_path / "train/bee/notes.txt").write_text("no image")
    (tmp_path / "train/.DS_Store").write_text("no image")
    (tmp_path / "test/loose.png").write_bytes(png(0))
    (tmp_path / "more").mkdir()
    found = look(Data(source=str(tmp_path)), None)
    assert [part.images for part in found.parts] == [10, 4]
    assert [note.replace(str(tmp_path), "") for note in found.notes] == [
        ": left out more/, which is no part",
        "/train: left out 2 files (such as ant/Thumbs.db), no image",
        "/train: left out 1 file (train/.DS_Store), hidden",
        "/test: left out 1 file (test/loose.png) in no class folder",
    ]


def test_a_link_is_named(tmp_path: Path) -> None:
    links(tmp_path)
    notes = look(Data(source=str(tmp_path / "data")), None).notes
    assert notes == (
        f"{tmp_path}/data/train/bee is a link to {os.path.realpath(tmp_path)}/elsewhere/bee, which is followed",
    )


def test_the_batch_of_the_search_keeps_rare_classes(tmp_path: Path) -> None:
    classes(tmp_path / "train", 100, names=("ant", "ant"))
    classes(tmp_path / "train", 2, 100, names=("bee", "bee"))
    classes(tmp_path / "test", 4, 200)
    data = Data(source=str(tmp_path))
    images = load(data, look(data, None).task, 0)
    assert [part.labels.bincount().tolist() for part in (images.train, images.validation)] == [[91, 1], [9, 1]]
    few = load(data.model_copy(update={"limit": 20}), look(data, None).task, 0)
    assert (few.train.labels.bincount() + few.validation.labels.bincount())[1] >= 1
    earlier = load(data.model_copy(update={"rules": 1, "limit": 20}), look(data, None).task, 0)
    assert len(earlier.train) + len(earlier.validation) == 20
