from collections.abc import Sequence

from zenfront import spaces
from zenfront.pipeline.algorithms import FixedList
from zenfront.pipeline.results.stage_rows import Scores
from zenfront.pipeline.seeds import numpy_generator
from zenfront.pipeline.stages.search.loop import SearchLoop

SPACE = spaces.load("anynet3")


def test_the_loop_hands_out_the_list_in_its_order_and_ends() -> None:
    rng = numpy_generator(0, "given")
    given = list({a.id: a for a in (SPACE.sample(rng) for _ in range(7))}.values())
    told: list[str] = []

    def tell(number: int, scored: Sequence[Scores]) -> None:
        told.extend(s.architecture.id for s in scored)

    loop = SearchLoop(FixedList(given), population=3, evaluations=len(given), lookahead=1, known=[], told=tell)
    loop.start()
    taken = []
    while not loop.done:
        batch = loop.take(2)
        taken += batch
        loop.receive([Scores(a, {"flops": 1.0}, None, 0) for a in batch])
    assert taken == given
    assert told == [a.id for a in given]
