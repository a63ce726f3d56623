"""The scores of a run as its stages read them: checked against the experiment, each architecture once."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from zenfront import spaces
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.record.commands import command
from zenfront.pipeline.record.files.ledger import read_values
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.results.stage_rows import Generation, Scores
from zenfront.spaces import Architecture, Space


def read_scores(folder: RunFolder, experiment: Experiment, counted: int = 0, by: Path | None = None) -> list[Scores]:
    """Return the scores of a search, each architecture once, in the order in which they were first recorded.

    Args:
        folder: Folder of the run.
        experiment: Its experiment.
        counted: Number of architectures that a later file counts.
        by: That file.

    Raises:
        UserError: A line is damaged, or is not one of this experiment; there are fewer architectures than `counted`.
    """
    found = latest(read_values(folder.scores, row_reader(experiment)))
    if by and len(found) < counted:
        raise UserError(
            f"{folder.scores} holds {len(found)} architectures, but {by.name} counts {counted}: a part of the record "
            f"is missing. Restore the file from a copy; "
            f"or run {command('search', folder.path, experiment)}, which scores the "
            "missing ones again."
        )
    return found


def latest(scored: Iterable[Scores]) -> list[Scores]:
    """Return the last scores of each architecture: a failure is followed by what a later attempt has found."""
    return list({scores.architecture.id: scores for scores in scored}.values())


def holds(scores: Scores, names: Iterable[str]) -> bool:
    """Return whether each of these scores has a value, or a reason for which it has none."""
    return all(name in scores.values or name in scores.undefined for name in names)


def joined(scored: Iterable[Scores]) -> list[Scores]:
    """Return the scores of each architecture in one, where some were taken after the others."""
    found: dict[str, Scores] = {}
    for scores in scored:
        before = found.get(scores.architecture.id, scores)
        values = {**before.values, **scores.values}
        found[scores.architecture.id] = replace(
            scores,
            values=values,
            failure=None if values else scores.failure,
            errors={**before.errors, **scores.errors},
            seconds={**before.seconds, **scores.seconds},
            undefined={**before.undefined, **scores.undefined},
        )
    return list(found.values())


def read_whole(folder: RunFolder, experiment: Experiment) -> list[Scores]:
    """Return what `read_scores` does, if it is all that generations.jsonl counts.

    Raises:
        UserError: As `read_scores`.
    """
    generations = read_values(folder.generations, Generation.from_row)
    counted = generations[-1].evaluations if generations else 0
    return read_scores(folder, experiment, counted, folder.generations)


def row_reader(experiment: Experiment, *, partial: bool = False) -> Callable[[object], Scores]:
    """Return a function that reads the rows of one ledger of scores, from the first to the last.

    It raises a ValueError for a row that is no `Scores`; whose genes are not of the space; that lacks an objective and
    violates no constraint; or that holds other scores than an earlier row of the same architecture. Only a failure can
    be followed by something else.

    Args:
        experiment: The experiment whose rows they are.
        partial: Whether rows may lack objectives.
    """
    space = spaces.load(experiment.space, experiment.code)
    earlier: dict[str, tuple[int, Scores]] = {}
    lines = 0

    def read(row: object) -> Scores:
        nonlocal lines
        lines += 1
        scores = Scores.from_row(row)
        check_genes(scores.architecture, space)
        if not partial:
            _check_values(scores, experiment)
        line, before = earlier.setdefault(scores.architecture.id, (lines, scores))
        if before.failure:
            earlier[scores.architecture.id] = (lines, scores)
        elif any(before.values.get(name, value) != value for name, value in scores.values.items()) or (
            not partial and before.values != scores.values
        ):
            raise ValueError(f"{scores.architecture.id} has other scores than in line {line}, {_shown(before, scores)}")
        return scores

    return read


def check_genes(architecture: Architecture, space: Space) -> None:
    """Check that an architecture is one of a space.

    Raises:
        ValueError: It is of another space, or a gene is missing, unknown or outside its distribution.
    """
    if architecture.space != space.name:
        raise ValueError(f"space: must be {space.name!r}, but got {architecture.space!r}")
    if [name for name, _ in architecture.genes] != list(space.levels):
        raise ValueError(f"genes: must be {', '.join(space.levels)}, but got {', '.join(architecture.mapping)}")
    try:
        space.encode(architecture)
    except UserError as error:
        raise ValueError(f"genes: {str(error).rstrip('.')}") from error


def _check_values(scores: Scores, experiment: Experiment) -> None:
    missing = [o.score for o in experiment.objectives if o.score not in scores.values]
    excluded = any(c.excess(scores.values[c.score]) for c in experiment.constraints if c.score in scores.values)
    if missing and not scores.failure and not excluded:
        raise ValueError(f"values: {missing[0]} is missing, and no constraint excludes the architecture")


def _shown(before: Scores, now: Scores) -> str:
    if now.failure:
        return f"where it had not failed ({now.failure[:60]})"
    names = (name for name in {**before.values, **now.values} if before.values.get(name) != now.values.get(name))
    name = next(names)
    return f"where {name} is {before.values.get(name)} and not {now.values.get(name)}"
