"""Define the commands of `zenfront`. Each imports what it needs when it runs, so that the help appears at once."""

import errno
import sys
from io import TextIOWrapper
from typing import Annotated

import typer

from zenfront.pipeline.cli.config_commands import config_app
from zenfront.pipeline.cli.doctor_command import DOCTOR, doctor_command
from zenfront.pipeline.cli.evaluation.edf_command import EDF, edf_command
from zenfront.pipeline.cli.evaluation.evaluate_commands import CORRELATE, REGRET, correlate_command, regret_command
from zenfront.pipeline.cli.evaluation.supernet_command import SUPERNET, supernet_command
from zenfront.pipeline.cli.export_command import EXPORT, export_command
from zenfront.pipeline.cli.init_command import INIT, init_command
from zenfront.pipeline.cli.options import RUNS, Address, AllowCode, Config, Overrides, Run, Runs, SpaceName, TrustConfig
from zenfront.pipeline.cli.predict_command import PREDICT, predict_command
from zenfront.pipeline.errors import UserError

app = typer.Typer(
    name="zenfront",
    help="Find network architectures without training them, then train the few that matter.",
    epilog="Start with `zenfront run`, which takes minutes on two cores. `zenfront COMMAND --help` shows examples.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
app.add_typer(config_app, name="config")


def main() -> None:
    """Run the console script `zenfront`. A `UserError` ends it with one message and exit code 2."""
    if sys.platform == "win32":
        _complain("Zenfront runs on Linux and macOS. On Windows, use it within WSL 2: https://aka.ms/wsl.")
        sys.exit(2)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show an arrow must not end a run
    try:
        app()
    except UserError as error:
        _complain(str(error))
        sys.exit(2)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        _complain(f"a name is too long for a file: {str(error.filename)[:60]}...")
        sys.exit(2)


app.command("init", epilog=INIT)(init_command)


@app.command(
    "run",
    epilog="Examples: zenfront run · zenfront run tune_configs/cifar10.yaml --address auto · "
    "zenfront run smoke --set search.evaluations=32",
)
def run_command(
    config: Config = "quickstart",
    overrides: Overrides = None,
    runs: Runs = RUNS,
    address: Address = None,
    allow_code: AllowCode = False,
    trust_config: TrustConfig = False,
) -> None:
    """Run the whole pipeline: search, select, train, report.

    After an interruption or a crash, the same command continues the run, with the same result. If the run is
    finished, it shows the results.
    """
    from zenfront.pipeline.cli.run_commands import RunCommands

    RunCommands.start(config, overrides or [], runs, address, allow_code, trust_config).do("run")


@app.command("search", epilog="Examples: zenfront search smoke · zenfront search --set search.seed=1 --set name=second")
def search_command(
    config: Config = "quickstart",
    overrides: Overrides = None,
    runs: Runs = RUNS,
    address: Address = None,
    allow_code: AllowCode = False,
    retry_failed: Annotated[
        bool,
        typer.Option(
            "--retry-failed",
            help="Score the architectures again that are recorded as failed, after their cause was removed.",
        ),
    ] = False,
    trust_config: TrustConfig = False,
) -> None:
    """Search for architectures without training them (stage 1).

    Ends when `search.evaluations` architectures are scored. Continues an interrupted search.
    """
    from dataclasses import replace

    from zenfront.pipeline.cli.run_commands import RunCommands

    commands = RunCommands.start(config, overrides or [], runs, address, allow_code, trust_config)
    replace(commands, retry_failed=retry_failed).do("search")


@app.command("select", epilog="Example: zenfront select quickstart")
def select_command(
    run: Run = "quickstart",
    overrides: Overrides = None,
    runs: Runs = RUNS,
    allow_code: AllowCode = False,
    trust_config: TrustConfig = False,
) -> None:
    """Compute the Pareto front and choose what to train (stage 2)."""
    from zenfront.pipeline.cli.run_commands import RunCommands

    RunCommands.resume(run, overrides or [], runs, None, allow_code, trust_config).do("select")


@app.command("train", epilog="Example: zenfront train quickstart --address auto")
def train_command(
    run: Run = "quickstart",
    overrides: Overrides = None,
    runs: Runs = RUNS,
    address: Address = None,
    allow_code: AllowCode = False,
    trust_config: TrustConfig = False,
) -> None:
    """Train the selected architectures (stage 3).

    The scheduler stops weak ones early; the others are tested at the end. Continues from the last checkpoints.
    """
    from zenfront.pipeline.cli.run_commands import RunCommands

    RunCommands.resume(run, overrides or [], runs, address, allow_code, trust_config).do("train")


@app.command("report", epilog="Examples: zenfront report quickstart · zenfront report first second")
def report_command(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN...", help="Names or folders of runs. Two or more are compared.  [default: quickstart]"
        ),
    ] = None,
    runs: Runs = RUNS,
    allow_code: AllowCode = False,
) -> None:
    """Write the report of a run (stage 4), or compare several runs.

    For one run, an HTML page with its trained front, its search and its record; for several, their trained fronts and
    the fronts of their searches, each in one figure.
    """
    from zenfront.pipeline.cli.run_commands import report

    report(names or ["quickstart"], runs, allow_code)


