"""Per-image gradients of a convolution are the same by every path; the one for GPUs takes few kernels."""

import pytest
import torch

from zenfront.pipeline.proxies._patches import Patches
from zenfront.testing._networks import generator
from zenfront.testing._operators import counted_operators

GEOMETRIES = [  # kernel, stride, padding, dilation, groups
    ((3, 3), 1, 1, 1, 1),
    ((3, 3), 2, 1, 1, 2),
    ((5, 5), 1, 2, 1, 4),
    ((3, 3), 1, 2, 2, 1),
    ((1, 3), (2, 1), (0, 1), (1, 1), 4),
    ((1, 1), 2, 1, 1, 1),
    ((3, 3), 1, "same", 2, 2),
]


@pytest.mark.parametrize(("kernel", "stride", "padding", "dilation", "groups"), GEOMETRIES)
def test_unfolded_patches_give_the_gradient_of_every_image(
    kernel: tuple[int, int], stride: int, padding: int | str, dilation: int, groups: int
) -> None:
    x = torch.randn(5, 4, 9, 8, generator=generator(), dtype=torch.float64)
    weight = torch.randn(8, 4 // groups, *kernel, generator=generator(), dtype=torch.float64).requires_grad_()
    z = torch.conv2d(x, weight, None, stride, padding, dilation, groups)
    dz = torch.randn(z.shape, generator=generator(), dtype=torch.float64)
    expected = [torch.autograd.grad((z[n] * dz[n]).sum(), weight, retain_graph=True)[0] for n in range(len(x))]
    patches = Patches.of(weight.detach(), stride, padding, dilation, groups)
    with counted_operators() as found:
        rows = patches._per_image_unfolded(x, dz)
    for row, gradient in zip(rows, expected, strict=True):
        torch.testing.assert_close(row, Patches.rows_of(gradient))
    assert found.launches.total() <= 4
