"""Whether an experiment can run: what its keys name exists, and what they ask for is possible."""

import inspect
import shutil
from collections.abc import Mapping, Sequence
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from zenfront import spaces
from zenfront.pipeline import algorithms, proxies, schedulers
from zenfront.pipeline.checks.devices import check_devices
from zenfront.pipeline.checks.own_training import check_own_training
from zenfront.pipeline.checks.places import check_store
from zenfront.pipeline.code_checks import check_proxy, check_space
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment._messages import unfit
from zenfront.pipeline.experiment.baselines import wrong_baselines
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.record.training_result import compared_costs, search_costs
from zenfront.pipeline.registry import Registry
from zenfront.pipeline.seeds import numpy_generator
from zenfront.pipeline.stages.supernet.plan import score_plan
from zenfront.pipeline.training.stochastic_depth import residuals
from zenfront.pipeline.user_code import COMMANDS, UserCode, require_allowed
from zenfront.pipeline.wording import suggestion
from zenfront.spaces import Architecture

SAMPLES = 100
DEPTH_SAMPLES = 10
"""Architectures among which one must have a residual branch."""
MOST_NUMBERS = 2**30
"""Numbers in a mini-batch of images."""


def check(experiment: Experiment) -> None:
    """Check what the types of the keys cannot say, before any work is done.

    Raises:
        UserError: Own code is not allowed or breaks a rule, a name is unknown, an option does not fit its proxy,
            bounds or numbers contradict each other, or the space holds no network for the task. The message begins
            with the key, or with the file and the line of the code.
    """
    code = experiment.own_code()
    require_allowed(code)
    _known("space", spaces.SPACES, experiment.space, code)
    for index, objective in enumerate(experiment.objectives):
        _known(f"objectives[{index}].score", proxies.PROXIES, objective.score, code)
    for index, constraint in enumerate(experiment.constraints):
        _known(f"constraints[{index}].score", proxies.PROXIES, constraint.score, code)
    _check_code(experiment, code)
    _check_programs(experiment, code)
    _known("search.algorithm", algorithms.ALGORITHMS, experiment.search.algorithm)
    _check_algorithm(experiment)
    _known("train.scheduler.name", schedulers.SCHEDULERS, experiment.train.scheduler.name)
    for name, options in experiment.proxies.items():
        _known("proxies", proxies.PROXIES, name, code)
        check_options(name, options, code)
    _check_costs(experiment)
    _check_numbers(experiment)
    _check_supernet(experiment)
    task, recipe = experiment.task, experiment.train.recipe
    if experiment.train.function is None and (problem := recipe.misfit(task.channels, task.height, task.width)):
        raise UserError(f"train.recipe.{problem}.")
    check_devices(experiment)
    check_store(experiment.tracking.uri)
    _check_depth(experiment, _buildable(experiment))
    if wrong := list(wrong_baselines(experiment)):
        raise UserError("\n".join(wrong))


def options(proxy: str, code: Sequence[UserCode] = ()) -> dict[str, inspect.Parameter]:
    """Return the options of a proxy: the keyword-only parameters of its score."""
    parameters = inspect.signature(proxies.load(proxy, code).score).parameters
    return {name: p for name, p in parameters.items() if p.kind is inspect.Parameter.KEYWORD_ONLY}


def _known(key: str, registry: Registry, name: str, code: Sequence[UserCode] = ()) -> None:
    own = [each for each in code if (each.kind, each.name) == (registry.folder, name)]
    if own and name in registry.names():
        raise UserError(
            f"{key}: {own[0].file} has the name of a known {registry.kind}, {name!r}. Give the file another name."
        )
    if problem := registry.problem(name, code):
        raise UserError(f"{key}: {problem}")


def _check_code(experiment: Experiment, code: Sequence[UserCode]) -> None:
    check_own_training(experiment)
    for each in code:
        if each.kind in ("training", COMMANDS):
            continue
        if each.kind == "spaces":
            space = spaces.load(each.name, code)
            check_space(space, each, experiment.task, experiment.search.seed)
        else:
            check_proxy(proxies.load(each.name, code), each)


def _check_programs(experiment: Experiment, code: Sequence[UserCode]) -> None:
    """Check that the programs of commands are on this machine, if it is the one that runs them."""
    for each in code if experiment.cluster.address is None else ():
        program = each.source.split(maxsplit=1)[:1] if each.kind == COMMANDS else []
        if program and not shutil.which(program[0].strip("'\"")):
            raise UserError(
                f"proxies.{each.name}.command: the program {program[0]!r} is not found on this machine, or is not "
                "executable. Install it, or write its path."
            )


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


