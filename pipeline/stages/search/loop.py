"""The deterministic heart of a search: who is asked, who is told, in which order. Knows nothing of Ray."""

import math
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from zenfront.pipeline.algorithms import Algorithm
from zenfront.pipeline.results import Scores
from zenfront.spaces import Architecture

TRIES_ALONE = 2
FIRST_TRIAL = 4
"""Candidates of a trial as long as it is unknown what one takes."""
TRIAL_COST = 0.05
"""Seconds that a worker waits for Tune between two trials: less work is not worth one."""
TRIAL_COST_OF_DRIVER = 0.015
"""Processor seconds of the driver for a trial: shorter trials of all workers do not get through."""
TRIAL_SECONDS = 4.0
TRIAL_SECONDS_A_WORKER = 0.1
"""With many workers trials are longer: ten a second leave the driver the greater part of its time."""
REPORTS = 4
"""Of a trial that takes its time: what a killed driver repeats, and how fresh the view is."""

Told = Callable[[int, Sequence[Scores]], None]


def trial_seconds(workers: int) -> float:
    """Seconds of work that a trial should hold, where there is so much."""
    return max(TRIAL_SECONDS, TRIAL_SECONDS_A_WORKER * workers)


def trial_size(waiting: int, workers: int, rate: float | None) -> int:
    """Candidates of the next trial: what takes `trial_seconds`, at most a worker's share, but worth a trial.

    Args:
        waiting: Candidates that can be handed out.
        workers: All of them, at work or not.
        rate: Candidates per second of one worker; None: unknown.
    """
    share = max(1, math.ceil(waiting / workers))
    if rate is None:
        return min(FIRST_TRIAL, share)
    least = max(TRIAL_COST, TRIAL_COST_OF_DRIVER * workers)
    return max(round(least * rate), min(round(trial_seconds(workers) * rate), share), 1)


class SearchLoop:
    """Hands out unscored architectures, takes their scores in any order, and tells them in the order of asking.

    A generation is asked when all but `lookahead` - 1 of those before it are told, and told when it is complete
    and all before it are told: the sequence of asks and tells depends on nothing but the scores. Resuming is
    replay: an architecture whose scores are known is never handed out.

    Args:
        algorithm: Asks and is told.
        population: Architectures in a generation.
        evaluations: Architectures to ask in all.
        lookahead: Generations in flight.
        known: Scores of an interrupted run.
        told: Called with the number, from 0, and the scores of every generation that was told, in order.

    Attributes:
        generations: How many were told.
        exhausted: Whether the space had fewer architectures than evaluations were wanted.
    """

    def __init__(
        self,
        algorithm: Algorithm,
        *,
        population: int,
        evaluations: int,
        lookahead: int,
        known: Iterable[Scores],
        told: Told,
    ) -> None:
        self._algorithm = algorithm
        self._population = population
        self._left = evaluations
        self._lookahead = lookahead
        self._told = told
        self._known = {scores.architecture.id: scores for scores in known}
        self._in_flight: deque[list[Architecture]] = deque()
        self._queue: deque[Architecture] = deque()
        self._suspects: deque[list[Architecture]] = deque()
        self._deaths: Counter[str] = Counter()
        self.generations = 0
        self.exhausted = False

    def start(self) -> None:
        """Asks the first generations, and replays what is known."""
        self._advance()

    @property
    def done(self) -> bool:
        """Whether every generation is told and no more will be asked."""
        return not self._in_flight

    @property
    def waiting(self) -> int:
        """Architectures that can be handed out now."""
        return len(self._queue) + sum(map(len, self._suspects))

    def take(self, count: int) -> list[Architecture]:
        """At most `count` architectures to score; none if all are out. A suspect group comes whole and alone."""
        if self._suspects:
            return self._suspects.popleft()
        taken = list(islice(self._queue, count))
        for _ in taken:
            self._queue.popleft()
        return taken

    def receive(self, scored: Iterable[Scores]) -> None:
        """Takes scores, in any order, and goes on as far as they allow."""
        self._known.update((scores.architecture.id, scores) for scores in scored)
        self._advance()

    def worker_died(self, architectures: Sequence[Architecture]) -> Architecture | None:
        """Splits a group whose worker died, until the culprit stands alone.

        Returns:
            The architecture whose worker has died so often while it was alone that it is the culprit.
        """
        if len(architectures) == 1:
            culprit = architectures[0]
            self._deaths[culprit.id] += 1
            if self._deaths[culprit.id] >= TRIES_ALONE:
                return culprit
            self._suspects.append([culprit])
        elif architectures:
            half = len(architectures) // 2
            self._suspects.extend([list(architectures[:half]), list(architectures[half:])])
        return None

    def take_back(self, architectures: Sequence[Architecture]) -> None:
        """Takes back what was handed out and not scored, through no fault of its own; it comes next."""
        self._queue.extendleft(reversed(architectures))

    def again(self, architecture: Architecture) -> None:
        """Hands an architecture out once more, and alone."""
        self._suspects.append([architecture])

    def _advance(self) -> None:
        while True:  # asking comes first, or the order of the calls would depend on that of finishing
            if len(self._in_flight) < self._lookahead and self._left > 0 and not self.exhausted:
                self._ask()
            elif self._in_flight and all(a.id in self._known for a in self._in_flight[0]):
                self._tell([self._known.pop(a.id) for a in self._in_flight.popleft()])
            else:
                return

    def _ask(self) -> None:
        asked = self._algorithm.ask(min(self._population, self._left))
        self.exhausted = not asked
        if asked:
            self._left -= len(asked)
            self._in_flight.append(asked)
            self._queue.extend(a for a in asked if a.id not in self._known)

    def _tell(self, scored: list[Scores]) -> None:
        self._algorithm.tell(scored)
        self._told(self.generations, scored)
        self.generations += 1
