"""Define the commands of `zenfront config`: check or show experiments, print their JSON schema."""

from typing import Annotated

import typer

from zenfront.pipeline.cli.options import AllowCode, Config, Overrides

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
    from zenfront.pipeline.experiment.config_file import load_experiment, to_yaml

    typer.echo(to_yaml(load_experiment(config, overrides or [])), nl=False)


@config_app.command("check", epilog="Example: zenfront config check tune_configs/*.yaml")
def check_command(
    configs: Annotated[
        list[str], typer.Argument(metavar="CONFIG...", help="YAML files, or names of experiments in tune_configs/.")
    ],
    overrides: Overrides = None,
    allow_code: AllowCode = False,
) -> None:
    """Check experiments without running them.

    Checks keys, names, options of proxies, bounds, and whether the space has networks for the task.
    """
    from zenfront.pipeline.checks import cautions, check
    from zenfront.pipeline.experiment.config_file import load_experiment

    for config in configs:
        experiment = load_experiment(config, overrides or [], allow_code=allow_code)
        check(experiment)
        for code in experiment.own_code():
            typer.echo(f"{config}: {code}")
        for caution in cautions(experiment):
            typer.echo(f"{config}: {caution}", err=True)
        typer.echo(f"{config}: ok")
