"""The mean over the images of their gradients."""

import torch
from torch import Tensor

RECENT = 0.5  # of the layers whose mean is known: those where its part has settled


class GradientMean:
    """Sets the mean of the rows (N, elements) of one weight after the other, from the last layer to the first.

    Where the mean is not known it is made as large against the rows' spread as in the last layers where it is:
    its part |mean|^2 / sum_i |row_i - mean|^2 settles on the way back, since one backward pass carries both.
    """

    def __init__(self) -> None:
        self._known: list[Tensor] = []  # squared mean and spread

    def set(self, rows: Tensor, total: Tensor) -> None:
        """Gives `rows` the mean total / N, in place."""
        mean, known = rows.mean(0), total[0] / len(rows)
        self._known.append(torch.stack([_square(known), _spread(rows, mean)]))
        rows += known - mean

    def guess(self, rows: Tensor) -> None:
        """Keeps the direction of the mean of `rows` and gives it the size that it should have, in place."""
        if self._known:
            square, spread = torch.stack(self._known[int((1 - RECENT) * len(self._known)) :]).sum(0)
            mean = rows.mean(0)
            factor = (square / spread * _spread(rows, mean) / _square(mean)).sqrt()
            rows += mean * (factor.nan_to_num(1, 1) - 1)


def _spread(rows: Tensor, mean: Tensor) -> Tensor:
    return (_square(rows) - len(rows) * _square(mean)).clamp_min(0)


def _square(tensor: Tensor) -> Tensor:
    return tensor.flatten() @ tensor.flatten()
