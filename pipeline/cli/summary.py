"""What a run prints when it ends: its front, its trained architectures, and where everything is."""

import shlex
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from zenfront.pipeline.cli.console import print_table
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.record.json_file import read_json
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.tracking import shown_uri

SHOWN = 20
ARROWS = {"maximise": "↑", "minimise": "↓"}


def show_front(folder: RunFolder) -> None:
    """The front as a table: the selected members first, in the order of choice."""
    document = read_json(folder.front)
    members = {member["id"]: member for member in document["front"]}
    chosen = {name: rank for rank, name in enumerate(document["selected"], start=1)}
    names = [*chosen, *(name for name in members if name not in chosen)]
    columns, scores = ["choice", "id"], []
    for objective in document["objectives"]:
        scores.append(objective["score"])
        columns.append(f"{objective['score']} {ARROWS[objective['direction']]}")
    extra = [c["score"] for c in document["constraints"] if c["score"] not in scores]
    rows = [
        [
            chosen.get(name),
            name,
            *(members[name]["values"].get(s) for s in scores + extra),
            members[name]["notation"],
        ]
        for name in names[:SHOWN]
    ]
    typer.echo()
    title = f"Pareto front: {len(members)} of {document['evaluations']} architectures"
    print_table(title, [*columns, *extra, "architecture"], rows)
    if len(names) > SHOWN:
        typer.echo(f"... and {len(names) - SHOWN} more in {folder.front}")


def show_trained(folder: RunFolder) -> None:
    """The trained architectures as a table, best test accuracy first, mean ± standard deviation over the seeds."""
    trials = read_json(folder.trained)["trials"]
    grouped: dict[str, list[Mapping[str, Any]]] = {}
    for trial in trials:
        grouped.setdefault(trial["architecture"], []).append(trial)
    rows = sorted((_trained(name, runs) for name, runs in grouped.items()), key=lambda row: row[0], reverse=True)
    typer.echo()
    columns = ["id", "runs", "outcome", "epochs", "val. accuracy", "test accuracy"]
    print_table(f"Trained: {len(grouped)} architectures", columns, [row[1:] for row in rows])


def _trained(name: str, runs: Sequence[Mapping[str, Any]]) -> list[Any]:
    """A row, with what it is sorted by in front."""
    tested = [run["test_accuracy"] for run in runs if run["test_accuracy"] is not None]
    epochs = max(run["epochs"] for run in runs)
    outcome = "finished" if tested else runs[0]["status"]
    validated = [run["val_accuracy"] for run in runs if run["val_accuracy"] is not None]
    order = (statistics.fmean(tested) if tested else -1.0, epochs)
    return [order, name, len(runs), outcome, epochs, _percent(validated), _percent(tested)]


def _percent(fractions: Sequence[float]) -> str:
    if not fractions:
        return "-"
    mean = f"{100 * statistics.fmean(fractions):.1f} %"
    return mean if len(fractions) == 1 else f"{mean[:-2]} ± {100 * statistics.stdev(fractions):.1f} %"


def show_places(folder: RunFolder, experiment: Experiment) -> None:
    """Where everything is."""
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
    elsewhere = "" if folder.path.parent == Path("runs") else f" --runs {shlex.quote(str(folder.path.parent))}"
    typer.echo(f"Look at it in MLflow: just ui{elsewhere}")
