"""The command `edf`, which compares design spaces by the distributions of their errors."""

from pathlib import Path
from typing import Annotated

import typer

from zenfront.pipeline.cli.options import RUNS, Address, AllowCode, Config, Overrides, Runs, TrustConfig

EDF = (
    "Examples: zenfront edf --table models.csv --by family --complexity params · zenfront edf cifar10 --space resnet "
    "--space vanilla --train 40 --preset resnet56 · zenfront edf --space resnet --space vanilla --sample 1000 "
    "--scores zen,naswot"
)
Spaces = Annotated[
    list[str] | None,
    typer.Option("--space", metavar="NAME", help="Search space, or a file.py that holds one. Repeatable."),
]
Train = Annotated[int, typer.Option(metavar="N", min=0, help="Draw N architectures of each space and train them.")]
Count = Annotated[int, typer.Option(metavar="N", min=0, help="Draw N architectures of each space for --scores.")]
Scores = Annotated[
    str | None,
    typer.Option(metavar="NAMES", help="Proxies, separated by commas, whose scores take the place of errors."),
]
Serial = Annotated[
    bool, typer.Option("--serial", help="Take the scores in this process, without Ray; the values are the same.")
]
Vary = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KEY=V,V",
        help="Train the same samples under other settings too: train.recipe.learning_rate=0.05,0.2. Repeatable.",
    ),
]
Tables = Annotated[
    list[Path] | None,
    typer.Option(metavar="FILE", help="Parquet or CSV table of models with an error or an accuracy. Repeatable."),
]
Sweeps = Annotated[
    list[Path] | None,
    typer.Option(metavar="FILE", help="Sweep in the JSON format of facebookresearch/nds. Repeatable."),
]
Error = Annotated[str | None, typer.Option(metavar="COLUMN", help="Column of the error.")]
Accuracy = Annotated[str | None, typer.Option(metavar="COLUMN", help="Column of the accuracy.")]
Unit = Annotated[str, typer.Option(metavar="UNIT", help="percent or fraction.")]
By = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN", help='Column that names the sample of each model, or a condition: "skip_connect >= 1".'
    ),
]
Only = Annotated[
    str | None, typer.Option(metavar="VALUES", help="Values of the column of --by to compare, separated by commas.")
]
Ranges = Annotated[
    list[str] | None,
    typer.Option("--range", metavar="COLUMN", help="Seek the best range of this hyper-parameter. Repeatable."),
]
Complexity = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES",
        help="One or two complexities at which to compare, separated by a comma, or none.  [default: params or flops]",
    ),
]
Params = Annotated[str | None, typer.Option(metavar="LOW:HIGH", help="Limits of the parameters.")]
Flops = Annotated[str | None, typer.Option(metavar="LOW:HIGH", help="Limits of the multiply-adds.")]
Limits = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=LOW:HIGH", help="Limits of another complexity; models outside are left out."),
]
Preset = Annotated[
    str | None, typer.Option(metavar="NAME", help="Named limits: resnet56, those of the paper on CIFAR-10.")
]
Bins = Annotated[int | None, typer.Option(metavar="K", min=1, max=1000, help="Bins of each complexity.")]
Epsilon = Annotated[float | None, typer.Option(metavar="E", min=1e-9, help="Largest error that counts for the area.")]
Resamples = Annotated[int, typer.Option(min=100, max=100_000, help="Resamples and permutations.")]


def edf_command(
    config: Config = "quickstart",
    spaces: Spaces = None,
    train: Train = 0,
    sample: Count = 0,
    scores: Scores = None,
    serial: Serial = False,
    vary: Vary = None,
    table: Tables = None,
    nds: Sweeps = None,
    error: Error = None,
    accuracy: Accuracy = None,
    unit: Unit = "percent",
    by: By = None,
    only: Only = None,
    ranges: Ranges = None,
    complexity: Complexity = None,
    params: Params = None,
    flops: Flops = None,
    limit: Limits = None,
    preset: Preset = None,
    bins: Bins = None,
    epsilon: Epsilon = None,
    resamples: Resamples = 1000,
    overrides: Overrides = None,
    runs: Runs = RUNS,
    address: Address = None,
    allow_code: AllowCode = False,
    trust_config: TrustConfig = False,
) -> None:
    """Compare design spaces by the distributions of their errors.

    Errors come from tables (--table, --nds) or from training random architectures of two or more spaces (--train);
    scores can take their place (--scores). Reports distribution functions, also at equal complexity, with tests and
    intervals. Continues where an interrupted call ended.
    """
    from zenfront.pipeline.cli.evaluation.asked_experiment import AskedExperiment
    from zenfront.pipeline.cli.evaluation.edf import edf
    from zenfront.pipeline.cli.evaluation.edf_request import Request, parse_limits
    from zenfront.pipeline.evaluation.design_spaces.error_table import Columns

    chosen = tuple(value.strip() for value in only.split(",")) if only else ()
    columns = Columns(error, accuracy, unit, by, chosen, tuple(ranges or ()))
    limits = parse_limits(preset, {"params": params, "flops": flops}, limit or [])
    asked = AskedExperiment(config, overrides or [], runs, address, allow_code, trust_config)
    drawn = (spaces or [], train, sample, scores, serial, vary or [])
    edf(Request(asked, *drawn, table or [], nds or [], columns, complexity, limits, bins, epsilon, resamples))
