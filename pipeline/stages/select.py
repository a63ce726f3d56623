"""Stage 2: find the front of a search and select the members of it that are worth training."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from zenfront import spaces
from zenfront.pipeline.analysis.strata import cost_strata, round_robin
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.objectives import infeasible_message, losses, violations
from zenfront.pipeline.pareto import (
    bounding_box,
    crowding_distance,
    front_indices,
    normalised_hypervolume,
    scaled_to_unit,
)
from zenfront.pipeline.ranking import log_rank_sum
from zenfront.pipeline.record.commands import command
from zenfront.pipeline.record.files.json_file import write_json
from zenfront.pipeline.record.files.ledger import read_values
from zenfront.pipeline.record.run_documents import read_front, read_generations
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.record.score_record import read_whole, row_reader
from zenfront.pipeline.record.training_result import search_costs
from zenfront.pipeline.results.front import Front
from zenfront.pipeline.results.stage_rows import Box, Epoch, Scores, trial_name
from zenfront.pipeline.stages.rounds.first_round import feasible, member_of, share_by_rule, with_first_round

BLOCK = 2**20
"""Numbers in a block of the trade-off, which bounds its memory to some dozen megabytes."""


def select(experiment: Experiment, folder: RunFolder) -> Front:
    """Write front.json, the front of all feasible architectures and the selected members; return its content.

    The result depends on the scores and the experiment alone: not on their order, and not on the time. Once networks
    are in training they stay selected, and the front is made again only if more was scored or more are to be selected.
    With several rounds, the first one is selected, and later ones that are there already stay.

    Raises:
        UserError: Nothing has been scored, or no architecture is feasible.
    """
    scored = read_whole(folder, experiment)
    if not scored:
        raise UserError(
            f"nothing has been scored yet, so there is no front. "
            f"Run {command('search', folder.path, experiment)} first."
        )
    front, computed = read_front(folder, experiment), folder.computed()
    if front and computed.epochs and front.evaluations == len(scored):
        return front
    generations = read_generations(folder, experiment)
    box = next((row.box for row in generations if row.box), None)
    if experiment.select.rounds > 1:
        drawn = feasible(read_values(folder.round(1).scores, row_reader(experiment)), experiment)
        again = with_first_round(experiment, find_front(experiment, scored, box), drawn, feasible(scored, experiment))
        if front and front.rounds[:1] == again.rounds:
            return front
        front = again
    else:
        kept = _in_training(experiment, folder, front, scored) if computed.epochs else ()
        front = find_front(experiment, scored, box, kept)
    write_json(folder.front, front.to_row())
    return front


def _in_training(experiment: Experiment, folder: RunFolder, front: Front | None, scored: Sequence[Scores]) -> list[str]:
    """Return the ids of the networks that have been selected for training, the first ones first."""
    before = [name for group in folder.grown().selected for name in group]
    seeds = experiment.train.seeds
    runs = {trial_name(each.architecture.id, seed): each.architecture.id for each in scored for seed in seeds}
    trained = [runs[epoch.trial] for epoch in read_values(folder.epochs, Epoch.from_row) if epoch.trial in runs]
    return list(dict.fromkeys([*before, *(front.selected if front else ()), *trained]))


def find_front(
    experiment: Experiment, scored: Sequence[Scores], box: Box | None = None, kept: Sequence[str] = ()
) -> Front:
    """Return the front of all feasible architectures and the selected members.

    Args:
        experiment: Gives objectives, constraints and the rule of the selection.
        scored: All scored architectures, in any order.
        box: Losses that the hypervolume is normalised by; if None, the box around this front.
        kept: Ids of architectures that are selected before the rule selects more.

    Raises:
        UserError: Nothing has been scored, or no architecture is feasible.
    """
    if not scored:
        raise UserError("nothing has been scored yet, so there is no front.")
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
    k = share_by_rule(experiment, 0) if experiment.select.rounds > 1 else experiment.select.k
    chosen = [members[i].architecture.id for i in choose(experiment, front, k)]
    on_front = {scores.architecture.id for scores in members}
    others = [s for s in scored if s.architecture.id in set(kept) - on_front]
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
        members=tuple(member_of(scores, experiment) for scores in members),
        selected=tuple(_with_kept(chosen, kept, k)),
        rule=rule_of(experiment)[0],
        others=tuple(member_of(scores, experiment) for scores in others),
    )


def _with_kept(chosen: Sequence[str], kept: Sequence[str], k: int) -> list[str]:
    """Return the kept ids and up to k in all, in the order of choice if the kept ones were chosen anyway."""
    if set(kept) <= set(chosen):
        return list(chosen)
    more = [name for name in chosen if name not in set(kept)]
    return [*kept, *more[: max(0, k - len(kept))]]


def shortfall(front: Front, k: int) -> str | None:
    """Return a line for the user if the front has fewer members than are to be selected, else None."""
    size = len(front.members)
    if size >= k:
        return None
    return f"the front has {size} members, fewer than select.k = {k}: all of them are selected"


def _by_losses(every_loss: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Return indices sorted by losses, first objective first; the sort is stable, so ties keep the order of ids."""
    return np.asarray(indices[np.lexsort(every_loss[indices].T[::-1])])


