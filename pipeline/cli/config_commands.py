"""Define the commands of `zenfront config`: check or show experiments, print their JSON schema."""

from typing import Annotated

import typer

from zenfront.pipeline.cli.options import RUNS, AllowCode, Config, Overrides, Runs, TrustConfig

config_app = typer.Typer(
    help="Check or show experiments, or print their JSON schema.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@config_app.command("schema", epilog="Example: zenfront config schema > tune_configs/schema.json")
def schema_command() -> None:
    """Print the JSON schema of an experiment, for editors."""
    from zenfront.pipeline.experiment.config_file import schema

    typer.echo(schema(), nl=False)


@config_app.command("show", epilog="Example: zenfront config show cifar10 --set search.seed=3")
def show_command(config: Config = "quickstart", overrides: Overrides = None) -> None:
    """Print an experiment with all its defaults."""
    from zenfront.pipeline.checks import read_task
    from zenfront.pipeline.experiment.config_file import load_experiment, to_yaml

    typer.echo(to_yaml(load_experiment(config, overrides or [], trust_config=True, read_task=read_task)), nl=False)


@config_app.command("check", epilog="Example: zenfront config check tune_configs/*.yaml")
def check_command(
    configs: Annotated[
        list[str], typer.Argument(metavar="CONFIG...", help="YAML files, or names of experiments in tune_configs/.")
    ],
    overrides: Overrides = None,
    runs: Runs = RUNS,
    allow_code: AllowCode = False,
    trust_config: TrustConfig = False,
    with_data: Annotated[
        bool, typer.Option("--data/--no-data", help="Read the images as well, if they are on this machine.")
    ] = True,
    with_time: Annotated[
        bool, typer.Option("--time", help="Estimate time and disk from a few candidates that are timed here.")
    ] = False,
) -> None:
    """Check experiments without running them.

    Checks keys, names, options of proxies, bounds, the recipe, the store of MLflow, whether the space has networks for
    the task, and the images; prints what it found.
    """
    from zenfront.pipeline import checks
    from zenfront.pipeline.distillation.teachers import open_teacher
    from zenfront.pipeline.experiment.config_file import load_experiment

    for config in configs:
        experiment = load_experiment(
            config, overrides or [], allow_code=allow_code, trust_config=trust_config, read_task=checks.read_task
        )
        checks.check(experiment)
        teacher = open_teacher(experiment, runs)
        for code in experiment.own_code():
            typer.echo(f"{config}: {code}")
        for caution in checks.cautions(experiment):
            typer.echo(f"{config}: {caution}", err=True)
        if with_data and (experiment.train.function or checks.are_local(experiment.train.data)):
            for line in checks.describe_data(experiment):
                typer.echo(f"{config}: {line}")
            found = checks.check_data(experiment)
            if teacher and found:
                open_teacher(experiment, runs, found.classes)
                typer.echo(f"{config}: the teacher has the weights {teacher.digest[:16]}")
        elif with_data:
            typer.echo(f"{config}: {experiment.train.data.source} is not on this machine and was not read")
        for line in checks.estimate(experiment, teacher) if with_time else ():
            typer.echo(f"{config}: {line}")
        typer.echo(f"{config}: ok")
