"""Read image folders: a folder for each class, with its images."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.training.images.decoding.decoder import FORMATS
from zenfront.pipeline.training.images.reading.rows import ImageFile, Rows, Stored

EXTENSIONS = tuple(extension for extensions in FORMATS.values() for extension in extensions)
READ = (b"\x89PNG\r\n", b"\xff\xd8\xff", b"BM")
"""First bytes of images that are read; those of WEBP are ``RIFF....WEBP``."""
OTHERS = (b"GIF8", b"II*\0", b"MM\0*", b"8BPS", b"P4\n", b"P5\n", b"P6\n", b"\0\0\0\x0cjP")
"""First bytes of images that are not: GIF, TIFF, Photoshop, PNM, JPEG 2000; those of HEIC and AVIF are ``....ftyp``."""
CONVERT = "mogrify -format png FOLDER/*, or in Python Image.open(file).convert('RGB').save(file + '.png')"


@dataclass
class _Found:
    """Images and what else lies between them.

    Attributes:
        files: Images, with the name of their class.
        others: Images of formats that are not read.
        left_out: Files that are no images.
        hidden: Names that begin with a dot.
        links: Class folders that are links, with their targets.
    """

    files: list[tuple[ImageFile, str]] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)
    left_out: list[Path] = field(default_factory=list)
    hidden: list[Path] = field(default_factory=list)
    links: list[str] = field(default_factory=list)


def read_classes(folder: Path, root: Path) -> Rows:
    """Return the images ``folder/class/image``, labelled by the name of their folder.

    Every folder whose name does not begin with a dot is a class. Links to class folders are followed. A file is an
    image if its name ends like one, or else if it begins like one.

    Args:
        folder: Folder of a part.
        root: Folder of the data set, which the files must lie in unless their class folder is a link.

    Raises:
        UserError: There is no class or no image, a class is empty or holds folders, or images have formats that are
            not read.
    """
    found = _Found()
    names = list(_class_folders(folder, found))
    for name in names:
        _add_class(folder / name, root, found)
    if found.others:
        raise UserError(
            f"{found.others[0]}: images must be {', '.join(FORMATS)}, but {len(found.others):,} in {folder} are not. "
            f"Convert them: {CONVERT}"
        )
    if not names:
        raise UserError(_no_classes(folder, found))
    if empty := sorted({*names} - {name for _, name in found.files}):
        raise UserError(
            f"{folder / empty[0]}: each class must have an image, but {len(empty)} of {len(names)} class folders have "
            "none. Remove the folder, or add images."
        )
    images: list[Stored] = [file for file, _ in found.files]
    paths = [file for file, _ in found.files]
    return Rows(
        place=str(folder),
        images=images,
        labels=[name for _, name in found.files],
        where=lambda row: str(paths[row].root / paths[row].path),
        key="class folders",
        notes=tuple(_notes(folder, found)),
    )


def is_image(path: Path) -> bool:
    """Return whether a name ends like that of an image."""
    return path.name.lower().endswith(EXTENSIONS)


def entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return what a folder holds, sorted by name."""
    with os.scandir(folder) as found:
        return sorted(found, key=lambda entry: entry.name)


def folders(folder: Path) -> list[str]:
    """Return the names of the folders in a folder, and of links to folders, without hidden ones."""
    return [
        entry.name for entry in entries(folder) if not entry.name.startswith(".") and is_folder(folder / entry.name)
    ]


def is_folder(path: Path) -> bool:
    """Return whether a path leads to a folder; a circle of links leads nowhere."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _class_folders(folder: Path, found: _Found) -> Iterator[str]:
    for entry in entries(folder):
        path = folder / entry.name
        if entry.name.startswith("."):
            found.hidden.append(path)
        elif is_folder(path):
            yield entry.name
        elif entry.is_symlink() and not os.path.exists(path):
            raise UserError(
                f"{path}: the link leads to {os.readlink(path)}, which does not exist. Correct or remove it."
            )
        else:
            found.left_out.append(path)


def _add_class(folder: Path, root: Path, found: _Found) -> None:
    if folder.is_symlink():
        root = folder.resolve()
        found.links.append(f"{folder} is a link to {root}")
        base = ""
    else:
        base = f"{folder.relative_to(root)}/"
    nested = []
    for entry in entries(folder):
        path = folder / entry.name
        if entry.name.startswith("."):
            found.hidden.append(path)
        elif is_folder(path):
            nested.append(path)
        elif is_image(path) or (kind := _kind(path)) == "image":
            found.files.append((ImageFile(root, base + entry.name), folder.name))
        else:
            (found.others if kind == "other image" else found.left_out).append(path)
    if nested:
        inside = sum(len(files) for _, _, files in os.walk(nested[0]))
        more = f" (one of {len(nested)} in {folder.name})" if len(nested) > 1 else ""
        raise UserError(
            f"{nested[0]}: a class folder must hold images, but this is a folder with {inside:,} "
            f"file{'s' * (inside != 1)}{more}. Move its images into {folder}, "
            "or make it a class of its own."
        )


def _kind(path: Path) -> str:
    """Return what a file is by its first bytes: ``image``, ``other image`` or ``no image``."""
    if path.is_symlink():
        return "image"  # where it leads is looked at before it is opened
    if not path.is_file():
        return "no image"
    with path.open("rb") as file:
        head = file.read(16)
    if head.startswith(READ) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return "image"
    return "other image" if head.startswith(OTHERS) or head[4:8] == b"ftyp" else "no image"


def _no_classes(folder: Path, found: _Found) -> str:
    images = [path for path in found.left_out if is_image(path)]
    if images:
        return (
            f"{folder}: the images must lie in one folder for each class, but {len(images):,} lie directly in it "
            f"({images[0].name}). Make a folder for each class and move them, or give their labels in "
            f"{folder / 'metadata.csv'} with the columns file_name and label. Images that nobody labelled cannot test "
            "networks: to leave this part out and hold out a fifth of train/ instead, --set train.data.test=0.2"
        )
    return f"{folder}: there must be a folder of images for each class, but there is none. Restore the data."


def _notes(folder: Path, found: _Found) -> Iterator[str]:
    yield from (f"{link}, which is followed" for link in found.links)
    loose = [path for path in found.left_out if path.parent == folder and is_image(path)]
    if loose:
        yield f"{folder}: left out {_some(loose)} in no class folder"
    if others := [path for path in found.left_out if path not in set(loose)]:
        yield f"{folder}: left out {_some(others)}, no image"
    if found.hidden:
        yield f"{folder}: left out {_some(found.hidden)}, hidden"


def _some(paths: list[Path]) -> str:
    names = f"{paths[0].parent.name}/{paths[0].name}"
    return f"1 file ({names})" if len(paths) == 1 else f"{len(paths):,} files (such as {names})"
