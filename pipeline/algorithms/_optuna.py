"""Ask-and-tell adapter of Optuna's samplers. The study is kept in memory, since the ledger is the record."""

from collections import deque
from collections.abc import Callable, Sequence

import optuna
from optuna.samplers import BaseSampler
from optuna.trial import Trial, TrialState

from zenfront.pipeline.algorithms._algorithm import Problem
from zenfront.pipeline.algorithms._seen_architectures import SeenArchitectures
from zenfront.pipeline.results.stage_rows import Scores
from zenfront.pipeline.seeds import numpy_generator, seed_for
from zenfront.spaces import Architecture

MakeSampler = Callable[[int], BaseSampler]


class OptunaSearch:
    """Search by an Optuna sampler.

    The trials of a generation are created one by one, so that each proposal takes the running trials before it into
    account, and they end in the order of their creation.

    Samplers repeat proposals, and different proposals may have the same canonical architecture. The trial of a
    duplicate fails at once and another one is created; after `tries` duplicates in a row, the architecture is sampled
    uniformly. An architecture whose scoring failed is a failed trial. If an architecture violated a constraint before
    all its objectives were scored, each missing value is replaced by the mean of the values observed so far.

    Args:
        problem: The search problem.
        name: Name under which the seed of the randomness is derived.
        sampler: Seed in [0, 2**32) -> sampler.
        tries: Maximum number of proposals for one architecture.
    """

    def __init__(self, problem: Problem, name: str, sampler: MakeSampler, tries: int = 10) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._problem = problem
        self._tries = tries
        self._distributions = dict(problem.space.distributions)
        self._asked = SeenArchitectures(problem.space, numpy_generator(problem.seed, name), problem.start)
        self._in_flight: deque[list[Trial]] = deque()
        self._observed: dict[str, list[float]] = {o.score: [] for o in problem.objectives}
        self._study = optuna.create_study(
            directions=[o.study_direction for o in problem.objectives],
            sampler=sampler(seed_for(problem.seed, name) % 2**32),
            study_name=name,
        )

    def ask(self, count: int) -> list[Architecture]:
        """Return the sampler's next proposals."""
        trials, architectures = [], []
        for _ in range(count):
            proposed = None if self._asked.start else self._propose()
            proposed = proposed or self._sample()
            if proposed is None:
                break
            trials.append(proposed[0])
            architectures.append(proposed[1])
        if trials:
            self._in_flight.append(trials)
        return architectures

    def _propose(self) -> tuple[Trial, Architecture] | None:
        for _ in range(self._tries):
            trial = self._study.ask(self._distributions)
            architecture = self._problem.space.architecture(trial.params)
            if self._asked.add(architecture):
                return trial, architecture
            self._study.tell(trial, state=TrialState.FAIL)
        return None

    def _sample(self) -> tuple[Trial, Architecture] | None:
        """Return a uniform sample and its trial, whose parameters are fixed; None if no new one is found."""
        for architecture in self._asked.sample(1):
            self._study.enqueue_trial(dict(architecture.genes))
            return self._study.ask(self._distributions), architecture
        return None

    def tell(self, scored: Sequence[Scores]) -> None:
        """End the trials of the oldest generation in flight."""
        for trial, scores in zip(self._in_flight.popleft(), scored, strict=True):
            if scores.failure:
                self._study.tell(trial, state=TrialState.FAIL)
                continue
            for constraint in dict.fromkeys(self._problem.constraints):
                value = scores.values.get(constraint.score)
                trial.set_constraint(str(constraint), 0.0 if value is None else constraint.excess(value))
            self._study.tell(trial, [self._value(scores, name) for name in self._observed])

    def _value(self, scores: Scores, name: str) -> float:
        observed = self._observed[name]
        if name in scores.values:
            observed.append(scores.values[name])
            return observed[-1]
        return sum(observed) / len(observed) if observed else 0.0
