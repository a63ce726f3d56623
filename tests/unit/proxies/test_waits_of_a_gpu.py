"""Values that a proxy computes on a GPU are read once: waits are counted on the CPU, and do not grow with depth."""

from unittest.mock import patch

import pytest
import torch

from zenfront import spaces
from zenfront.pipeline import proxies
from zenfront.pipeline.proxies import Batch, _state
from zenfront.pipeline.proxies._host import by_shape, to_host
from zenfront.spaces import Network, Task
from zenfront.testing._networks import batch_of, generator, ready
from zenfront.testing._operators import counted_operators

TASK = Task(3, 8, 8, 4)
SPACE = spaces.load("anynet3")
WAITS = {
    "ntk": 2,  # the largest eigenvector is needed before the last pass
    "az_expressivity": 4,  # one for the eigenvalues of all blocks of the same width
    "az_progressivity": 4,
    "az_trainability": 6,
    "meco": 3,
}
"""Waits of the proxies that need more than one."""
NAMES = [name for name in proxies.names() if not (proxies.load(name).is_cost or proxies.load(name).measured)]


def _network(depth: int) -> Network:
    stages = (f"d{i}={depth},w{i}={w},b{i}=1,g{i}=8" for i, w in ((1, 8), (2, 16), (3, 16)))
    return SPACE.network(SPACE.architecture(SPACE.parse(",".join(stages))), TASK)


def _waits(name: str, depth: int, batch: Batch) -> dict[str, int]:
    proxy = proxies.load(name)
    network = ready(proxy, _network(depth))
    # A generator on a GPU gives no number for the seed; one on the CPU does, which is no wait for a GPU.
    with patch.object(_state, "_draw_seed", return_value=0), counted_operators() as found:
        proxy.score(network, batch, generator())
    return dict(found.waits)


@pytest.mark.parametrize("name", NAMES)
def test_a_proxy_waits_once_or_says_why_not(name: str) -> None:
    batch = batch_of(8)
    shallow, deep = (sum(_waits(name, depth, batch).values()) for depth in (2, 4))
    assert deep == shallow
    assert 0 < deep <= WAITS.get(name, 1), _waits(name, 4, batch)


def test_every_kind_of_wait_is_counted() -> None:
    x = torch.arange(4.0)
    with counted_operators() as found:
        assert x.sum() > 0
        assert float(x[1]) == x.tolist()[1] == 1
        x[x > 1].cpu().numpy()
        torch.equal(x, x)
        torch.linalg.eigvalsh(torch.outer(x, x))
    expected = {"is_nonzero": 0, "_local_scalar_dense": 2, "tolist": 1, "index": 1, "cpu": 1, "equal": 1}
    assert {name: found.waits[name] for name in expected} == expected
    assert found.waits["_linalg_eigh"] == 1


def test_what_is_on_the_host_needs_no_waiting_and_no_kernel() -> None:
    x = torch.arange(4.0)
    with counted_operators() as found:
        (there,) = to_host(x)
        assert float(there.square().sum()) == 14
        assert there.isfinite().all()
    assert dict(found.waits) == {"cpu": 1}
    assert set(found.launches) <= {"_to_copy", "cat", "clone"}


def test_tensors_arrive_on_the_host_with_their_shapes_and_values() -> None:
    first, second = torch.tensor([[1.5, -2.0], [0.1, 3.0]]), torch.tensor([True, False])
    a, b = to_host(first, second)
    assert torch.equal(a, first.double())
    assert b.tolist() == [1.0, 0.0]


@pytest.mark.parametrize("elements", [1, 9, 2**22])
def test_matrices_of_one_shape_are_decomposed_together_and_come_back_in_order(elements: int) -> None:
    matrices = [torch.eye(n) * k for k, n in enumerate((3, 2, 3, 1, 2, 3), start=1)]
    calls: list[torch.Size] = []

    def decompose(batch: torch.Tensor) -> torch.Tensor:
        calls.append(batch.shape)
        values: torch.Tensor = torch.linalg.eigvalsh(batch)
        return values

    values = by_shape(decompose, matrices, elements)
    assert [each.tolist() for each in values] == [[k] * n for k, n in enumerate((3, 2, 3, 1, 2, 3), start=1)]
    assert len(calls) == {1: 6, 9: 5, 2**22: 3}[elements]
