"""Known networks to train beside the selected ones: those that the experiment names, and some at random."""

from collections import Counter
from collections.abc import Collection
from dataclasses import replace

import numpy as np

from zenfront import spaces
from zenfront.pipeline.algorithms import FeasibleSample, Problem
from zenfront.pipeline.analysis.strata import cost_strata, round_robin
from zenfront.pipeline.device import resolve
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.baselines import asked_baselines, named_baseline
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.objectives import violations
from zenfront.pipeline.progress import View
from zenfront.pipeline.record.files.json_file import write_json
from zenfront.pipeline.record.run_documents import read_baselines
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.record.training_result import baseline_costs
from zenfront.pipeline.results.baselines import Baseline, Baselines
from zenfront.pipeline.results.front import Member
from zenfront.pipeline.results.stage_rows import Scores
from zenfront.pipeline.scoring import Scoring
from zenfront.pipeline.seeds import numpy_generator, seed_for
from zenfront.spaces import PUBLISHED, Architecture

RANDOM, POOL = "random: ", 4
"""Feasible architectures that are drawn for each random baseline."""


def find_baselines(experiment: Experiment, folder: RunFolder, view: View, selected: Collection[str]) -> Baselines:
    """Return the baselines of a run; write those that are new to baselines.json, with their costs.

    The costs are computed in this process. A random baseline is none of the selected networks.

    Args:
        experiment: The experiment.
        folder: Folder of the run.
        view: Told if fewer random networks are found than asked.
        selected: Ids of the networks that are selected for training.

    Raises:
        UserError: A baseline has no cost.
    """
    known = read_baselines(folder, experiment)
    added = Counter(asked_baselines(experiment)) - Counter(known.asked)
    for entry in added.elements():
        taken = {*selected, *(each.member.id for each in known.networks)}
        found = _drawn(experiment, entry, taken, known, view) if entry.startswith(RANDOM) else _named(experiment, entry)
        new = (each for each in found if each.member.id not in {other.member.id for other in known.networks})
        known = replace(known, asked=(*known.asked, entry), networks=(*known.networks, *new))
    if added:
        write_json(folder.baselines, known.to_row())
    return known


def _named(experiment: Experiment, text: str) -> list[Baseline]:
    architecture = named_baseline(text, experiment)
    return [Baseline(_short(architecture), _member(experiment, architecture, text))]


def _drawn(experiment: Experiment, entry: str, taken: Collection[str], known: Baselines, view: View) -> list[Baseline]:
    """Draw the networks of an entry ``random: N``."""
    wanted, before = int(entry.removeprefix(RANDOM)), sum(each.drawn for each in known.networks)
    drawn = _draw(experiment, wanted, taken, len(known.asked))
    if len(drawn) < wanted:
        view.notify(f"train.baselines: {len(drawn)} of {wanted} random networks fulfil the constraints")
    names = [f"random {number}" for number in range(before + 1, before + 1 + len(drawn))]
    return [
        Baseline(name, _member(experiment, architecture, name), drawn=True)
        for name, architecture in zip(names, drawn, strict=True)
    ]


def _short(architecture: Architecture) -> str:
    """Return a published name, or the space and the beginning of the id in place of a notation."""
    published = next((known for known, each in PUBLISHED.items() if each == architecture), None)
    return published or f"{architecture.space} {architecture.id[:8]}"


def _member(experiment: Experiment, architecture: Architecture, name: str) -> Member:
    scored = _scoring(experiment, architecture.space, constrained=False).score(architecture)
    if scored.failure:
        raise UserError(f"train.baselines: {name} has no cost: {scored.failure}.")
    notation = spaces.load(architecture.space, experiment.code).notation(architecture)
    return Member(architecture, notation, scored.values, scored.errors)


def _scoring(experiment: Experiment, space: str, constrained: bool) -> Scoring:
    """Return what takes the costs of architectures of a space, and the scores that the constraints need."""
    constraints = experiment.constraints if constrained else ()
    costs = baseline_costs(experiment) or ("params",)
    names = list(dict.fromkeys([*costs, *(constraint.score for constraint in constraints)]))
    return replace(
        Scoring.of(experiment),
        space=spaces.load(space, experiment.code),
        names=names,
        constraints=constraints,
        device=resolve(experiment.resources.device),
        describe=False,
    )


def _draw(experiment: Experiment, count: int, taken: Collection[str], place: int) -> list[Architecture]:
    """Draw feasible architectures that are not taken, at random from even steps of the first cost.

    As many are asked as the search scores at most.
    """
    scored = list[Scores]()
    space, settings = spaces.load(experiment.space, experiment.code), experiment.search
    seed = seed_for(settings.seed, "random baselines", str(place))
    problem = Problem(space, (), experiment.constraints, settings.population, seed)
    sample, scoring = FeasibleSample(problem, POOL * count), _scoring(experiment, space.name, constrained=True)
    while len(scored) < settings.evaluations and (asked := sample.ask(settings.population)):
        found = [scoring.score(architecture) for architecture in asked]
        sample.tell(found)
        scored += found
    feasible = [
        scores
        for scores, excess in zip(scored, violations(scored, experiment.constraints), strict=True)
        if excess <= 0 and scores.architecture.id not in taken
    ]
    if not feasible:
        return []
    cost = np.array([scores.values[scoring.names[0]] for scores in feasible])
    order = numpy_generator(seed, "order").permutation(len(feasible))
    return [feasible[row].architecture for row in round_robin(cost_strata(cost), order, count)]
