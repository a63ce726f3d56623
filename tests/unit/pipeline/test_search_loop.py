"""The search loop: results in the order of proposal, resuming by replay, and isolation of candidates that crash."""

import weakref
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zenfront import spaces
from zenfront.pipeline.results.stage_rows import Scores
from zenfront.pipeline.seeds import numpy_generator
from zenfront.pipeline.stages.search.loop import TRIES_ALONE, SearchLoop, trial_size
from zenfront.spaces import Architecture

SPACE = spaces.load("anynet3")


def scored(architecture: Architecture) -> Scores:
    return Scores(architecture, {"flops": float(int(architecture.id, 16) % 1000)}, None, 0)


class Recorder:
    """An algorithm that breeds from all reported scores and records its calls."""

    def __init__(self, limit: int = 10**9) -> None:
        self.protocol: list[tuple[str, list[str]]] = []
        self.sum = 0.0
        self.left = limit

    def ask(self, count: int) -> list[Architecture]:
        rng = numpy_generator(0, str(self.sum), str(len(self.protocol)))
        asked = [SPACE.sample(rng) for _ in range(min(count, self.left))]
        self.left -= len(asked)
        self.protocol.append(("ask", [a.id for a in asked]))
        return asked

    def tell(self, scored: Sequence[Scores]) -> None:
        self.sum += sum(s.values.get("flops", 0.0) for s in scored)
        self.protocol.append(("tell", [s.architecture.id for s in scored]))


def loop_over(
    recorder: Recorder, lookahead: int = 1, known: Sequence[Scores] = (), evaluations: int = 23
) -> SearchLoop:
    loop = SearchLoop(
        recorder, population=5, evaluations=evaluations, lookahead=lookahead, known=known, told=lambda *_: None
    )
    loop.start()
    return loop


def finish(loop: SearchLoop, order: Sequence[int] = (0,), size: int = 1) -> list[Scores]:
    """Score everything; `order` selects which of the batches in flight returns next."""
    out: list[list[Architecture]] = []
    results: list[Scores] = []
    turn = 0
    while not loop.done:
        while batch := loop.take(size):
            out.append(batch)
        batch = out.pop(order[turn % len(order)] % len(out))
        turn += 1
        results += map(scored, batch)
        loop.receive(map(scored, batch))
    return results


@given(st.integers(1, 4), st.lists(st.integers(0, 20), min_size=1, max_size=12), st.integers(1, 7))
def test_calls_do_not_depend_on_the_order_of_finishing_or_on_batches(
    lookahead: int, order: list[int], size: int
) -> None:
    one, other = Recorder(), Recorder()
    finish(loop_over(one, lookahead))
    finish(loop_over(other, lookahead), order, size)
    assert one.protocol == other.protocol
    assert sum(len(ids) for call, ids in one.protocol if call == "ask") == 23


@given(st.integers(1, 3), st.sets(st.integers(0, 22)))
def test_a_search_resumed_from_any_part_of_its_record_proposes_the_same(lookahead: int, kept: set[int]) -> None:
    whole, resumed = Recorder(), Recorder()
    results = finish(loop_over(whole, lookahead), [3, 1, 2])
    known = [results[i] for i in kept]
    again = finish(loop_over(resumed, lookahead, known), [1, 0])
    assert resumed.protocol == whole.protocol
    asked = {s.architecture.id for s in results}
    assert {s.architecture.id for s in again} == asked - {s.architecture.id for s in known}


@given(st.integers(1, 3), st.integers(1, 7))
def test_an_architecture_that_is_asked_again_before_it_is_told_is_scored_once(lookahead: int, size: int) -> None:
    class Repeating(Recorder):
        def ask(self, count: int) -> list[Architecture]:
            asked = [SPACE.sample(numpy_generator(0, str(i % 2))) for i in range(min(count, self.left))]
            self.left -= len(asked)
            return asked

    repeating = Repeating()
    loop = loop_over(repeating, lookahead, evaluations=5 * lookahead)
    assert len(finish(loop, size=size)) == 2
    told = [identity for _, ids in repeating.protocol for identity in ids]
    assert told == [SPACE.sample(numpy_generator(0, str(i % 5 % 2))).id for i in range(5 * lookahead)]


