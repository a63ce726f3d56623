"""The commands that measure what scores and selection rules are worth."""

from pathlib import Path
from typing import Annotated

import typer

from zenfront.pipeline.cli.options import RUNS, Address, Config, Overrides, Runs

CORRELATE = (
    "Examples: zenfront correlate --train 30 · zenfront correlate cells --truth nasbench201.parquet --sample 300 "
    "--proxies zen,naswot --where 'skip_connect >= 1' · zenfront correlate cells --truth t.parquet --scores s.parquet"
)
REGRET = (
    "Example: zenfront regret cells --truth nasbench201.parquet --scores scores.parquet --rule random "
    "--rule stratified:jacob_cov --rule front:zen,ntk,flops --rule front:zen+naswot,flops"
)
Space = Annotated[
    str | None, typer.Option("--space", metavar="NAME", help="Search space.  [default: the experiment's]")
]
Proxies = Annotated[
    str | None,
    typer.Option("--proxies", metavar="NAMES", help="Comma-separated.  [default: the experiment's, or the table's]"),
]
Truth = Annotated[
    Path | None,
    typer.Option(
        "--truth", metavar="TABLE", help="Parquet: column `architecture` in the space's notation, and an accuracy."
    ),
]
Accuracy = Annotated[
    str | None,
    typer.Option("--accuracy", metavar="COLUMN", help="Of the truth; COLUMN_seed<i> are single runs."),
]
Scores = Annotated[
    Path | None,
    typer.Option("--scores", metavar="TABLE", help="Parquet: column `architecture`, and one per score, taken before."),
]
Count = Annotated[int | None, typer.Option("--sample", metavar="N", min=1, help="So many of the truth, at random.")]
Train = Annotated[
    int | None, typer.Option("--train", metavar="N", min=1, help="Draw so many architectures and train each.")
]


def correlate_command(
    config: Config = "quickstart",
    space: Space = None,
    proxies: Proxies = None,
    truth: Truth = None,
    train: Train = None,
    accuracy: Accuracy = None,
    scores: Scores = None,
    sample: Count = None,
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="CONDITION", help='Split by it as well: "skip_connect >= 1 and params < 1e6".'),
    ] = None,
    overrides: Overrides = None,
    runs: Runs = RUNS,
    address: Address = None,
) -> None:
    """Does a score tell the accuracy on this space?

    Against a table of accuracies (--truth), or against training (--train). Correlations with intervals, at equal
    FLOPs, among the best; what the score is biased by; and whether it tells more than what is free. Goes on where an
    interrupted call ended.
    """
    from zenfront.pipeline.cli.evaluate import Request, correlate

    request = Request(config, overrides or [], runs, address, space, proxies, truth, train, accuracy, scores, sample)
    correlate(request, where or [])


def regret_command(
    config: Config = "quickstart",
    space: Space = None,
    proxies: Proxies = None,
    truth: Truth = None,
    train: Train = None,
    accuracy: Accuracy = None,
    scores: Scores = None,
    sample: Count = None,
    rule: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RULE",
            help="random, stratified, or KIND:SCORES with KIND front, stratified or top; `,` separates objectives, "
            "`+` sums ranks. Repeatable.  [default: the experiment's front, stratified, random]",
        ),
    ] = None,
    nets: Annotated[str, typer.Option(metavar="NUMBERS", help="How many networks are trained.")] = "10,28,56,112",
    seeds: Annotated[int, typer.Option(min=1, help="Random subsets of the architectures.")] = 50,
    share: Annotated[float, typer.Option(min=0.01, max=1, help="Of the architectures in a subset.")] = 0.5,
    overrides: Overrides = None,
    runs: Runs = RUNS,
    address: Address = None,
) -> None:
    """What is lost by training only what a rule selects?

    The mean and the maximum, over the FLOPs levels, of the best accuracy at most at that cost minus the best of the
    selected ones; at equal number of trained networks.
    """
    from zenfront.pipeline.cli.evaluate import Request, regret

    request = Request(config, overrides or [], runs, address, space, proxies, truth, train, accuracy, scores, sample)
    regret(request, rule or [], nets, seeds, share)
