"""Running statistics of a search: front, hypervolume, best values, failures."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.objectives import Constraint, Objective, infeasible_message, losses, violations
from zenfront.pipeline.pareto import bounding_box, front_indices, normalised_hypervolume
from zenfront.pipeline.results.stage_rows import Box, Generation, Scores


class SearchStatistics:
    """Statistics of the architectures told so far.

    Args:
        objectives: Objectives.
        constraints: Constraints.
        patient: Wait for a feasible architecture, however long it takes.
        box: The box, if the record of the search has it.

    Attributes:
        evaluations: Number of architectures.
        front: Losses (n, m) of the front of all feasible architectures.
        box: Ideal and nadir point of the first front that extends in every objective; the unit of the hypervolume.
        hypervolume: Hypervolume of the front, in units of the box; None without a box.
        best: Best feasible value of every objective.
        failures: Number of failed architectures by reason.
        infeasible: Number of architectures that a constraint excludes.
    """

    def __init__(
        self,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint],
        patient: bool = False,
        box: Box | None = None,
    ) -> None:
        self._patient = patient
        self._objectives = objectives
        self._constraints = constraints
        self._nearest = np.inf
        self._in_vain: list[Scores] = []
        self.evaluations = 0
        self.front = np.empty((0, len(objectives)))
        self.box = box
        self.hypervolume: float | None = None
        self.failures: Counter[str] = Counter()
        self.infeasible = 0

    def add(self, scored: Sequence[Scores]) -> None:
        """Add a generation.

        Raises:
            UserError: No feasible architecture has been found, and this generation came no closer to one, unless the
                statistics are patient.
        """
        violation = violations(scored, self._constraints)
        self.evaluations += len(scored)
        self.failures.update(s.failure for s in scored if s.failure)
        self.infeasible += sum(bool(v > 0) and not s.failure for v, s in zip(violation, scored, strict=True))
        candidates = np.vstack([self.front, losses(scored, self._objectives)[violation <= 0]])
        self.front = candidates[front_indices(candidates)]
        if not len(self.front):
            if not self._patient:
                self._check_approach(scored, float(violation.min()))
            return
        self._in_vain.clear()
        if self.box is None and np.ptp(self.front, axis=0).all():
            self.box = Box(*bounding_box(self.front))
        if self.box is not None:
            self.hypervolume = normalised_hypervolume(self.front, self.box.ideal, self.box.nadir)

    def _check_approach(self, scored: Sequence[Scores], nearest: float) -> None:
        self._in_vain.extend(scored)
        if nearest >= self._nearest:
            raise UserError(infeasible_message(self._in_vain, self._constraints))
        self._nearest = nearest

    @property
    def best(self) -> dict[str, float]:
        """Best feasible value of every objective; empty without a front."""
        if not len(self.front):
            return {}
        return {o.score: float(o.sign * x) for o, x in zip(self._objectives, self.front.min(0), strict=True)}

    def generation(self, number: int, *, seconds: float, rate: float, time: float) -> Generation:
        """Return the row of the generation that was added last."""
        return Generation(
            generation=number,
            evaluations=self.evaluations,
            front=len(self.front),
            hypervolume=self.hypervolume,
            box=self.box,
            best=self.best,
            failures=self.failures.total(),
            infeasible=self.infeasible,
            seconds=seconds,
            rate=rate,
            time=time,
        )
