"""Every scheduler keeps the contract of `zenfront.testing`. A new scheduler is covered by being there."""

import pytest

from zenfront.pipeline import schedulers
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.schedulers import MakeScheduler
from zenfront.testing import SchedulerTestCase


class TestEveryScheduler(SchedulerTestCase):
    @pytest.fixture(params=schedulers.names())
    def name(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture
    def scheduler(self, name: str) -> MakeScheduler:
        return schedulers.load(name)

    @pytest.fixture
    def finished_of_equals(self, name: str) -> int:
        # Rungs 1, 3, 9: synchronous halving keeps ceil(n / 3) all the same, 31 -> 11 -> 4 -> 2.
        return {"successive_halving": 2}.get(name, 31)


def test_a_wrong_name_lists_the_known_ones() -> None:
    with pytest.raises(UserError, match="asha, fifo, successive_halving"):
        schedulers.load("hyperbandd")
