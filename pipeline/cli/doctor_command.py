"""Define the command `zenfront doctor`."""

from typing import Annotated

import typer

from zenfront.pipeline.cli.options import RUNS, AllowCode, Config, Overrides, Runs, TrustConfig

DOCTOR = "Examples: zenfront doctor · zenfront doctor cifar10 --no-speed"


def doctor_command(
    config: Config = "quickstart",
    overrides: Overrides = None,
    runs: Runs = RUNS,
    allow_code: AllowCode = False,
    trust_config: TrustConfig = False,
    speed: Annotated[bool, typer.Option("--speed/--no-speed", help="Measure each device for some seconds.")] = True,
) -> None:
    """Describe this machine: versions, processors, memory, GPUs and their speed, and what an experiment would use.

    Add the output to a report of a problem. It computes nothing of the experiment and starts no Ray.
    """
    from zenfront.pipeline.checks import doctor, read_task
    from zenfront.pipeline.experiment.config_file import load_experiment

    parts = [doctor.describe_software(), doctor.describe_machine(runs), doctor.describe_gpus()]
    if speed:
        parts.append(doctor.measure_devices())
    for line in (line for part in parts for line in part):
        typer.echo(line)
    experiment = load_experiment(
        config, overrides or [], allow_code=allow_code, trust_config=trust_config, read_task=read_task
    )
    typer.echo(f"experiment {experiment.name}:")
    for line in doctor.describe_use(experiment):
        typer.echo(f"  {line}")
