"""Results of the passes, read from the device once: each reading waits for all that the device has been given."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import groupby

import torch
from torch import Tensor


def to_host(*tensors: Tensor) -> list[Tensor]:
    """Copy tensors to the CPU in one transfer, for which the device is waited for once.

    Args:
        tensors: Tensors of any shape and dtype, whose values float64 can represent.

    Returns:
        The tensors in float64, each in its shape.
    """
    flat = torch.cat([tensor.detach().flatten().double() for tensor in tensors]).cpu()
    parts = torch.split(flat, [tensor.numel() for tensor in tensors])
    return [part.view(tensor.shape) for part, tensor in zip(parts, tensors, strict=True)]


def numbers(scalars: Sequence[Tensor]) -> list[float]:
    """Return the values of scalars of one dtype, for which the device is waited for once; [] if there are none."""
    return torch.stack(list(scalars)).detach().double().tolist() if scalars else []


def by_shape(function: Callable[[Tensor], Tensor], matrices: Iterable[Tensor], elements: int = 2**22) -> list[Tensor]:
    """Apply a function of matrices (k, ...) -> (k, ...) to matrices, those of one shape together.

    A decomposition waits for the device once for each call.

    Args:
        function: Function of a batch whose results do not depend on each other.
        matrices: Matrices on one device.
        elements: Number of elements above which a batch is divided.
    """
    given = list(enumerate(matrices))
    results: dict[int, Tensor] = {}

    def part(each: tuple[int, tuple[int, Tensor]]) -> Hashable:
        place, (_, matrix) = each
        return matrix.shape, place * matrix.numel() // elements

    for _, same in groupby(sorted(given, key=lambda each: each[1].shape), key=lambda each: each[1].shape):
        for _, some in groupby(enumerate(same), key=part):
            batch = [each for _, each in some]
            together = function(torch.stack([matrix for _, matrix in batch]))
            results |= {place: one for (place, _), one in zip(batch, together, strict=True)}
    return [results[place] for place, _ in given]
