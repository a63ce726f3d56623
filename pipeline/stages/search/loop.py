"""The loop of a search: which architectures are asked and told, in which order. It knows nothing of Ray."""

import math
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from zenfront.pipeline.algorithms import Algorithm
from zenfront.pipeline.results.stage_rows import Scores
from zenfront.spaces import Architecture

TRIES_ALONE = 2
FIRST_TRIAL = 4
"""Candidates of a trial while the time that one takes is unknown."""
TRIAL_COST = 0.05
"""Seconds that a worker waits for Tune between two trials; a trial should hold more work than that."""
TRIAL_COST_OF_DRIVER = 0.015
"""Processor seconds of the driver for a trial; with shorter trials on all workers it cannot keep up."""
TRIAL_SECONDS = 4.0
TRIAL_SECONDS_A_WORKER = 0.1
"""With many workers trials are longer: ten a second leave the driver the greater part of its time."""
REPORTS = 4
"""Reports of a trial that takes `trial_seconds`: they bound what a killed driver repeats and how old the view is."""

Told = Callable[[int, Sequence[Scores]], None]
Result = TypeVar("Result")


def trial_seconds(workers: int) -> float:
    """Return the seconds of work that a trial should hold, if there is enough work."""
    return max(TRIAL_SECONDS, TRIAL_SECONDS_A_WORKER * workers)


def trial_size(waiting: int, workers: int, rate: float | None) -> int:
    """Return the number of candidates of the next trial.

    That is the work of `trial_seconds`, at most a worker's share of what waits, and at least what is worth a trial.

    Args:
        waiting: Candidates that can be handed out.
        workers: Number of workers, busy or idle.
        rate: Candidates per second of one worker; None if unknown.
    """
    share = max(1, math.ceil(waiting / workers))
    if rate is None:
        return min(FIRST_TRIAL, share)
    least = max(TRIAL_COST, TRIAL_COST_OF_DRIVER * workers)
    return max(round(least * rate), min(round(trial_seconds(workers) * rate), share), 1)


class SearchLoop:
    """Hands out unscored architectures, takes their scores in any order, and tells them in the order of asking.

    A generation is asked when all but `lookahead` - 1 of those before it are told, and told when it is complete and
    all before it are told. The sequence of asks and tells therefore depends on the scores alone. Resuming is replay:
    an architecture whose scores are known is never handed out.

    Args:
        algorithm: The search algorithm.
        population: Architectures in a generation.
        evaluations: Architectures to ask in all.
        lookahead: Generations in flight.
        known: Scores of an interrupted run.
        again: Architectures to score first, whether the algorithm asks for them or not; none of them is known.
        told: Called for every generation that was told, in order, with its number from 0 and its scores.
        ends: Numbers of architectures at which the search was to end before it was given more: generations end there.

    Attributes:
        generations: Number of generations told.
        exhausted: Whether the space has fewer architectures than `evaluations`.
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
        again: Iterable[Architecture] = (),
        ends: Sequence[int] = (),
    ) -> None:
        self._algorithm = algorithm
        self._population = population
        self._ends = sorted({*(end for end in ends if end < evaluations), evaluations})
        self._asked = 0
        self._lookahead = lookahead
        self._told = told
        self._known = {scores.architecture.id: scores for scores in known}
        self._in_flight: deque[list[Architecture]] = deque()
        self._queue: deque[Architecture] = deque(again)
        self._expected = {architecture.id for architecture in self._queue}
        self._suspects: deque[list[Architecture]] = deque()
        self._deaths: Counter[str] = Counter()
        self.generations = 0
        self.exhausted = False

    def start(self) -> None:
        """Ask the first generations, and replay what is known."""
        self._advance()

    @property
    def done(self) -> bool:
        """Whether every generation is told, no more will be asked, and what was to be scored first is scored."""
        return not self._in_flight and not self._expected

    @property
    def waiting(self) -> int:
        """Number of architectures that can be handed out now."""
        return len(self._queue) + sum(map(len, self._suspects))

    def take(self, count: int) -> list[Architecture]:
        """Return at most `count` architectures to score; none if all are out. A suspect group comes whole and alone."""
        if self._suspects:
            return self._suspects.popleft()
        taken = list(islice(self._queue, count))
        for _ in taken:
            self._queue.popleft()
        return taken

    def receive(self, scored: Iterable[Scores]) -> None:
        """Take scores, in any order, and go on as far as they allow."""
        fresh = {scores.architecture.id: scores for scores in scored}
        self._known |= fresh
        self._expected -= fresh.keys()
        self._advance()

    def worker_died(self, architectures: Sequence[Architecture]) -> Architecture | None:
        """Split a group whose worker died, until the culprit stands alone.

        Returns:
            The culprit, once its worker has died `TRIES_ALONE` times while it was scored alone; else None.
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
        """Take back architectures whose machine was lost before they were scored; they come next."""
        self._queue.extendleft(reversed(architectures))

    def again(self, architecture: Architecture) -> None:
        """Hand an architecture out once more, alone."""
        self._suspects.append([architecture])

    def _advance(self) -> None:
        while True:  # asking comes first, or the order of the calls would depend on that of finishing
            if len(self._in_flight) < self._lookahead and self._asked < self._ends[-1] and not self.exhausted:
                self._ask()
            elif self._in_flight and all(a.id in self._known for a in self._in_flight[0]):
                self._tell(self._in_flight.popleft())
            else:
                return

    def _ask(self) -> None:
        end = next(end for end in self._ends if end > self._asked)
        asked = self._algorithm.ask(min(self._population, end - self._asked))
        self.exhausted = not asked
        if asked:
            self._asked += len(asked)
            out = self._ids_in_flight() | self._expected
            self._in_flight.append(asked)
            self._queue.extend(a for a in dict.fromkeys(asked) if a.id not in self._known and a.id not in out)

    def _tell(self, asked: list[Architecture]) -> None:
        scored = [self._known[a.id] for a in asked]
        for done in {a.id for a in asked} - self._ids_in_flight():
            del self._known[done]
        self._algorithm.tell(scored)
        self._told(self.generations, scored)
        self.generations += 1

    def _ids_in_flight(self) -> set[str]:
        return {architecture.id for generation in self._in_flight for architecture in generation}


def score_in_turn(
    loop: SearchLoop, score: Callable[[Architecture], Result], receive: Callable[[Iterable[Result]], None]
) -> Iterator[Result]:
    """Score one architecture after the other in this process, until the loop has no more.

    Args:
        loop: Started.
        score: Takes the scores of an architecture.
        receive: Gets the result of `score` and passes the scores on to the loop: `SearchLoop.receive` itself, or what
            records them first.

    Yields:
        Each result, after it was received.
    """
    while batch := loop.take(1):
        result = score(batch[0])
        receive([result])
        yield result


def generations(
    algorithm: Algorithm,
    score: Callable[[Architecture], Scores],
    *,
    population: int,
    evaluations: int,
    lookahead: int = 1,
) -> Iterator[Sequence[Scores]]:
    """Search in this process, without a record; yield each generation's scores, in the order of asking."""
    told: deque[Sequence[Scores]] = deque()
    loop = SearchLoop(
        algorithm,
        population=population,
        evaluations=evaluations,
        lookahead=lookahead,
        known=(),
        told=lambda _, scored: told.append(scored),
    )
    loop.start()
    for _ in score_in_turn(loop, score, loop.receive):
        while told:
            yield told.popleft()
