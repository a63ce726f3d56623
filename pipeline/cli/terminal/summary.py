"""Summary that a run prints at its end: the front, the trained architectures and the files."""

import typer

from zenfront.pipeline.cli.terminal.console import print_table
from zenfront.pipeline.cli.terminal.rounds_summary import show_rounds
from zenfront.pipeline.cli.terminal.trained_summary import show_trained
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.record.commands import command, ui_command
from zenfront.pipeline.record.run_documents import read_front
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.record.run_record import RunRecord
from zenfront.pipeline.tracking import shown_uri

SHOWN = 20
ARROWS = {"maximise": "↑", "minimise": "↓"}


def show_front(folder: RunFolder) -> None:
    """Print the front as a table: the selected members first, in the order of choice."""
    front = read_front(folder, folder.experiment())
    if front is None:
        raise UserError(
            f"{folder.front} is missing: nothing is selected yet. Run {command('select', folder.path)} first."
        )
    choice = {name: rank for rank, name in enumerate(front.selected, start=1)}
    members = front.chosen + [member for member in front.members if member.id not in choice]
    scores = [objective.score for objective in front.objectives]
    extra = [constraint.score for constraint in front.constraints if constraint.score not in scores]
    columns = ["choice", "id", *(f"{o.score} {ARROWS[o.direction]}" for o in front.objectives), *extra, "architecture"]
    rows = [
        [choice.get(member.id), member.id, *(member.values.get(score) for score in scores + extra), member.notation]
        for member in members[:SHOWN]
    ]
    typer.echo()
    others = f", and {len(front.others)} networks that rounds chose beside it" if front.others else ""
    print_table(f"Pareto front: {len(front.members)} of {front.evaluations} architectures{others}", columns, rows)
    if len(members) > SHOWN:
        typer.echo(f"... and {len(members) - SHOWN} more in {folder.front}")


def show_training(folder: RunFolder) -> None:
    """Print the rounds, if there are several, and the trained networks and what they offer."""
    typer.echo()
    record = RunRecord.read(folder)
    show_rounds(record)
    show_trained(record)
    if record.trained_front:
        typer.echo(f"Take a network home with {command('export', folder.path, record.experiment)}.")


def show_places(folder: RunFolder, experiment: Experiment) -> None:
    """Print the paths of all results."""
    typer.echo()
    for what, where in (
        ("scores", folder.scores),
        ("front", folder.front),
        ("epochs", folder.epochs),
        ("checkpoints", folder.checkpoints),
        ("report", folder.report / "index.html"),
        ("MLflow", shown_uri(experiment, folder.path.parent)),
    ):
        typer.echo(f"{what:<12} {where}")
    typer.echo(f"Look at it in MLflow: {ui_command(folder.path.parent)}")
