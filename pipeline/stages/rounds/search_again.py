"""The search of a later round: the experiment's own algorithm, for the learned accuracy and the costs."""

from collections.abc import Sequence

import numpy as np

from zenfront.pipeline import algorithms
from zenfront.pipeline.algorithms import AlgorithmSpec
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.objectives import Objective, losses, violations
from zenfront.pipeline.pareto import front_indices
from zenfront.pipeline.progress import Backend, View
from zenfront.pipeline.record.files.ledger import read_values
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.record.score_record import row_reader
from zenfront.pipeline.record.training_result import compared_costs, search_costs
from zenfront.pipeline.results.stage_rows import Scores
from zenfront.pipeline.seeds import seed_for
from zenfront.pipeline.stages.rounds.learning import LEARNED, Learned
from zenfront.pipeline.stages.search.plan import SearchPlan, problem_of
from zenfront.pipeline.stages.search.stage import search_by
from zenfront.pipeline.stages.select import isolation
from zenfront.spaces import Architecture


def search_again(
    learned: Learned, folder: RunFolder, view: View, backend: Backend, number: int, scored: Sequence[Scores]
) -> list[Scores]:
    """Search for the learned accuracy and the costs; return what the search asked.

    Architectures that are scored already are not scored again, and no network is built for them. The first generation
    begins with the front of what is known, and is sampled for the rest.

    Args:
        learned: Model of the round.
        folder: Folder of the run.
        view: Display of the work.
        backend: Takes the scores.
        number: Number of the round.
        scored: All architectures that are scored.

    Raises:
        UserError: The record cannot be written; the cluster does not answer.
        KeyboardInterrupt: The search was interrupted; the record is complete up to here.
    """
    experiment = learned.experiment
    method = algorithms.load(experiment.search.algorithm)
    evaluations = evaluations_of(experiment, method)
    if not evaluations:
        return []
    objectives = objectives_of(experiment, method)
    known = learned.score(scored)
    population = min(experiment.search.population, evaluations)
    start = _start(experiment, objectives, known, population // 2)
    problem = problem_of(experiment, objectives, seed_for(experiment.search.seed, "round", str(number)), start)
    view.notify(f"round {number}: searching for {' and '.join(o.score for o in objectives)}, {evaluations} evaluations")
    plan = SearchPlan(
        method.make(problem),
        objectives,
        experiment.constraints,
        evaluations,
        population,
        known,
        learned.score,
        patient=True,
    )
    search_by(experiment, folder.round(number), view, plan, backend, run=folder)
    return read_values(folder.round(number).scores, row_reader(experiment))


def evaluations_of(experiment: Experiment, method: AlgorithmSpec) -> int:
    """Return the number of architectures that the search of a later round asks."""
    asked = experiment.select.evaluations
    if asked is None:
        asked = -(-experiment.search.evaluations // (experiment.select.rounds - 1))
    return min(asked, method.evaluations or asked)


def objectives_of(experiment: Experiment, method: AlgorithmSpec) -> list[Objective]:
    """Return the learned accuracy and the costs, as many as the algorithm takes; then objectives of the experiment."""
    costs = [Objective(name, "minimise") for name in compared_costs(experiment) or search_costs(experiment)]
    wanted = [Objective(LEARNED, experiment.train.compared.direction), *costs]
    more = [objective for objective in experiment.objectives if objective not in wanted]
    return [*wanted, *more[: max(0, method.least - len(wanted))]][: method.most]


def _start(
    experiment: Experiment, objectives: Sequence[Objective], known: Sequence[Scores], count: int
) -> list[Architecture]:
    """Return up to `count` members of the front of what is known, the most isolated first."""
    every, violation = losses(known, objectives), violations(known, experiment.constraints)
    front = front_indices(every, violation)
    if not len(front):
        return []
    order = np.argsort(-isolation(every[front]), kind="stable")
    return [known[i].architecture for i in front[order][:count]]
