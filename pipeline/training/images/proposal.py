"""Settings with which a data set can be read, found by looking at it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.train_config import Data, Resize
from zenfront.pipeline.results.overview import Overview
from zenfront.pipeline.training.images.look import look, sizes
from zenfront.pipeline.training.images.reading import hub, parquet
from zenfront.pipeline.training.images.reading.csv_tables import read_table
from zenfront.pipeline.training.images.reading.layout import first_table
from zenfront.pipeline.training.images.source import DIGITS, find, resolved

LARGEST = 128
"""Side in pixels that larger images are resized to."""
SIDES = (128, 96, 64, 48, 32, 24, 16, 8)
"""Sides in pixels that images of different sizes are resized to: the largest that most images have."""
IMAGES = ("img", "image", "file_name", "filename", "file", "path", "image_path", "filepath")
LABELS = ("label", "labels", "class", "category", "target", "fine_label", "species", "y")
"""Usual names of columns, in the order in which they are taken."""


def propose(source: str, image: str | None = None, label: str | None = None) -> tuple[Data, Overview]:
    """Return settings for a data set and what it then holds.

    Args:
        source: Folder, table, or name on the hub.
        image: Column of the images, if it is known.
        label: Column of the classes, if it is known.

    Raises:
        UserError: It cannot be read, or has several columns of which each may be the images or the classes.
    """
    data = resolved(Data(source=source))
    data = data.model_copy(update=_columns(data, image, label))
    parts = find(data).parts
    if "test" not in parts:
        data = data.model_copy(update={"test": "validation" if "validation" in parts else 0.2})
    if side := _side(sizes(data)):
        data = data.model_copy(update={"resize": Resize(size=side)})
    try:
        return data, look(data, None)
    except UserError as error:
        if "convert=true" not in str(error):
            raise
    data = data.model_copy(update={"convert": True})
    return data, look(data, None)


def _side(found: Counter[tuple[int, int]]) -> int | None:
    """Return the side that images are resized to; None: all have one size that is not too large."""
    if len(found) == 1 and max(next(iter(found))) <= LARGEST:
        return None
    shorter = sorted(min(size) for size in found.elements())
    most = shorter[len(shorter) // 10]
    return next((side for side in SIDES if side <= most), most)


def _columns(data: Data, image: str | None, label: str | None) -> dict[str, str]:
    """Return the columns of the images and the classes, for data that are a table."""
    path = Path(data.source)
    uses = _uses(data, first_table(path) if path.exists() else None)
    given = {key: column for key, column in (("image", image), ("label", label)) if column}
    if not uses or len(given) == 2:
        return given
    images = [name for name, use in uses.items() if use == "images"] or [n for n in uses if n.lower() in IMAGES]
    chosen = given.get("image") or _one("image", images, IMAGES, uses)
    labels = [name for name, use in uses.items() if use != "images" and name != chosen]
    return {"image": chosen, "label": given.get("label") or _one("label", labels, LABELS, uses)}


def _uses(data: Data, table: Path | None) -> Mapping[str, str]:
    if data.source == DIGITS:
        return {}
    if table is None:
        return {} if Path(data.source).exists() else hub.columns(data.source)
    if table.suffix.lower() == ".parquet":
        return parquet.columns(table)
    names, _ = read_table(table)
    metadata_of_classes = table.stem == "metadata" and "label" not in names
    return {} if metadata_of_classes else dict.fromkeys(names, "both")


def _one(key: str, found: Sequence[str], usual: Sequence[str], every: Mapping[str, str]) -> str:
    if len(found) == 1:
        return found[0]
    for name in usual:
        if same := [column for column in found if column.lower() == name]:
            return same[0]
    what = "images" if key == "image" else "classes"
    raise UserError(
        f"which column holds the {what}? The table has: {', '.join(list(every)[:20])}. Say it with --{key} COLUMN."
    )
