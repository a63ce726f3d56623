"""The folder of an export, written whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.export.subject import Subject
from zenfront.pipeline.record.files.json_file import read_json

CONFIG = "config.json"
"""File that every export has, with the id of the architecture."""
EXPORTS = Path("exports")


def default_target(subject: Subject) -> Path:
    """Return the folder that an export is written to if no other is given, ``exports/<run>-<id>``."""
    return EXPORTS / subject.name


@contextmanager
def new_folder(target: Path, *, force: bool = False) -> Iterator[Path]:
    """Yield an empty folder to write to; when the block ends, it takes the place of the target.

    If the block or a later step fails, the target stays as it was.

    Args:
        target: Folder of the export. The folder above it is made.
        force: Replace an earlier export. A folder that is no export is never replaced.

    Raises:
        UserError: The target exists, or cannot be written.
    """
    _require_free(target, force)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise _unwritable(target, error) from error
    try:
        yield aside
        aside.chmod(0o777 & ~_umask())
        _take_the_place(aside, target)
    except OSError as error:
        raise _unwritable(target, error) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _require_free(target: Path, force: bool) -> None:
    if not os.path.lexists(target) or (target.is_dir() and not any(target.iterdir())):
        return
    if not force:
        raise UserError(f"{target} exists. Replace it with --force, or choose another folder with --to.")
    if target.is_symlink() or not target.is_dir() or not (target / CONFIG).is_file() or not _is_export(target):
        raise UserError(
            f"{target} is no export of Zenfront, so --force does not replace it. Remove it, or choose another folder "
            "with --to."
        )


def _is_export(folder: Path) -> bool:
    try:
        return "zenfront" in read_json(folder / CONFIG)
    except UserError:
        return False


def _take_the_place(aside: Path, target: Path) -> None:
    if target.exists():
        before = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        try:
            target.rename(before / "before")
            aside.rename(target)
        finally:
            shutil.rmtree(before, ignore_errors=True)
    else:
        aside.rename(target)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _unwritable(target: Path, error: OSError) -> UserError:
    return UserError(f"cannot write {target}: {error.strerror}. Choose another folder with --to.")
