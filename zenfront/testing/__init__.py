"""Contract tests as pytest classes: what a search space, proxy, algorithm, scheduler or training function must keep.

Inherit a class and define its fixture; pytest then runs every test of the contract on your object::

    import pytest
    from zenfront.testing import SpaceTestCase
    from my_spaces.tinynet import SPACE

    class TestTinynet(SpaceTestCase):
        @pytest.fixture
        def space(self):
            return SPACE

Zenfront's own tests run the same classes on everything that it ships. They need pytest, which is not installed with
Zenfront: ``pip install zenfront[testing]``.
"""

import pytest

_MODULES = ("algorithms", "networks", "proxies", "schedulers", "space_checks", "spaces", "traces", "training")
pytest.register_assert_rewrite(*(f"zenfront.testing._{name}" for name in _MODULES))

from zenfront.testing._algorithms import AlgorithmTestCase  # noqa: E402 - after the rewriting of asserts
from zenfront.testing._proxies import ProxyTestCase  # noqa: E402
from zenfront.testing._schedulers import SchedulerTestCase  # noqa: E402
from zenfront.testing._spaces import SpaceTestCase  # noqa: E402
from zenfront.testing._training import TrainingFunctionTestCase  # noqa: E402

__all__ = ["AlgorithmTestCase", "ProxyTestCase", "SchedulerTestCase", "SpaceTestCase", "TrainingFunctionTestCase"]
