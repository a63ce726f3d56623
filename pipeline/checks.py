"""Whether an experiment makes sense as a whole: what its keys name exists, and what they ask for is possible."""

import inspect
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

import spaces
from pipeline import algorithms, proxies, schedulers
from pipeline._mistakes import suggestion, unfit
from pipeline.config import Experiment
from pipeline.errors import UserError
from pipeline.registry import Registry
from pipeline.seeds import numpy_generator
from pipeline.training import data

SAMPLES = 100


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
            _check_option(name, option, value)
    experiment.constraint_values()
    _check_numbers(experiment)
    _check_buildable(experiment)


def check_data(experiment: Experiment) -> None:
    """Loads the training images, so that what is wrong with them is not found out after the search.

    Raises:
        UserError: The data are missing, damaged, or not what the task says.
    """
    data.load(experiment.train.data, experiment.task.value(), experiment.search.seed)


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


def _check_option(proxy: str, option: str, value: object) -> None:
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
    space, task = spaces.load(experiment.space), experiment.task.value()
    generator = numpy_generator(experiment.search.seed, "checks")
    reasons = []
    for _ in range(SAMPLES):
        reason = space.violation(space.sample(generator), task)
        if reason is None:
            return
        reasons.append(reason)
    raise UserError(f"task: none of {SAMPLES} architectures of space {space.name!r} can be built: {reasons[0]}.")
