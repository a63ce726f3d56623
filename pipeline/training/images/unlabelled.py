"""Find images that are to be classified: files, and folders with all that lies below them."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.training.images.reading.folders import EXTENSIONS, is_image
from zenfront.pipeline.training.images.reading.rows import ImageFile, Rows, Stored


def find_images(paths: Sequence[Path]) -> Rows:
    """Return the images of some files and folders; the label of an image is the name of the folder that it lies in.

    Files keep their order; those of a folder, and of the folders in it, are sorted by path. In folders, files whose
    name does not end like that of an image, and names that begin with a dot, are left out.

    Raises:
        UserError: A path does not exist, or there is no image.
    """
    found: list[tuple[Path, Path]] = []
    left_out = 0
    for path in paths:
        if path.is_dir():
            below = sorted(_below(path))
            images = [each for each in below if is_image(each)]
            left_out += len(below) - len(images)
            found += [(path, each) for each in images]
        elif path.exists() or path.is_symlink():
            found.append((path.parent, path))
        else:
            raise UserError(f"{path}: there is no such file or folder. Correct the path.")
    place = ", ".join(str(path) for path in paths[:3]) + (", ..." if len(paths) > 3 else "")
    if not found:
        raise UserError(f"{place}: there is no image ({', '.join(EXTENSIONS)}). Name a folder or files with images.")
    images_: list[Stored] = [ImageFile(root, str(path.relative_to(root))) for root, path in found]
    return Rows(
        place=place,
        images=images_,
        labels=[path.absolute().parent.name for _, path in found],
        where=lambda row: str(found[row][1]),
        key="folders",
        notes=(f"left out {left_out:,} file{'s' * (left_out != 1)}, no image",) if left_out else (),
    )


def _below(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(place, name) for name in names if not name.startswith("."))
