"""The commands `correlate` and `regret`, which measure scores and selection rules."""

from pathlib import Path
from typing import Annotated

import typer

from zenfront.pipeline.cli.options import RUNS, Address, AllowCode, Config, Overrides, Runs, SpaceName, TrustConfig

CORRELATE = (
    "Examples: zenfront correlate --train 30 · zenfront correlate cells --truth nasbench201.parquet --sample 300 "
    "--proxies zen,naswot --where 'skip_connect >= 1' · zenfront correlate cells --truth t.parquet --scores s.parquet"
)
REGRET = (
    "Example: zenfront regret cells --truth nasbench201.parquet --scores scores.parquet --rule random "
    "--rule stratified:jacob_cov --rule front:zen,ntk,flops --rule front:zen+naswot,flops"
)
Proxies = Annotated[
    str | None,
    typer.Option(
        "--proxies",
        metavar="NAMES",
        help="Names or files, comma-separated.  [default: the experiment's, or the table's]",
    ),
]
Truth = Annotated[
    Path | None,
    typer.Option(
        "--truth",
        metavar="TABLE",
        help="Table, parquet or CSV, with a column `architecture` in the space's notation and an accuracy.",
    ),
]
Accuracy = Annotated[
    str | None,
    typer.Option(
        "--accuracy", metavar="COLUMN", help="Accuracy column of the truth table; COLUMN_seed<i> are single runs."
    ),
]
Latency = Annotated[
    str | None,
    typer.Option(
        "--latency",
        metavar="COLUMN",
        help="Compare with this column of the truth table, a latency, in place of an accuracy.",
    ),
]
Scores = Annotated[
    Path | None,
    typer.Option(
        "--scores",
        metavar="TABLE",
        help="Table, parquet or CSV, with a column `architecture` and one column per score.",
    ),
]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        metavar="NAME=COLUMN",
        help="Column of the tables that holds NAME, such as architecture=arch. Repeatable.",
    ),
]
Count = Annotated[
    int | None, typer.Option("--sample", metavar="N", min=1, help="Draw N architectures of the truth table at random.")
]
Train = Annotated[
    int | None, typer.Option("--train", metavar="N", min=1, help="Draw N architectures at random and train each.")
]


def correlate_command(
    config: Config = "quickstart",
    space: SpaceName = None,
    proxies: Proxies = None,
    truth: Truth = None,
    train: Train = None,
    accuracy: Accuracy = None,
    latency: Latency = None,
    scores: Scores = None,
    sample: Count = None,
    column: Columns = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CONDITION",
            help='Also report both parts that the condition splits: "skip_connect >= 1 and params < 1e6".',
        ),
    ] = None,
    overrides: Overrides = None,
    runs: Runs = RUNS,
    address: Address = None,
    allow_code: AllowCode = False,
    trust_config: TrustConfig = False,
) -> None:
    """Correlate scores with the accuracy on a space.

    The accuracies come from a table (--truth) or from training (--train). Reports rank correlations with intervals,
    overall, at equal FLOPs and among the best; the biases of each score; and a comparison with free scores. With
    --latency, the scores are compared with a latency, and so is what a model predicts from 25, 50 and 100 of them.
    Continues where an interrupted call ended.
    """
    from zenfront.pipeline.cli.evaluation.asked_experiment import AskedExperiment
    from zenfront.pipeline.cli.evaluation.evaluate import Request, correlate

    asked = AskedExperiment(config, overrides or [], runs, address, allow_code, trust_config)
    request = Request(asked, space, proxies, truth, train, accuracy, scores, sample, column or [], latency)
    correlate(request, where or [])


def regret_command(
    config: Config = "quickstart",
    space: SpaceName = None,
    proxies: Proxies = None,
    truth: Truth = None,
    train: Train = None,
    accuracy: Accuracy = None,
    scores: Scores = None,
    sample: Count = None,
    column: Columns = None,
    rule: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RULE",
            help="random, stratified, learned, or KIND:SCORES with KIND front, learned, stratified or top; `,` "
            "separates objectives, `+` sums ranks. Repeatable.  [default: the experiment's front, stratified, random]",
        ),
    ] = None,
    nets: Annotated[
        str, typer.Option(metavar="NUMBERS", help="Numbers of trained networks, separated by commas.")
    ] = "10,28,56,112",
    seeds: Annotated[int, typer.Option(min=1, help="Number of random subsets of the architectures.")] = 50,
    share: Annotated[float, typer.Option(min=0.01, max=1, help="Share of the architectures in a subset.")] = 0.5,
    rounds: Annotated[int, typer.Option(min=1, help="Number of rounds in which the rule `learned` trains.")] = 6,
    overrides: Overrides = None,
    runs: Runs = RUNS,
    address: Address = None,
    allow_code: AllowCode = False,
    trust_config: TrustConfig = False,
) -> None:
    """Measure the accuracy that selection rules lose.

    Reports the mean and the maximum, over the FLOPs levels, of the best accuracy at that level or below minus the best
    of the selected architectures there; all rules train the same number of networks.
    """
    from zenfront.pipeline.cli.evaluation.asked_experiment import AskedExperiment
    from zenfront.pipeline.cli.evaluation.evaluate import Request, regret

    asked = AskedExperiment(config, overrides or [], runs, address, allow_code, trust_config)
    request = Request(asked, space, proxies, truth, train, accuracy, scores, sample, column or [])
    regret(request, rule or [], nets, seeds, share, rounds)
