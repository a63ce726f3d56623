"""Define the command `zenfront doctor`."""

from typing import Annotated

import typer

from zenfront.pipeline.cli.options import RUNS, AllowCode, Config, Overrides, Runs, TrustConfig

DOCTOR = "Examples: zenfront doctor · zenfront doctor cifar10 --quick"


def doctor_command(
    config: Config = "quickstart",
    overrides: Overrides = None,
    runs: Runs = RUNS,
    allow_code: AllowCode = False,
    trust_config: TrustConfig = False,
    quick: Annotated[bool, typer.Option("--quick", help="Measure no speed, which takes seconds a device.")] = False,
) -> None:
    """Describe this machine, and what an experiment would use of it.

    Shows versions, processors, memory, GPUs or why there is none, and the speed of each device.

    Computes nothing of the experiment and starts no Ray. Add the output to a report of a problem.
    """
    from zenfront.pipeline.checks import doctor, read_task
    from zenfront.pipeline.experiment.config_file import load_experiment

    parts = [doctor.describe_software(), doctor.describe_machine(runs), doctor.describe_gpus()]
    if not quick:
        parts.append(doctor.measure_devices())
    for line in (line for part in parts for line in part):
        typer.echo(line)
    experiment = load_experiment(
        config, overrides or [], allow_code=allow_code, trust_config=trust_config, read_task=read_task
    )
    typer.echo(f"experiment {experiment.name}:")
    for line in doctor.describe_use(experiment):
        typer.echo(f"  {line}")
