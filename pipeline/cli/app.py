"""The command line: puts the parts together, and nothing more. Heavy modules are imported where they are needed."""

import os
import sys
from io import TextIOWrapper
from typing import Annotated

import typer

from zenfront.pipeline.cli.evaluate_commands import CORRELATE, REGRET, correlate_command, regret_command
from zenfront.pipeline.cli.options import RUNS, Address, Config, Overrides, Run, Runs
from zenfront.pipeline.errors import UserError

app = typer.Typer(
    name="zenfront",
    help="Finds network architectures without training them, then trains the few that matter.",
    epilog="Start with `zenfront run`: minutes on two cores. `zenfront COMMAND --help` tells more, with examples.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
config_app = typer.Typer(
    help="Look at experiments: keys, mistakes, schema.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(config_app, name="config")


def main() -> None:
    """The console script `zenfront`: a user's mistake is one message and exit code 2, never a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # an arrow must not end a run on a terminal without arrows
    try:
        app()
    except UserError as error:
        _complain(str(error))
        sys.exit(2)


@app.command(
    "run",
    epilog="Examples: zenfront run · zenfront run tune_configs/cifar10.yaml --address auto · "
    "zenfront run smoke --set search.evaluations=32",
)
def run_command(
    config: Config = "quickstart", overrides: Overrides = None, runs: Runs = RUNS, address: Address = None
) -> None:
    """All four stages: search, select, train, report.

    Interrupted, killed or crashed: the same command goes on where it ended, with the same result. A finished run
    says so and does nothing.
    """
    from zenfront.pipeline.cli.run_commands import RunCommands

    RunCommands.start(config, overrides or [], runs, address).do("run")


@app.command("search", epilog="Examples: zenfront search smoke · zenfront search --set search.seed=1 --set name=second")
def search_command(
    config: Config = "quickstart", overrides: Overrides = None, runs: Runs = RUNS, address: Address = None
) -> None:
    """Stage 1: score architectures, without training.

    Ends when `search.evaluations` architectures are scored; goes on where an interrupted search ended.
    """
    from zenfront.pipeline.cli.run_commands import RunCommands

    RunCommands.start(config, overrides or [], runs, address).do("search")


@app.command("select", epilog="Example: zenfront select quickstart")
def select_command(run: Run = "quickstart", overrides: Overrides = None, runs: Runs = RUNS) -> None:
    """Stage 2: the Pareto front, and what of it to train."""
    from zenfront.pipeline.cli.run_commands import RunCommands

    RunCommands.resume(run, overrides or [], runs).do("select")


@app.command("train", epilog="Example: zenfront train quickstart --address auto")
def train_command(
    run: Run = "quickstart", overrides: Overrides = None, runs: Runs = RUNS, address: Address = None
) -> None:
    """Stage 3: train the selected architectures.

    The scheduler stops the weak ones early; the others are tested at the end. Goes on from the last checkpoints.
    """
    from zenfront.pipeline.cli.run_commands import RunCommands

    RunCommands.resume(run, overrides or [], runs, address).do("train")


@app.command("report", epilog="Examples: zenfront report quickstart · zenfront report first second")
def report_command(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN...", help="Runs, by name or folder; two or more are compared.  [default: quickstart]"
        ),
    ] = None,
    runs: Runs = RUNS,
) -> None:
    """Stage 4: tables, figures, a page; or runs compared.

    One run: its front, its training and its record as one HTML page. Several: their fronts in one figure.
    """
    from zenfront.pipeline.cli.run_commands import report

    report(names or ["quickstart"], runs)


@app.command("sync", epilog="Example: zenfront sync quickstart")
def sync_command(run: Run = "quickstart", runs: Runs = RUNS) -> None:
    """Send what MLflow does not hold yet of a run.

    Every stage does so by itself; this is for a store that could not be reached. Doing it again changes nothing.
    """
    from zenfront.pipeline.cli.run_commands import RunCommands

    RunCommands.resume(run, [], runs).do("sync")


@app.command("ui", epilog="Example: zenfront ui --port 5001")
def ui_command(
    runs: Runs = RUNS,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")] = 5000,
    uri: Annotated[
        str | None, typer.Option(help="Store to show.  [default: the SQLite store in the runs folder]")
    ] = None,
) -> None:
    """MLflow on the results, on 127.0.0.1 only."""
    from zenfront.pipeline.tracking import default_uri

    runs.mkdir(parents=True, exist_ok=True)
    typer.echo(f"MLflow on http://127.0.0.1:{port} in some seconds (Ctrl-C ends it)")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")  # five processes that have nothing to do here
    command = [sys.executable, "-m", "mlflow", "ui", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    os.execv(sys.executable, [*command, "--backend-store-uri", uri or default_uri(runs)])


@app.command(
    "score",
    epilog="Example: zenfront score --architecture d1=1,w1=16,b1=1,g1=1,d2=1,w2=32,b2=1,g2=1,d3=1,w3=64,b3=1,g3=1 "
    "--proxies zen,ntk,flops",
)
def score_command(
    architecture: Annotated[
        str, typer.Option("--architecture", metavar="TEXT", help="In the space's notation: gene=value,gene=value.")
    ],
    config: Config = "quickstart",
    space: Annotated[
        str | None, typer.Option("--space", metavar="NAME", help="Search space.  [default: the experiment's]")
    ] = None,
    names: Annotated[
        str | None,
        typer.Option("--proxies", metavar="NAMES", help="Comma-separated.  [default: the experiment's scores]"),
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Samples with fresh weights; costs are exact.")] = 5,
    overrides: Overrides = None,
) -> None:
    """Scores of one architecture, with standard error.

    Task, batch, seed and options of the proxies are those of the experiment; its constraints are not asked.
    """
    from zenfront.pipeline.cli.catalogue import score
    from zenfront.pipeline.experiment.config_file import load_experiment

    experiment = load_experiment(config, [*(overrides or []), f"search.repeats={repeats}"])
    score(experiment, architecture, space, names.split(",") if names else None)


@app.command("spaces", epilog="Examples: zenfront spaces · zenfront spaces anynet3 --sample 5")
def spaces_command(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Describe this one.  [default: list all]")] = None,
    sample: Annotated[int, typer.Option(metavar="N", min=0, help="Draw so many architectures.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Of the draw.")] = 0,
) -> None:
    """What can be searched: all spaces, or one of them."""
    from zenfront.pipeline.cli.catalogue import describe_space, list_spaces

    describe_space(name, sample, seed) if name else list_spaces()


@app.command("proxies", epilog="Examples: zenfront proxies · zenfront proxies ntk")
def proxies_command(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Describe this one.  [default: list all]")] = None,
) -> None:
    """What can be measured: all proxies, or one of them."""
    from zenfront.pipeline.cli.catalogue import describe_proxy, list_proxies

    describe_proxy(name) if name else list_proxies()


@app.command("algorithms", epilog="Examples: zenfront algorithms · zenfront algorithms nsga3")
def algorithms_command(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Describe this one.  [default: list all]")] = None,
) -> None:
    """How can be searched: all algorithms, or one of them."""
    from zenfront.pipeline.cli.catalogue import describe_algorithm, list_algorithms

    describe_algorithm(name) if name else list_algorithms()


app.command("correlate", epilog=CORRELATE)(correlate_command)
app.command("regret", epilog=REGRET)(regret_command)


@config_app.command("schema", epilog="Example: zenfront config schema > tune_configs/schema.json")
def schema_command() -> None:
    """The JSON schema of an experiment, for editors."""
    from zenfront.pipeline.experiment.config_file import schema

    typer.echo(schema(), nl=False)


@config_app.command("show", epilog="Example: zenfront config show cifar10 --set search.seed=3")
def show_command(config: Config = "quickstart", overrides: Overrides = None) -> None:
    """An experiment with every default written out."""
    from zenfront.pipeline.experiment.config_file import load_experiment, to_yaml

    typer.echo(to_yaml(load_experiment(config, overrides or [])), nl=False)


@config_app.command("check", epilog="Example: zenfront config check tune_configs/*.yaml")
def check_command(
    configs: Annotated[list[str], typer.Argument(metavar="CONFIG...", help="YAML files or names in tune_configs/.")],
    overrides: Overrides = None,
) -> None:
    """Find mistakes in experiments without running them.

    Keys, names, options of proxies, bounds, and whether the space holds networks for the task.
    """
    from zenfront.pipeline.checks import cautions, check
    from zenfront.pipeline.experiment.config_file import load_experiment

    for config in configs:
        experiment = load_experiment(config, overrides or [])
        check(experiment)
        for caution in cautions(experiment):
            typer.echo(f"{config}: {caution}", err=True)
        typer.echo(f"{config}: fine")


def _complain(message: str) -> None:
    from zenfront.pipeline.wording import clean

    for line in f"zenfront: {message}".splitlines():
        typer.echo(clean(line), err=True)
