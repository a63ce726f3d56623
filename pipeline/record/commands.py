"""Commands in messages, written so that they can be run as printed from where the user is."""

import os
import shlex
import shutil
import sys
from pathlib import Path

from zenfront.pipeline.experiment.config import Experiment

RUNS = Path("runs")
"""Folder of the run folders if no other is given."""


def command(verb: str, run: Path, experiment: Experiment | None = None) -> str:
    """Return a command on a run in backticks, with the options that this invocation needed.

    Args:
        verb: Command of `zenfront` that takes a run.
        run: The run folder.
        experiment: Experiment of the run, which may have code of its own that has to be allowed; None: it does not
            matter.
    """
    words = ["zenfront", verb, run.name, *_runs(run.parent)]
    if verb in ("search", "train"):
        words += _typed("--address")
    if experiment and (experiment.own_code() or experiment.teacher_code):
        words.append("--allow-code")
    return f"`{shlex.join(words)}`"


def ui_command(runs: Path) -> str:
    """Return the command that shows the runs in MLflow: with `just` in a clone where it is installed."""
    clone = Path("Justfile").is_file() and shutil.which("just")
    return shlex.join([*(["just"] if clone else ["zenfront"]), "ui", *_runs(runs)])


def _typed(option: str) -> list[str]:
    """Return an option with its value as it was typed; on the head node of a cluster the experiment has another."""
    for index, word in enumerate(sys.argv):
        if word == option:
            return sys.argv[index : index + 2]
        if word.startswith(f"{option}="):
            return [word]
    return []


def _runs(folder: Path) -> list[str]:
    usual = Path(os.environ.get("ZENFRONT_RUNS", RUNS))
    return [] if folder.resolve() == usual.resolve() else ["--runs", str(folder)]
