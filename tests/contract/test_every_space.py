"""Every search space keeps the contract of `zenfront.testing`. A new space is covered by being there."""

import json
import os
import subprocess
import sys

import pytest

from zenfront import spaces
from zenfront.pipeline import proxies
from zenfront.pipeline.scoring import noise_batch
from zenfront.pipeline.seeds import numpy_generator, torch_generator
from zenfront.spaces import Space
from zenfront.testing import SpaceTestCase
from zenfront.testing._space_checks import assert_legal, samples, valid_samples

IDS = """
import json
from zenfront import spaces
from zenfront.pipeline.seeds import numpy_generator
print(json.dumps({
    name: [space.sample(numpy_generator(4, name, "ids", str(i))).id for i in range(20)]
    for name in spaces.names() for space in [spaces.load(name)]
}))
"""


@pytest.fixture(scope="module")
def ids_elsewhere() -> dict[str, list[str]]:
    """Ids of all spaces, drawn in one process under another hash seed."""
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    command = [sys.executable, "-c", IDS]
    return dict(json.loads(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout))


class TestEverySpace(SpaceTestCase):
    @pytest.fixture(params=spaces.names())
    def space(self, request: pytest.FixtureRequest) -> Space:
        return spaces.load(request.param)

    def test_its_name_is_its_module(self, space: Space) -> None:
        assert space.name in spaces.names()
        assert spaces.load(space.name) is space

    def test_an_outline_has_the_costs_of_the_network(self, space: Space) -> None:
        empty = noise_batch(self.task, 2, 0).to("meta")
        costs = [proxy for proxy in map(proxies.load, proxies.names()) if proxy.adds_up]
        for architecture in valid_samples(space, 2, "outline", self.task):
            network, outline = space.network(architecture, self.task), space.outline(architecture, self.task)
            for cost in costs:
                expected = cost.score(network, empty, torch_generator(0, "cost"))
                assert cost.score(outline, empty, torch_generator(0, "cost")) == expected, cost.name

    def test_ids_are_equal_in_another_process(  # type: ignore[override]
        self, space: Space, ids_elsewhere: dict[str, list[str]]
    ) -> None:
        here = [space.sample(numpy_generator(4, space.name, "ids", str(i))).id for i in range(20)]
        assert here == ids_elsewhere[space.name]

    @pytest.mark.slow
    def test_thirty_samples_build(self, space: Space) -> None:
        for architecture in samples(space, 30, "legal"):
            assert_legal(space, architecture, self.task)
