"""Teacher of a run, kept with the run, since all its networks learn from the same one."""

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.record.files.json_file import read_json, write_json
from zenfront.pipeline.record.run_folder import RunFolder


def keep_teacher(folder: RunFolder, name: str, digest: str) -> None:
    """Write the weights of a teacher into the run folder.

    Args:
        folder: Folder of the run.
        name: Teacher as the experiment names it.
        digest: SHA-256 of its weights, its size and its normalisation, in hexadecimal digits.

    Raises:
        UserError: Networks of the run have learned from other weights; the file cannot be read or written.
    """
    kept = read_json(folder.teacher).get("digest") if folder.teacher.exists() else None
    if kept == digest:
        return
    if kept and folder.computed().epochs:
        raise UserError(
            f"{folder.path}: networks of this run have learned from the teacher with the weights {str(kept)[:16]}, but "
            f"train.distillation.teacher, {name}, has the weights {digest[:16]} now. Restore it, or start a run under "
            "another name (--set name=...)."
        )
    write_json(folder.teacher, {"teacher": name, "digest": digest})
