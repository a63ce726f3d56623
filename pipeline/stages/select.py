"""Stage 2: find the front of a search and select the members of it that are worth training."""

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from zenfront import spaces
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.front import Front, Member
from zenfront.pipeline.objectives import infeasible_message, losses, violations
from zenfront.pipeline.pareto import bounding_box, crowding_distance, front_indices, normalised_hypervolume
from zenfront.pipeline.record.json_file import write_json
from zenfront.pipeline.record.ledger import read_values
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.results import Box, Generation, Scores
from zenfront.spaces import Space


def select(experiment: Experiment, folder: RunFolder) -> Front:
    """Write front.json, the front of all feasible architectures and the selected members; return its content.

    The result depends on the scores and the experiment alone: not on their order, and not on the time.

    Raises:
        UserError: Nothing has been scored, or no architecture is feasible.
    """
    scored = read_values(folder.scores, Scores.from_row)
    generations = read_values(folder.generations, Generation.from_row)
    front = find_front(experiment, scored, next((row.box for row in generations if row.box), None))
    write_json(folder.front, front.to_row())
    return front


def find_front(experiment: Experiment, scored: Sequence[Scores], box: Box | None = None) -> Front:
    """Return the front of all feasible architectures and the selected members.

    Args:
        experiment: Gives objectives, constraints and the rule of the selection.
        scored: All scored architectures, in any order.
        box: Losses that the hypervolume is normalised by; if None, the box around this front.

    Raises:
        UserError: Nothing has been scored, or no architecture is feasible.
    """
    if not scored:
        raise UserError("nothing has been scored yet, so there is no front. Run `zenfront search` first.")
    scored = sorted({s.architecture.id: s for s in scored}.values(), key=lambda s: s.architecture.id)
    constraints = experiment.constraints
    violation = violations(scored, constraints)
    if not (violation <= 0).any():
        raise UserError(infeasible_message(scored, constraints))
    every_loss = losses(scored, experiment.objectives)
    order = _by_losses(every_loss, front_indices(every_loss, violation))
    members, front = [scored[i] for i in order], every_loss[order]
    box = box or Box(*bounding_box(front))
    failures = Counter(s.failure for s in scored if s.failure)
    space = spaces.load(experiment.space, experiment.code)
    return Front(
        space=experiment.space,
        objectives=experiment.objectives,
        constraints=experiment.constraints,
        space_size=space.size,
        evaluations=len(scored),
        infeasible=int((violation > 0).sum()) - failures.total(),
        failures=dict(sorted(failures.items())),
        hypervolume=normalised_hypervolume(front, box.ideal, box.nadir),
        box=box,
        members=tuple(_member(scores, space) for scores in members),
        selected=tuple(members[i].architecture.id for i in _choose(experiment, front)),
        rule=experiment.select.rule,
    )


def shortfall(front: Front, k: int) -> str | None:
    """Return a line for the user if the front has fewer members than are to be selected, else None."""
    size = len(front.members)
    if size >= k:
        return None
    return f"the front has {size} members, fewer than select.k = {k}: all of them are selected"


def _by_losses(every_loss: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Return indices sorted by losses, first objective first; the sort is stable, so ties keep the order of ids."""
    return np.asarray(indices[np.lexsort(every_loss[indices].T[::-1])])


def _member(scores: Scores, space: Space) -> Member:
    architecture = scores.architecture
    return Member(architecture, space.notation(architecture), scores.values, scores.errors)


def _choose(experiment: Experiment, front: np.ndarray) -> list[int]:
    """Return the indices of the selected rows of the front (n, m), best first."""
    wanted, rule = experiment.select, experiment.select.rule
    if rule == "even":
        names = [objective.score for objective in experiment.objectives]
        return evenly(front[:, names.index(wanted.along or "")], wanted.k)
    preference: Callable[[np.ndarray], np.ndarray] = isolation if rule == "crowding" else tradeoff
    return [int(i) for i in np.argsort(-preference(front), kind="stable")[: wanted.k]]


def isolation(front: np.ndarray) -> np.ndarray:
    """Return the crowding distance (n,) of the rows (n, m); equal rows after the first one have 0."""
    distance = np.zeros(len(front))
    first = np.sort(np.unique(front, axis=0, return_index=True)[1])
    distance[first] = crowding_distance(front[first])
    return distance


def tradeoff(front: np.ndarray) -> np.ndarray:
    """Return the trade-off (n,) of the rows (n, m) of a front: the least loss per unit gained by leaving a row.

    mu_i = min_j sum_k max(0, f_jk - f_ik) / sum_k max(0, f_ik - f_jk), f scaled to [0, 1] per objective. High at
    a knee. Equal rows are not alternatives to each other; a row without alternatives has infinity.

    Source: Rachmawati and Srinivasan, IEEE TEVC 13(4), 2009. pymoo's `HighTradeoffPoints` uses the same
    measure over near neighbours only, returns outliers instead of a ranking, fails on small fronts and disables
    all warnings.
    """
    low, high = front.min(0), front.max(0)
    scaled = (front - low) / np.where(high > low, high - low, 1.0)
    difference = scaled[None, :, :] - scaled[:, None, :]
    lost, gained = np.maximum(difference, 0).sum(2), np.maximum(-difference, 0).sum(2)
    ratio = np.divide(lost, gained, out=np.full(lost.shape, np.inf), where=gained > 0)
    return np.asarray(ratio.min(1))


def evenly(loss: np.ndarray, k: int) -> list[int]:
    """Return the indices of up to k rows whose losses (n,) lie nearest to k even steps from lowest to highest."""
    free = list(range(len(loss)))
    chosen = []
    for target in np.linspace(loss.min(), loss.max(), k)[: len(loss)]:
        nearest = min(free, key=lambda i: abs(loss[i] - target))
        free.remove(nearest)
        chosen.append(nearest)
    return chosen
