"""Tables and shards that are read a few images at a time, and validation images that lie elsewhere."""

import gzip
import io
import json
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.train_config import Data
from zenfront.pipeline.training.data import load
from zenfront.pipeline.training.images.look import look
from zenfront.pipeline.training.images.reading import parquet, tar
from zenfront.pipeline.training.images.reading.rows import fetched


def png(number: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((4, 5, 3), number, np.uint8) + np.arange(5, dtype=np.uint8)[:, None]).save(file, "PNG")
    return file.getvalue()


def classes(folder: Path, first: int, count: int) -> None:
    for number in range(first, first + count):
        (folder / f"{number % 2}").mkdir(parents=True, exist_ok=True)
        (folder / f"{number % 2}/{number}.png").write_bytes(png(number))


def shard(file: Path, members: dict[str, bytes]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, "w") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def test_large_parquet_is_read_in_any_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "FEW", 3)
    column = pa.array([{"bytes": bytes([number] * 9), "path": None} for number in range(50)])
    table = pa.table({"img": column, "label": [number % 2 for number in range(50)]})
    pq.write_table(table, tmp_path / "all.parquet", row_group_size=11)
    images, labels = parquet.read_large_parquet(tmp_path / "all.parquet", tmp_path, tmp_path, "img", "label")
    assert labels == [number % 2 for number in range(50)]
    order = [*range(50), *range(49, -1, -1), *np.random.default_rng(0).permutation(50).tolist()]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda row: fetched(images[row]), order)) == [bytes([row] * 9) for row in order]


def test_a_shard_without_a_class_is_one_message(tmp_path: Path) -> None:
    for part in ("train", "test"):
        members = {f"all/{n}.{kind}": content for n in range(5) for kind, content in sample(n).items()}
        shard(tmp_path / f"{part}-000000.tar", members)
    with pytest.raises(UserError, match=r"sample all/0: there is no class, and so it is for 5 of 5 samples"):
        look(Data(source=str(tmp_path), label="species"), None)


def sample(number: int) -> dict[str, bytes]:
    return {"png": png(number), "json": json.dumps({"label": number % 2}).encode()}


def test_a_member_of_a_shard_that_is_too_large_is_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for part in ("train", "test"):
        members = {f"{n}.{kind}": content for n in range(5) for kind, content in sample(n).items()}
        shard(tmp_path / f"{part}-000000.tar", members)
    monkeypatch.setattr(tar, "LARGEST_FILE", 50)
    with pytest.raises(UserError, match=r"train-000000\.tar, sample 0: an encoded image has at most 50 bytes"):
        look(Data(source=str(tmp_path)), None)


def test_validation_images_of_ones_own(tmp_path: Path) -> None:
    for part, count in (("data/train", 10), ("data/test", 4)):
        classes(tmp_path / part, 0, count)
    classes(tmp_path / "mine", 200, 6)
    data = Data(source=str(tmp_path / "data"), validation_source=str(tmp_path / "mine"))
    found = look(data, None)
    assert [(part.role, part.counts) for part in found.parts] == [
        ("train", (5, 5)),
        ("validation", (3, 3)),
        ("test", (2, 2)),
    ]
    images = load(data, found.task, 0)
    assert sorted(images.validation.images[:, 0, 0, 0].tolist()) == list(range(200, 206))
    assert len(images.train) == 10
    missing = data.model_copy(update={"validation_source": str(tmp_path / "gone")})
    with pytest.raises(UserError, match=r"train\.data\.validation_source .*gone: there is no such file or folder"):
        load(missing, found.task, 0)


@pytest.mark.parametrize("blocks", range(1, 9))
def test_a_shard_that_is_cut_off_anywhere_is_refused(tmp_path: Path, blocks: int) -> None:
    """Two samples are eight blocks of 512 bytes; `tarfile` reads one that ends between two members as a whole file."""
    file = tmp_path / "train-000000.tar"
    shard(
        file, {f"{number}.{kind}": content for number in (0, 1) for kind, content in ((0, b"0"), ("png", png(number)))}
    )
    assert len(tar.read_tar(file, "png", "0")[0]) == 2
    whole = file.read_bytes()
    file.write_bytes(whole[: 512 * blocks])
    with pytest.raises((UserError, tarfile.ReadError), match=r"is cut off or damaged at byte|unexpected end of data"):
        tar.read_tar(file, "png", "0")
    file.write_bytes(whole[:2048] + bytes([255]) * 512 + whole[2560:])  # the third header
    with pytest.raises(
        UserError, match=r"train-000000.tar: the file is cut off or damaged at byte 2,048. Copy it anew"
    ):
        tar.read_tar(file, "png", "0")


@pytest.mark.parametrize(
    ("label", "said"), [("json", r"sample 0: its json cannot be read"), ("cls", r"sample 0: its cls cannot be read")]
)
def test_a_label_that_cannot_be_read_names_its_sample(tmp_path: Path, label: str, said: str) -> None:
    shard(tmp_path / "train-000000.tar", {"0.png": png(0), f"0.{label}": b"\xff"})
    with pytest.raises(UserError, match=said):
        tar.read_tar(tmp_path / "train-000000.tar", "png", "label")


def test_a_compressed_shard_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "train-000000.tar").write_bytes(gzip.compress(bytes(10_240)))
    with pytest.raises(UserError, match=r"it is no tar file, or a compressed one \(.*\)\. Unpack what is compressed"):
        tar.read_tar(tmp_path / "train-000000.tar", "png", "label")