def rule_of(experiment: Experiment) -> tuple[str, str]:
    """Return the rule of the selection and the objective along which it selects, which may be an empty text."""
    select, costs = experiment.select, search_costs(experiment)
    rule = select.rule or ("stratified" if costs else "crowding")
    return rule, select.along or (costs[0] if rule == "stratified" else "")


def choose(experiment: Experiment, front: np.ndarray, k: int) -> list[int]:
    """Return the indices of the up to k rows of the front (n, m) that the rule selects, best first."""
    names = [objective.score for objective in experiment.objectives]
    rule, along = rule_of(experiment)
    if not k:
        return []
    order = _order(front, rule, names.index(along) if along else 0, k)
    if not experiment.select.extremes:
        return order[:k]
    return with_extremes(order, front[:, [names.index(cost) for cost in search_costs(experiment)]], k)


def _order(front: np.ndarray, rule: str, along: int, k: int) -> list[int]:
    """Return all indices of the rows (n, m) in the order in which a rule prefers them if it selects k of them."""
    if rule == "even":
        first = evenly(front[:, along], k)
    elif rule == "stratified":
        first = stratified(front[:, along], np.delete(front, along, axis=1), k)
    else:
        preference = isolation(front) if rule == "crowding" else tradeoff(front)
        first = np.argsort(-preference, kind="stable").tolist()
    return first + sorted(set(range(len(front))) - set(first))


def with_extremes(order: Sequence[int], costs: np.ndarray, k: int) -> list[int]:
    """Return the first k of an order, the last of which give way to the extremes of each cost if these are not there.

    The extremes are the cheapest and the costliest row; of equal rows, the first in the order. If k is less than 2,
    or than the number of extremes, the first k of the order or of the extremes are returned.

    Args:
        order: All indices 0 .. n - 1, the best first.
        costs: (n, c); c may be 0.
        k: Number of rows to select.
    """
    ends = [end for column in costs.T for end in (column == column.min(), column == column.max())]
    extremes = dict.fromkeys(next(i for i in order if end[i]) for end in ends if k > 1)
    wanted = list(dict.fromkeys([*extremes, *order]))[:k]
    return [i for i in order if i in wanted]


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
    scaled = scaled_to_unit(front)
    rows = max(1, BLOCK // scaled.size)
    blocks = [_tradeoff(scaled[start : start + rows], scaled) for start in range(0, len(scaled), rows)]
    return np.concatenate(blocks)


def _tradeoff(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the trade-off (k,) of some rows (k, m) of a front against all of it (n, m)."""
    difference = others[None, :, :] - rows[:, None, :]
    lost, gained = np.maximum(difference, 0).sum(2), np.maximum(-difference, 0).sum(2)
    ratio = np.divide(lost, gained, out=np.full(lost.shape, np.inf), where=gained > 0)
    return np.asarray(ratio.min(1))


def stratified(cost: np.ndarray, others: np.ndarray, k: int) -> list[int]:
    """Return the indices of up to k rows, picked in turn from even steps of a cost, the best of each step first.

    The best have the lowest losses by the sum of their ranks (`log_rank_sum`). With k = 1, the best of all is picked.
    This is the rule ``stratified`` of `zenfront regret`, with ties in the order of the rows.

    Args:
        cost: (n,); the steps are those of `cost_strata`.
        others: (n, m - 1), losses of the other objectives; without columns all are equally good.
        k: Number of rows to select.
    """
    order = np.argsort(-log_rank_sum(others), kind="stable")
    return round_robin(cost_strata(cost) if k > 1 else np.zeros(len(cost)), order, k)


def evenly(loss: np.ndarray, k: int) -> list[int]:
    """Return the indices of up to k rows whose losses (n,) lie nearest to k even steps from lowest to highest."""
    free = list(range(len(loss)))
    chosen = []
    for target in np.linspace(loss.min(), loss.max(), k)[: len(loss)]:
        nearest = min(free, key=lambda i: abs(loss[i] - target))
        free.remove(nearest)
        chosen.append(nearest)
    return chosen
