"""Contents of a run's data, kept with the run: names of the classes, parts, sizes."""

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.record.files.json_file import read_document, write_json
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.results.overview import Overview


def keep_overview(folder: RunFolder, found: Overview) -> bool:
    """Write what the data hold into the run folder; return whether it is new.

    Raises:
        UserError: The run has scores, and it began with other classes.
    """
    kept = read_overview(folder)
    if kept == found:
        return False
    if kept and kept.classes != found.classes and folder.scores.exists():
        raise UserError(
            f"{folder.path}: the run began with {_described(kept, found)}, but the data have {_described(found, kept)} "
            "now. Restore the data, or start a run under another name (--set name=...)."
        )
    write_json(folder.data, found.to_row())
    return True


def read_overview(folder: RunFolder) -> Overview | None:
    """Return what the data of a run hold, if it is kept.

    Raises:
        UserError: The file is damaged.
    """
    return read_document(folder.data, Overview.from_row)


def _described(one: Overview, other: Overview) -> str:
    """Return the number of classes, and those that the other does not have."""
    odd = [name for name in one.classes if name not in set(other.classes)]
    named = f" ({', '.join(odd[:5])}{', ...' if len(odd) > 5 else ''})" if odd else ""
    return f"{len(one.classes)} classes{named}"
