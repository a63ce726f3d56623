"""The command `export`, which writes a network as an ordinary file."""

from pathlib import Path
from typing import Annotated

import typer

from zenfront.pipeline.cli.options import RUNS, AllowCode, Runs

EXPORT = (
    "Examples: zenfront export quickstart --onnx · zenfront export quickstart --pick most_accurate --seed 1 · "
    "zenfront export --space resnet --architecture d1=3,w1=16,d2=3,w2=32,d3=3,w3=64"
)
Run = Annotated[
    str, typer.Argument(metavar="RUN", help="Name of a run in the runs folder, or its folder. Not used with --space.")
]
Network = Annotated[
    str | None,
    typer.Argument(
        metavar="ARCHITECTURE",
        help="Id or its beginning, notation, name of a baseline, or place among the selected networks.  [default: the "
        "knee of the trained front]",
    ),
]
Pick = Annotated[
    str | None, typer.Option(metavar="NAME", help="knee, most_accurate or cheapest_within_noise, of the trained front.")
]
Seed = Annotated[
    int | None,
    typer.Option(
        metavar="N", min=0, max=2**63 - 1, help="Seed of the training.  [default: the best on the validation images]"
    ),
]
AtRung = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, help="Export a network that was stopped early with its weights after N epochs."),
]
Untrained = Annotated[bool, typer.Option("--untrained", help="Export the network with fresh weights.")]
Space = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Search space, or a file.py that holds one: export without a run, untrained."),
]
Notation = Annotated[
    str | None, typer.Option("--architecture", metavar="TEXT", help="With --space: the architecture in its notation.")
]
Shape = Annotated[
    str,
    typer.Option(
        metavar="C,H,W,K", help="With --space: channels, height and width of the images, and number of classes."
    ),
]
To = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Folder to write to.  [default: exports/RUN-ID, or exports/SPACE-ID]")
]
Onnx = Annotated[
    bool, typer.Option("--onnx", help="Also write model.onnx, which is checked with onnxruntime (zenfront[onnx]).")
]
Pt2 = Annotated[bool, typer.Option("--pt2", help="Also write model.pt2, which torch.export.load reads.")]
Timm = Annotated[
    bool, typer.Option("--timm", help="Also write timm/, a folder for timm.create_model: RegNets from 64 pixels on.")
]
Mlflow = Annotated[
    bool, typer.Option("--mlflow", help="Also register the network in the run's MLflow store, linked to its training.")
]
Normalise = Annotated[
    bool,
    typer.Option(
        "--normalise",
        help="In these formats, let the network normalise the images itself: it then takes pixel values, 0 .. 255.",
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Replace an earlier export in that folder.")]


def export_command(
    run: Run = "quickstart",
    network: Network = None,
    pick: Pick = None,
    seed: Seed = None,
    at_rung: AtRung = None,
    untrained: Untrained = False,
    space: Space = None,
    architecture: Notation = None,
    task: Shape = "3,32,32,10",
    to: To = None,
    force: Force = False,
    onnx: Onnx = False,
    pt2: Pt2 = False,
    timm: Timm = False,
    mlflow: Mlflow = False,
    normalise: Normalise = False,
    runs: Runs = RUNS,
    allow_code: AllowCode = False,
) -> None:
    """Write a network as ordinary files, for other programs.

    The result is a folder with a PyTorch module that stands alone and its weights. The weights are those that were
    tested. The folder also holds a model card, the preprocessing of the images and what the run knows of the network;
    it needs Zenfront no more.
    """
    from zenfront.pipeline.cli.export import Asked, export
    from zenfront.pipeline.cli.export_formats import Formats

    asked = Asked(run, network, pick, seed, at_rung, untrained, space, architecture, task)
    export(asked, Formats(onnx, pt2, mlflow, normalise, timm), runs, to, force, allow_code)
