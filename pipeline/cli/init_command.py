"""Define the command `zenfront init`."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from zenfront.pipeline.errors import UserError

INIT = "Examples: zenfront init photos/ · zenfront init birds.csv --label species --space nasbench201"


def init_command(
    source: Annotated[
        str, typer.Argument(metavar="DATA", help="Folder of images or tables, a table, or a name on the hub.")
    ],
    space: Annotated[
        str, typer.Option(metavar="NAME", help="Search space (`zenfront spaces` lists them).")
    ] = "anynet3",
    image: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column of the images in a table.  [default: found]")
    ] = None,
    label: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column of the classes in a table.  [default: found]")
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of the experiment and its file.  [default: that of DATA]")
    ] = None,
) -> None:
    """Write an experiment for your data: NAME.yaml, with comments.

    Looks at the data, chooses objectives for the space and budgets for the size of the images, and prints the command
    that starts the run. docs/data.md shows every form of data that is read.
    """
    from zenfront.pipeline.checks import check
    from zenfront.pipeline.checks.images import describe
    from zenfront.pipeline.checks.new_experiment import new_experiment
    from zenfront.pipeline.experiment.config_file import load_experiment

    made = new_experiment(source, space, image, label, name)
    path = Path(f"{made.name}.yaml")
    if path.exists():
        raise UserError(f"{path} is there already. Choose another name (--name NAME), or start it: zenfront run {path}")
    path.write_text(made.text(), encoding="utf-8")
    try:
        check(load_experiment(path, read_task=lambda _: made.found.task))
    except UserError:
        path.unlink()
        raise
    for line in describe(made.found):
        typer.echo(line)
    typer.echo(f"Written: {path}. Start with: zenfront run {shlex.quote(str(path))}")
