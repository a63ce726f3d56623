"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[
    str,
    typer.Argument(
        metavar="CONFIG", help="YAML file of the experiment, or the name of one in tune_configs/.", show_default=True
    ),
]
Run = Annotated[
    str,
    typer.Argument(metavar="RUN", help="Name of a run in the runs folder, its folder, or its YAML file."),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change a key of the experiment; the value is YAML. Repeatable: "
        "--set search.population=128 --set 'objectives[0].score=zico'.",
    ),
]
AllowCode = Annotated[
    bool,
    typer.Option(
        "--allow-code",
        help="Run the Python files and commands that the experiment names. Read them first: they run with "
        "all your rights.",
    ),
]
TrustConfig = Annotated[
    bool,
    typer.Option(
        "--trust-config",
        help="Connect, read and write where the YAML file says (cluster.address, cluster.storage, tracking.uri). Read "
        "it first: whoever answers at cluster.address can run code with your rights.",
    ),
]
Runs = Annotated[Path, typer.Option("--runs", metavar="DIR", envvar="ZENFRONT_RUNS", help="Folder of the run folders.")]
Address = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Ray cluster to use: `auto`, host:port or ray://host:port.  [default: RAY_ADDRESS, or this machine]",
    ),
]
SpaceName = Annotated[
    str | None,
    typer.Option(
        "--space", metavar="NAME", help="Search space, or a file.py that holds one.  [default: the experiment's]"
    ),
]
RUNS = Path("runs")
