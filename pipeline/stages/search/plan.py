"""Plans of the searches that a run makes: what is asked, and what is known of it before."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from zenfront.pipeline import algorithms
from zenfront.pipeline.algorithms import Algorithm, FeasibleSample, FixedList, Problem
from zenfront.pipeline.analysis.learned import round_sizes
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.objectives import Constraint, Objective
from zenfront.pipeline.results.stage_rows import Scores
from zenfront.pipeline.seeds import seed_for
from zenfront.spaces import Architecture
from zenfront.spaces import load as load_space

POOL = 8
"""Feasible architectures that are drawn and scored for each one that the first round takes at random."""


@dataclass(frozen=True)
class SearchPlan:
    """Plan of a search: its algorithm, objectives and budget.

    Attributes:
        algorithm: Proposes the architectures.
        objectives: Objectives of the statistics; those of the algorithm, unless it has none.
        constraints: Constraints of the statistics.
        evaluations: Largest number of architectures to ask.
        population: Architectures in a generation.
        known: Scores that are known besides those of the search's ledger; none of these is handed out.
        complete: Adds the scores that the driver takes to those that come from a worker.
        keep_partial: Keep the scores that are defined if others are not.
        patient: Go on if no feasible architecture is found.
        describe: Count the graphs of all networks, from which models learn.
    """

    algorithm: Algorithm
    objectives: Sequence[Objective]
    constraints: Sequence[Constraint]
    evaluations: int
    population: int
    known: Sequence[Scores] = ()
    complete: Callable[[Sequence[Scores]], Sequence[Scores]] = list
    keep_partial: bool = False
    patient: bool = False
    describe: bool = False

    @staticmethod
    def of(experiment: Experiment) -> "SearchPlan":
        """Return the plan of stage 1."""
        settings, objectives, constraints = experiment.search, experiment.objectives, experiment.constraints
        problem = problem_of(experiment, objectives, settings.seed)
        algorithm = algorithms.load(settings.algorithm).make(problem)
        return SearchPlan(algorithm, objectives, constraints, settings.evaluations, settings.population)

    @staticmethod
    def given(experiment: Experiment, architectures: Sequence[Architecture], *, describe: bool = False) -> "SearchPlan":
        """Return the plan that scores these architectures."""
        return SearchPlan(
            FixedList(architectures),
            experiment.objectives[:1],
            experiment.constraints,
            evaluations=len(architectures),
            population=experiment.search.population,
            keep_partial=True,
            describe=describe,
        )

    @staticmethod
    def random(experiment: Experiment, known: Sequence[Scores]) -> "SearchPlan":
        """Return the plan that scores the architectures from which the first round takes some at random.

        They are samples of the space, until `POOL` feasible ones are known for each that is taken. As many as the first
        search scores are asked at most.
        """
        settings = experiment.search
        problem = problem_of(experiment, experiment.objectives, seed_for(settings.seed, "random part"))
        wanted = min(POOL * round_sizes(experiment.select.k, experiment.select.rounds)[0], settings.evaluations)
        return SearchPlan(
            FeasibleSample(problem, wanted),
            experiment.objectives,
            experiment.constraints,
            settings.evaluations,
            min(wanted, settings.population),
            known,
            patient=True,
        )


def problem_of(
    experiment: Experiment, objectives: Sequence[Objective], seed: int, start: Sequence[Architecture] = ()
) -> Problem:
    """Return the problem of searching the experiment's space for other objectives."""
    space = load_space(experiment.space, experiment.code)
    return Problem(
        space,
        objectives,
        experiment.constraints,
        experiment.search.population,
        seed,
        start,
        experiment.search.operators,
    )