def check_options(proxy: str, given: Mapping[str, object], code: Sequence[UserCode] = ()) -> None:
    """Check options of a proxy.

    Raises:
        UserError: The proxy has no such option, a value does not fit it, or two options do not go together.
    """
    for option, value in given.items():
        _check_option(proxy, option, value, code)
    conflict = proxies.load(proxy, code).conflict
    if conflict and (problem := conflict(given)):
        raise UserError(f"proxies.{proxy}: {problem}.")


def _check_option(proxy: str, option: str, value: object, code: Sequence[UserCode]) -> None:
    key, known = f"proxies.{proxy}.{option}", list(options(proxy, code))
    if option not in known:
        listed = f"It has: {', '.join(known)}." if known else "It has none."
        raise UserError(f"{key}: proxy {proxy!r} has no option {option!r}.{suggestion(option, known)} {listed}")
    accepted: Any = get_type_hints(proxies.load(proxy, code).score, include_extras=True)[option]
    try:
        TypeAdapter(accepted).validate_python(value, strict=True)
    except ValidationError as error:
        raise UserError(f"{key}: {unfit(error.errors(include_url=False))}") from error


def _check_costs(experiment: Experiment) -> None:
    """Check that trained networks are compared, and members selected, along something that is a cost."""
    code = experiment.own_code()
    directions = {objective.score: objective.direction for objective in experiment.objectives}
    for name in compared_costs(experiment):
        _known("train.objectives", proxies.PROXIES, name, code)
        if not proxies.load(name, code).is_running_cost:
            raise UserError(
                f"train.objectives: {name!r} is not a cost of a trained network, as flops, params or latency are. "
                f"Remove it, or name a cost ({', '.join(search_costs(experiment)) or 'make one an objective'})."
            )
        if directions.get(name) == "maximise":
            raise UserError(
                f"train.objectives: of the cost {name!r}, less is better, but the search maximises it. "
                "Remove it here, or minimise it there."
            )
    select = experiment.select
    if select.rule == "stratified" and select.along is None and not search_costs(experiment):
        raise UserError(
            "select.rule: `stratified` needs a cost among the objectives, or `along`, but the objectives are "
            f"{', '.join(directions)}."
        )


def _check_numbers(experiment: Experiment) -> None:
    search, k = experiment.search, experiment.select.k
    if search.population > search.evaluations:
        raise UserError(
            "search: `population <= evaluations` must hold, "
            f"but got (population={search.population}, evaluations={search.evaluations})."
        )
    task = experiment.task
    own = experiment.train.function is not None
    batches = {"search.batch": search.batch, "train.recipe.batch_size": experiment.train.recipe.batch_size}
    for key, images in list(batches.items())[: 1 if own else 2]:
        if (numbers := images * task.channels * task.height * task.width) > MOST_NUMBERS:
            raise UserError(
                f"{key}: a mini-batch of {images:,} images has {numbers:,} numbers, but at most {MOST_NUMBERS:,} "
                "(4 GiB) are supported. Use fewer or smaller images."
            )
    if k > search.evaluations:
        raise UserError(f"select.k: at most search.evaluations = {search.evaluations} can be selected, but got {k}.")


def _check_supernet(experiment: Experiment) -> None:
    """Check that the supernet that a score needs can be made."""
    names = [name for name in experiment.score_names() if proxies.load(name, experiment.code).of_supernet]
    if names:
        try:
            _ = score_plan(experiment).architectures
        except UserError as error:
            raise UserError(f"{names[0]}: {error}") from error


def _buildable(experiment: Experiment) -> list[Architecture]:
    """Return the architectures of a sample of the space that can be built for the task; there must be one."""
    space, task = spaces.load(experiment.space, experiment.code), experiment.task
    generator = numpy_generator(experiment.search.seed, "checks")
    wanted = DEPTH_SAMPLES if experiment.train.recipe.stochastic_depth else 1
    reasons, found = [], list[Architecture]()
    for _ in range(SAMPLES):
        architecture = space.sample(generator)
        if reason := space.violation(architecture, task):
            reasons.append(reason)
        else:
            found.append(architecture)
        if len(found) == wanted:
            break
    if not found:
        raise UserError(f"task: none of {SAMPLES} architectures of space {space.name!r} can be built: {reasons[0]}.")
    return found


def _check_depth(experiment: Experiment, architectures: Sequence[Architecture]) -> None:
    """Check that the networks have the residual branches that stochastic depth drops."""
    if not experiment.train.recipe.stochastic_depth:
        return
    space = spaces.load(experiment.space, experiment.code)
    if not any(residuals(space.network(architecture, experiment.task)) for architecture in architectures):
        raise UserError(
            f"train.recipe.stochastic_depth: it drops residual branches, but networks of space {space.name!r} have "
            "none. Remove it; a space of your own has them as `zenfront.spaces.Residual`."
        )
