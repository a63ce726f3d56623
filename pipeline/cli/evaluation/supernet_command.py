"""The command `supernet`, which studies what weight sharing does to the ranking of architectures."""

from pathlib import Path
from typing import Annotated

import typer

from zenfront.pipeline.cli.evaluation.evaluate_commands import Accuracy, Columns, Proxies
from zenfront.pipeline.cli.options import RUNS, Address, AllowCode, Config, Overrides, Runs, SpaceName, TrustConfig

SUPERNET = (
    "Examples: zenfront supernet cells --set supernet.children=64 --truth nasbench201.parquet --proxies zen,naswot · "
    "zenfront supernet sharing.yaml --truth supernet64.csv --set supernet.instances=10"
)
Truth = Annotated[
    Path | None,
    typer.Option(
        "--truth",
        metavar="TABLE",
        help="Table, parquet or CSV, with a column `architecture` in the space's notation and an accuracy. Without it, "
        "only the agreement of instances is measured.",
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
    from zenfront.pipeline.cli.evaluation.supernet import Request, supernet

    where = (config, overrides or [], runs, address, allow_code, trust_config)
    supernet(Request(*where, space, truth, accuracy, column or [], proxies, serial, recorded))
