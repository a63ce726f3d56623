"""Whether an experiment makes sense as a whole: what its keys name exists, and what they ask for is possible."""

import inspect
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from zenfront import spaces
from zenfront.pipeline import algorithms, proxies, schedulers
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment._messages import suggestion, unfit
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.registry import Registry
from zenfront.pipeline.seeds import numpy_generator
from zenfront.pipeline.training import data

SAMPLES = 100
MEASURED = Path(__file__).with_name("evidence.json")


def check(experiment: Experiment) -> None:
    """Finds what the types of the keys cannot say, before any work is done.

    Raises:
        UserError: A name is unknown, an option does not fit its proxy, bounds or numbers contradict each other, or
            the space holds no network for the task. The message begins with the key.
    """
    _known("space", spaces.SPACES, experiment.space)
    for index, objective in enumerate(experiment.objectives):
        _known(f"objectives[{index}].score", proxies.PROXIES, objective.score)
    for index, constraint in enumerate(experiment.constraints):
        _known(f"constraints[{index}].score", proxies.PROXIES, constraint.score)
    _known("search.algorithm", algorithms.ALGORITHMS, experiment.search.algorithm)
    _check_algorithm(experiment)
    _known("train.scheduler.name", schedulers.SCHEDULERS, experiment.train.scheduler.name)
    for name, options in experiment.proxies.items():
        _known("proxies", proxies.PROXIES, name)
        for option, value in options.items():
            check_option(name, option, value)
    _check_numbers(experiment)
    _check_buildable(experiment)


def check_data(experiment: Experiment) -> None:
    """Loads the training images, so that what is wrong with them is not found out after the search.

    Raises:
        UserError: The data are missing, damaged, or not what the task says.
    """
    data.load(experiment.train.data, experiment.task, experiment.search.seed)


def options(proxy: str) -> dict[str, inspect.Parameter]:
    """The options of a proxy: the keyword-only parameters of its score."""
    parameters = inspect.signature(proxies.load(proxy).score).parameters
    return {name: p for name, p in parameters.items() if p.kind is inspect.Parameter.KEYWORD_ONLY}


def _known(key: str, registry: Registry, name: str) -> None:
    if name not in registry.names():
        near = suggestion(name, registry.names())
        known = ", ".join(registry.names())
        raise UserError(f"{key}: there is no {registry.kind} named {name!r}.{near} Known: {known}.")


def _check_algorithm(experiment: Experiment) -> None:
    search = experiment.search
    method = algorithms.load(search.algorithm)
    names = [objective.score for objective in experiment.objectives]
    few, many = len(names) < method.least, method.most is not None and len(names) > method.most
    if few or many:
        remedy = "Name more objectives" if few else "Make the others constraints"
        raise UserError(
            f"search.algorithm: number of objectives that {search.algorithm!r} takes: {method.objectives}, "
            f"but got {len(names)} ({', '.join(names)}). {remedy}, or choose from `zenfront algorithms`."
        )
    if method.evaluations is not None and search.evaluations > method.evaluations:
        raise UserError(
            f"search.evaluations: {search.algorithm!r} takes at most {method.evaluations}, but got "
            f"{search.evaluations}: its proposals grow dearer with every result. Choose from `zenfront algorithms`."
        )


def check_option(proxy: str, option: str, value: object) -> None:
    """Check an option of a proxy.

    Raises:
        UserError: The proxy has no such option, or the value does not fit it.
    """
    key, known = f"proxies.{proxy}.{option}", list(options(proxy))
    if option not in known:
        listed = f"It has: {', '.join(known)}." if known else "It has none."
        raise UserError(f"{key}: proxy {proxy!r} has no option {option!r}.{suggestion(option, known)} {listed}")
    accepted: Any = get_type_hints(proxies.load(proxy).score)[option]
    try:
        TypeAdapter(accepted).validate_python(value, strict=True)
    except ValidationError as error:
        raise UserError(f"{key}: {unfit(error.errors(include_url=False))}") from error


def _check_numbers(experiment: Experiment) -> None:
    search, k = experiment.search, experiment.select.k
    if search.population > search.evaluations:
        raise UserError(
            "search: `population <= evaluations` must hold, "
            f"but got (population={search.population}, evaluations={search.evaluations})."
        )
    if k > search.evaluations:
        raise UserError(f"select.k: at most search.evaluations = {search.evaluations} can be selected, but got {k}.")


def _check_buildable(experiment: Experiment) -> None:
    """Every architecture of a sample being impossible, the space has none for this task, or next to none."""
    space, task = spaces.load(experiment.space), experiment.task
    generator = numpy_generator(experiment.search.seed, "checks")
    reasons = []
    for _ in range(SAMPLES):
        reason = space.violation(space.sample(generator), task)
        if reason is None:
            return
        reasons.append(reason)
    raise UserError(f"task: none of {SAMPLES} architectures of space {space.name!r} can be built: {reasons[0]}.")


def cautions(experiment: Experiment) -> Iterator[str]:
    """A line for each objective that is known not to hold on the experiment's space, or on one of its family.

    A score does not hold where its correlation with the accuracy is not above that of the best free score, and at
    equal FLOPs its interval has zero in it or lies below: it tells nothing that the cost does not tell.
    """
    for objective in experiment.objectives:
        for space, measured in _measured().items():
            known = measured["scores"].get(objective.score)
            related = experiment.space == space or experiment.space in measured["family"]
            if related and known and not proxies.load(objective.score).is_cost and not _holds(known):
                yield _caution(objective.score, experiment.space, space, measured, known)


@cache
def _measured() -> dict[str, Any]:
    measured: dict[str, Any] = json.loads(MEASURED.read_text(encoding="utf-8"))
    return measured


def _holds(known: dict[str, Any]) -> bool:
    return bool(known["difference"][1] > 0 or known["tau_equal_flops"][1] > 0)


def _caution(score: str, here: str, space: str, measured: dict[str, Any], known: dict[str, Any]) -> str:
    like = "" if here == space else f", a space of the same family as {here}"
    return (
        f"{score} is not known to hold here: on {space}{like}, it tells nothing at equal FLOPs "
        f"(τ {_interval(known['tau_equal_flops'])}) and no more than {known['baseline']}, which is free "
        f"(difference of τ {_interval(known['difference'])}); {known['n']} architectures, {measured['task']}, "
        f"see {measured['table']}. Measure it on your data: zenfront correlate"
    )


def _interval(values: list[float]) -> str:
    return f"{values[0]:+.2f} [{values[1]:+.2f}, {values[2]:+.2f}]"
