"""The command `supernet`, which studies what weight sharing does to the ranking of architectures."""

from pathlib import Path
from typing import Annotated

import typer

from zenfront.pipeline.cli.evaluation.evaluate_commands import Accuracy, Columns, Proxies
from zenfront.pipeline.cli.options import RUNS, Address, AllowCode, Config, Overrides, Runs, SpaceName, TrustConfig

SUPERNET = (
    "Examples: zenfront supernet cells --set supernet.children=64 --truth nasbench201.parquet --proxies zen,naswot · "
    "zenfront supernet sharing.yaml --truth supernet64.parquet --set supernet.instances=10 · "
    "zenfront supernet cells --space supernet64 --truth supernet64.parquet --steps supernet_step_"
)
Truth = Annotated[
    Path | None,
    typer.Option(
        "--truth",
        metavar="TABLE",
        help="Table, parquet or CSV, with a column `architecture` in the space's notation, or one for each gene, and "
        "an accuracy. Without it, only the agreement of instances is measured.",
    ),
]
Steps = Annotated[
    str | None,
    typer.Option(
        "--steps",
        metavar="PREFIX",
        help="Train nothing: the columns PREFIX0, PREFIX1 ... of the truth table are accuracies after each step of a "
        "supernet that was trained elsewhere.",
    ),
]
Serial = Annotated[bool, typer.Option("--serial", help="Train in this process, without Ray; the result is the same.")]
Recorded = Annotated[bool, typer.Option("--recorded", help="Train nothing: report the instances that are recorded.")]


def supernet_command(
    config: Config = "cells",
    space: SpaceName = None,
    truth: Truth = None,
    accuracy: Accuracy = None,
    column: Columns = None,
    steps: Steps = None,
    proxies: Proxies = None,
    serial: Serial = False,
    recorded: Recorded = False,
    overrides: Overrides = None,
    runs: Runs = RUNS,
    address: Address = None,
    allow_code: AllowCode = False,
    trust_config: TrustConfig = False,
) -> None:
    """Study how weight sharing changes the ranking of architectures.

    Trains several instances of a supernet for each setting of the section `supernet` and reports how well their
    rankings agree with each other (S-Tau) and with the ground truth (GT-Tau, TnR), beside proxies and a learned model.
    Continues where an interrupted call ended.
    """
    from zenfront.pipeline.cli.evaluation.asked_experiment import AskedExperiment
    from zenfront.pipeline.cli.evaluation.supernet import Request, supernet

    asked = AskedExperiment(config, overrides or [], runs, address, allow_code, trust_config)
    supernet(Request(asked, space, truth, accuracy, column or [], steps, proxies, serial, recorded))