app.command("export", epilog=EXPORT)(export_command)
app.command("predict", epilog=PREDICT)(predict_command)


@app.command(
    "sync",
    epilog="Examples: zenfront sync quickstart · zenfront sync quickstart --set tracking.uri=http://localhost:5000",
)
def sync_command(
    run: Run = "quickstart",
    overrides: Overrides = None,
    runs: Runs = RUNS,
    allow_code: AllowCode = False,
    trust_config: TrustConfig = False,
) -> None:
    """Send to MLflow what it does not have yet of a run.

    Every stage does this by itself. The command is for a store that could not be reached; repeating it is harmless.
    """
    from zenfront.pipeline.cli.run_commands import RunCommands

    RunCommands.resume(run, overrides or [], runs, None, allow_code, trust_config).do("sync")


@app.command("ui", epilog="Example: zenfront ui --port 5001")
def ui_command(
    runs: Runs = RUNS,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 5000,
    uri: Annotated[
        str | None, typer.Option(help="Store to show.  [default: the SQLite store in the runs folder]")
    ] = None,
) -> None:
    """Show the results in MLflow, on 127.0.0.1 only."""
    from zenfront.pipeline.cli.ui import show

    show(runs, port, uri)


@app.command(
    "score",
    epilog="Example: zenfront score --architecture d1=1,w1=16,b1=1,g1=1,d2=1,w2=32,b2=1,g2=1,d3=1,w3=64,b3=1,g3=1 "
    "--proxies zen,ntk,flops",
)
def score_command(
    architecture: Annotated[
        str,
        typer.Option(
            "--architecture", metavar="TEXT", help="Architecture in the notation of the space: gene=value,gene=value."
        ),
    ],
    config: Config = "quickstart",
    space: SpaceName = None,
    names: Annotated[
        str | None,
        typer.Option(
            "--proxies", metavar="NAMES", help="Names or files, comma-separated.  [default: the experiment's scores]"
        ),
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Number of weight initialisations per score.")] = 5,
    overrides: Overrides = None,
    allow_code: AllowCode = False,
) -> None:
    """Score one architecture, with standard errors.

    The experiment gives the task, the batch, the seed and the options of the proxies. Its constraints do not apply.
    """
    from zenfront.pipeline.checks import read_task
    from zenfront.pipeline.cli.catalogue import score
    from zenfront.pipeline.experiment.config_file import load_experiment

    changes = [*(overrides or []), f"search.repeats={repeats}"]
    trusted = True  # the command connects nowhere
    experiment = load_experiment(config, changes, allow_code=allow_code, trust_config=trusted, read_task=read_task)
    score(experiment, architecture, space, names.split(",") if names else None)


@app.command("spaces", epilog="Examples: zenfront spaces · zenfront spaces anynet3 --sample 5")
def spaces_command(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Name of the one to describe.  [default: list all]")
    ] = None,
    sample: Annotated[int, typer.Option(metavar="N", min=0, max=10_000, help="Number of architectures to draw.")] = 0,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Seed of the draw.")] = 0,
) -> None:
    """List the search spaces, or describe one."""
    if name:
        from zenfront.pipeline.cli.catalogue import describe_space

        describe_space(name, sample, seed)
    else:
        from zenfront.pipeline.cli.terminal.space_list import list_spaces

        list_spaces()


@app.command("proxies", epilog="Examples: zenfront proxies · zenfront proxies ntk")
def proxies_command(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Name of the one to describe.  [default: list all]")
    ] = None,
) -> None:
    """List the proxies, or describe one."""
    from zenfront.pipeline.cli.catalogue import describe_proxy, list_proxies

    describe_proxy(name) if name else list_proxies()


@app.command("algorithms", epilog="Examples: zenfront algorithms · zenfront algorithms nsga3")
def algorithms_command(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Name of the one to describe.  [default: list all]")
    ] = None,
) -> None:
    """List the search algorithms, or describe one."""
    from zenfront.pipeline.cli.catalogue import describe_algorithm, list_algorithms

    describe_algorithm(name) if name else list_algorithms()


app.command("doctor", epilog=DOCTOR)(doctor_command)
app.command("correlate", epilog=CORRELATE)(correlate_command)
app.command("regret", epilog=REGRET)(regret_command)
app.command("edf", epilog=EDF)(edf_command)
app.command("supernet", epilog=SUPERNET)(supernet_command)


def _complain(message: str) -> None:
    from zenfront.pipeline.experiment.addresses import shown
    from zenfront.pipeline.wording import clean

    for line in f"zenfront: {message}".splitlines():
        typer.echo(clean(shown(line)), err=True)
