"""Search spaces without networks, for known landscapes."""

import pytest
from optuna.distributions import IntDistribution

from zenfront.spaces import Architecture, Network, Space, Task

LEVELS = 10


def _nothing(architecture: Architecture, task: Task) -> Network:
    raise AssertionError("nothing is built here")


@pytest.fixture
def lattice() -> Space:
    """Eight genes with values 0 .. 9."""
    genes = {f"x{i}": IntDistribution(0, LEVELS - 1) for i in range(8)}
    return Space("lattice", genes, _nothing, "eight genes of ten levels")


@pytest.fixture
def triangle() -> Space:
    """Two genes with values 0 .. 20."""
    return Space("triangle", {name: IntDistribution(0, 20) for name in "ab"}, _nothing, "two genes of 21 levels")
