"""List and describe spaces, proxies and algorithms, and score one architecture."""

import inspect
from collections.abc import Sequence
from dataclasses import replace

import typer

from zenfront import spaces
from zenfront.pipeline import algorithms, proxies
from zenfront.pipeline.checks import check, options, remarks
from zenfront.pipeline.cli.terminal.console import print_table
from zenfront.pipeline.cli.terminal.space_list import shown_size
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.experiment.references import read_named, with_named
from zenfront.pipeline.objectives import Objective
from zenfront.pipeline.proxies import Proxy
from zenfront.pipeline.scoring import Scoring, noise_batch
from zenfront.pipeline.seeds import numpy_generator
from zenfront.spaces import Architecture, Space, Task

CIFAR = Task(3, 32, 32, 10)


def describe_space(name: str, sample: int, seed: int) -> None:
    """Print a search space: its source, its genes, and samples with their costs.

    Args:
        name: Name of the space.
        sample: Number of architectures to draw.
        seed: Seed of the draw.
    """
    code, [name] = read_named("spaces", [name])
    space = spaces.load(name, code)
    typer.echo(f"{name}: {shown_size(space.size)} points\n\n{space.source}\n")
    rows = [[gene, _range([str(v) for v in levels.values[: levels.drawn]])] for gene, levels in space.levels.items()]
    print_table("Genes", ["name", "values"], rows)
    if sample:
        typer.echo(f"Samples, with their costs for 3 x 32 x 32 images and 10 classes (seed {seed})")
    generator = numpy_generator(seed, "spaces", name)
    for _ in range(sample):
        typer.echo(_priced(space, space.sample(generator)))


def _priced(space: Space, architecture: Architecture) -> str:
    scoring = Scoring(space, CIFAR, ["params", "flops"], noise_batch(CIFAR, 2, 0), seed=0)
    scores = scoring.score(architecture)
    costs = [f"{value:,.0f} {name}" for name, value in scores.values.items()]
    return f"{', '.join(costs) or scores.failure}: {space.notation(architecture)}"


def _range(values: Sequence[str]) -> str:
    return ", ".join(values if len(values) <= 10 else [*values[:3], "...", values[-1]])


def list_proxies() -> None:
    """Print all proxies as a table."""
    rows = []
    for name in proxies.names():
        proxy = proxies.load(name)
        needs = ", ".join(sorted(proxy.needs)) or "-"
        measured = " / ".join(_two_digits(each.value) for each in proxies.measured_reliability(name)) or "-"
        rows.append([name, proxy.unit, proxy.direction, _cost_class(proxy), needs, measured, proxy.source])
    print_table("Proxies", ["name", "unit", "usually", "cost class", "needs", "reliability", "source"], rows)
    where = " / ".join(each.space for each in proxies.measured_reliability("zen"))
    typer.echo(f"reliability: of one sample at equal FLOPs, from 0 to 1, on {where} (docs/evidence.md)")


def _two_digits(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _cost_class(proxy: Proxy) -> str:
    """Return what a proxy computes: shapes, forward passes, or gradients as well."""
    if proxy.is_cost:
        return "shapes"
    return "gradients" if "gradients" in proxy.needs else "forward"


def describe_proxy(name: str) -> None:
    """Print a proxy: its definition and its options."""
    code, [name] = read_named("proxies", [name])
    proxy = proxies.load(name, code)
    weights = "those of a supernet" if proxy.of_supernet else proxy.weights
    typer.echo(f"{name} ({proxy.unit}; usually {proxy.direction}; weights: {weights})\n")
    typer.echo(inspect.getdoc(proxy.score) or proxy.source)
    for each in proxies.measured_reliability(name):
        typer.echo(
            f"\nReliability of one sample on {each.space}: {_two_digits(each.value)} "
            f"({each.architectures} architectures of {each.flops} multiply-adds)"
        )
    if known := options(name, code):
        typer.echo(f"\nOptions (proxies.{name} in an experiment):")
        for option, parameter in known.items():
            typer.echo(f"  {option}: {parameter.default}")


def list_algorithms() -> None:
    """Print all search algorithms as a table."""
    loaded = {name: algorithms.load(name) for name in algorithms.names()}
    rows = [[name, method.objectives, method.evaluations, method.source] for name, method in loaded.items()]
    print_table("Search algorithms", ["name", "objectives", "evaluations at most", "source"], rows)


def describe_algorithm(name: str) -> None:
    """Print a search algorithm: how it works, and where it differs from its source."""
    method = algorithms.load(name)
    typer.echo(f"{name} (objectives: {method.objectives})\n")
    typer.echo(inspect.getdoc(inspect.getmodule(method.make)) or method.source)


def score(experiment: Experiment, architecture: str, space: str | None, names: Sequence[str] | None) -> None:
    """Print the scores of one architecture as a table.

    Args:
        experiment: Gives the task, the batch, the seed and the options of the proxies.
        architecture: The architecture in the notation of its space.
        space: Name of the space; the experiment's if None.
        names: Names of the proxies; the experiment's scores if None.

    Raises:
        UserError: A name is unknown, the architecture is not in the space, or a score is undefined on it.
    """
    import torch

    from zenfront.pipeline.device import resolve
    from zenfront.pipeline.scoring import Scoring

    experiment, [space] = with_named(experiment, "spaces", [space or experiment.space])
    experiment, names = with_named(experiment, "proxies", names or experiment.score_names())
    loaded = {name: proxies.load(name, experiment.code) for name in names}
    wanted = tuple(Objective(score=name, direction=proxy.direction) for name, proxy in loaded.items())
    search = experiment.search.model_copy(update={"algorithm": "random"})  # accepts any number of scores
    changes = {"objectives": wanted, "constraints": (), "space": space, "search": search}
    experiment = experiment.model_copy(update=changes)
    check(experiment)
    scoring = Scoring.of(experiment)
    scoring = replace(scoring, device=resolve(scoring.device))
    try:
        scores = scoring.score(scoring.space.architecture(scoring.space.parse(architecture)))
    except torch.OutOfMemoryError as error:
        raise UserError(f"{architecture}: the GPU does not have enough free memory. {error}") from error
    if scores.failure:
        raise UserError(f"{architecture}: {scores.failure}.")
    rows = [
        [name, scores.values[name], scores.errors.get(name), loaded[name].unit, scores.seconds[name]] for name in names
    ]
    title = f"{scores.architecture.id}, {experiment.search.repeats} repeats"
    print_table(title, ["score", "value", "± standard error", "unit", "seconds"], rows)
    for remark in remarks(experiment):
        typer.echo(f"data: {remark}", err=True)