def test_lookahead_asks_before_the_last_generation_is_reported() -> None:
    recorder = Recorder()
    loop = loop_over(recorder, lookahead=2)
    assert [call for call, _ in recorder.protocol] == ["ask", "ask"]
    second = [loop.take(5), loop.take(5)][1]
    loop.receive(map(scored, second))
    assert [call for call, _ in recorder.protocol] == ["ask", "ask"], "the second waits for the first"


def test_a_finished_record_is_done_at_once() -> None:
    results = finish(loop_over(Recorder()))
    loop = loop_over(Recorder(), known=results)
    assert loop.done
    assert not loop.take(10)


def test_an_exhausted_space_ends_the_search() -> None:
    loop = loop_over(Recorder(limit=7))
    assert len(finish(loop)) == 7
    assert loop.exhausted


@given(st.integers(0, 4), st.integers(1, 5))
def test_the_culprit_is_found_and_the_others_are_scored(position: int, size: int) -> None:
    loop = loop_over(Recorder(), evaluations=5)
    deaths: Counter[str] = Counter()
    asked = loop.take(5)
    culprit = asked[position]
    groups = [asked[i : i + size] for i in range(0, 5, size)]
    while not loop.done:
        group = groups.pop() if groups else loop.take(5)
        if culprit not in group:
            loop.receive(map(scored, group))
            continue
        deaths.update(a.id for a in group if len(group) == 1)
        if found := loop.worker_died(group):
            assert found == culprit
            loop.receive([Scores(culprit, {}, "its worker died", 0)])
    assert deaths == {culprit.id: TRIES_ALONE}


def test_a_candidate_to_be_scored_again_comes_next_and_alone() -> None:
    loop = loop_over(Recorder(), evaluations=5)
    first, second, *others = loop.take(3)
    loop.again(second)
    assert loop.take(5) == [second]
    assert not {first, second, *others} & set(loop.take(5))


def test_a_death_without_unreported_candidates_has_no_effect() -> None:
    loop = loop_over(Recorder())
    assert loop.worker_died([]) is None
    assert loop.waiting == 5


@pytest.mark.parametrize("lookahead", [1, 2])
def test_generations_are_numbered_in_the_order_of_reporting(lookahead: int) -> None:
    told: list[int] = []
    loop = SearchLoop(
        Recorder(), population=5, evaluations=12, lookahead=lookahead, known=(), told=lambda n, _: told.append(n)
    )
    loop.start()
    finish(loop)
    assert told == [0, 1, 2]


def test_reported_scores_are_released() -> None:
    loop = loop_over(Recorder())
    kept: list[weakref.ref[Scores]] = []
    while batch := loop.take(5):
        results = [scored(architecture) for architecture in batch]
        kept += map(weakref.ref, results)
        loop.receive(results)
    del results
    assert len(kept) == 23
    assert [ref for ref in kept if ref() is not None] == []


@given(st.integers(1, 5000), st.integers(1, 600), st.floats(1e-3, 1e5))
def test_a_trial_lasts_at_least_its_overhead_and_at_most_its_limit(waiting: int, workers: int, rate: float) -> None:
    size = trial_size(waiting, workers, rate)
    assert size >= 1
    assert size == 1 or size / rate >= max(0.05, 0.015 * workers) - 0.5 / rate, "less work than Tune takes for it"
    assert size == 1 or size / rate <= max(4.0, 0.1 * workers) + 0.5 / rate


def test_a_generation_is_shared_among_the_workers() -> None:
    assert trial_size(64, 8, rate=10.0) == 8
    assert trial_size(64, 8, rate=None) == 4, "nothing is known yet"
    assert trial_size(3, 8, rate=None) == 1
    assert trial_size(64, 2, rate=2.0) == 8, "four seconds"
    assert trial_size(10_000, 100, rate=1.0) == 10, "ten seconds: a tenth a worker"
    assert trial_size(5, 2, rate=1000.0) == 50, "all that is left, in one trial"
