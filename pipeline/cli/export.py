"""Find the network that the command line asks for, and write it."""

from dataclasses import dataclass
from pathlib import Path

import typer

from zenfront import spaces
from zenfront.pipeline.cli.export_formats import Formats
from zenfront.pipeline.cli.run_commands import existing_run
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.references import read_named
from zenfront.pipeline.export.choice import PICKS
from zenfront.pipeline.export.from_run import run_subject
from zenfront.pipeline.export.hub_folder import write_hub_folder
from zenfront.pipeline.export.subject import Subject, fresh_subject
from zenfront.pipeline.export.target import default_target, new_folder
from zenfront.pipeline.user_code import allow
from zenfront.pipeline.wording import suggestion
from zenfront.spaces import Task


@dataclass(frozen=True)
class Asked:
    """Which network is asked for: the options of the command, see `export_command`."""

    run: str
    network: str | None
    pick: str | None
    seed: int | None
    at_rung: int | None
    untrained: bool
    space: str | None
    architecture: str | None
    task: str


def export(asked: Asked, formats: Formats, runs: Path, to: Path | None, force: bool, allow_code: bool) -> None:
    """Write the network, and print where it is and what it is.

    Raises:
        UserError: There is no such network; it cannot be exported; the target exists or cannot be written.
    """
    subject = find(asked, runs, allow_code)
    formats.check(subject)
    target = to or default_target(subject)
    with new_folder(target, force=force) as folder:
        write_hub_folder(subject, folder, formats.files)
        lines = list(formats.write(subject, folder))
    typer.echo("\n".join([described(subject), *lines, f"Export: {target}"]))
    for line in formats.register(subject):
        typer.echo(line)


def find(asked: Asked, runs: Path, allow_code: bool) -> Subject:
    """Return what is to be exported.

    Raises:
        UserError: Options exclude each other; there is no such network, or it has no such weights.
    """
    if asked.space or asked.architecture:
        return _of_space(asked)
    if asked.untrained and asked.at_rung is not None:
        raise UserError("--untrained and --at-rung exclude each other: fresh weights, or those after some epochs.")
    if asked.network and asked.pick:
        raise UserError(f"name the architecture ({asked.network}) or --pick ({asked.pick}), not both.")
    if asked.pick and asked.pick.replace("-", "_") not in PICKS:
        raise UserError(
            f"--pick must be one of {', '.join(PICKS)}, but got {asked.pick!r}.{suggestion(asked.pick, PICKS)}"
        )
    folder = existing_run(asked.run, runs)
    if allow_code:
        allow(folder.experiment().own_code())
    return run_subject(
        folder, asked.network or asked.pick, seed=asked.seed, at_rung=asked.at_rung, untrained=asked.untrained
    )


def described(subject: Subject) -> str:
    """Return one line about what is exported."""
    facts = subject.facts
    if not subject.trained:
        return f"{subject.id}: fresh weights of seed {facts.seed}"
    weights = f"weights of seed {facts.seed} after {facts.epochs} epochs"
    metric = facts.metric
    if facts.test is None:
        return f"{subject.id}: {weights}, {metric.validated} {metric.shown(facts.validation)}, never tested"
    return f"{subject.id}: {weights}, {metric.tested} {metric.shown(facts.test)}"


def _of_space(asked: Asked) -> Subject:
    if not asked.space or not asked.architecture:
        missing = "--architecture" if asked.space else "--space"
        raise UserError(f"--space and --architecture go together, but {missing} is missing.")
    if asked.network or asked.pick or asked.at_rung is not None:
        raise UserError("--space exports an architecture without a run: leave out ARCHITECTURE, --pick and --at-rung.")
    code, [name] = read_named("spaces", [asked.space])
    space = spaces.load(name, code)
    architecture = space.architecture(space.parse(asked.architecture))
    return fresh_subject(space, architecture, _task(asked.task), asked.seed or 0)


def _task(text: str) -> Task:
    try:
        channels, height, width, classes = (int(part) for part in text.split(","))
        return Task(channels, height, width, classes)
    except ValueError as error:
        raise UserError(
            f"--task must be CHANNELS,HEIGHT,WIDTH,CLASSES such as 3,32,32,10, but got {text!r} ({error})."
        ) from error
