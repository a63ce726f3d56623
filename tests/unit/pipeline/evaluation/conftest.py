from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest

from zenfront import spaces
from zenfront.pipeline.evaluation.sample import Sample
from zenfront.pipeline.evaluation.truth_table import TruthTable
from zenfront.pipeline.seeds import numpy_generator
from zenfront.spaces import Task

MakeSample = Callable[[Sequence[float], Mapping[str, Sequence[float]]], Sample]


@pytest.fixture
def make_sample() -> MakeSample:
    """Return a function of accuracies and scores to a sample of random architectures."""
    space = spaces.load("anynet3")

    def make(accuracy: Sequence[float], scores: Mapping[str, Sequence[float]]) -> Sample:
        rng = numpy_generator(0, "architectures")
        truth = TruthTable(
            [space.sample(rng) for _ in accuracy],
            np.array(accuracy, dtype=float),
            np.empty((len(accuracy), 0)),
            "accuracy",
        )
        task = Task(3, 32, 32, 10)
        return Sample(space, task, truth, {name: np.array(values, dtype=float) for name, values in scores.items()})

    return make
