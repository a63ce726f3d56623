"""Correction of the mean over the images of per-image gradients."""

import torch
from torch import Tensor

RECENT = 0.5  # fraction of the weights with a known mean, the last ones, among which the ratio has settled


class GradientMean:
    """Corrects the mean of the gradient rows (N, elements) weight by weight, from the last layer to the first.

    A mean that is not known is rescaled so that its ratio to the spread of the rows, |mean|^2 / sum_i |row_i - mean|^2,
    equals that of the last weights whose mean is known. The ratio settles during the backward pass, because a single
    pass propagates both.
    """

    def __init__(self) -> None:
        self._known: list[Tensor] = []  # (squared mean, spread) of each weight with a known mean
        self._ratio: Tensor | None = None  # that of the last ones, until another mean is known

    def set(self, rows: Tensor, total: Tensor) -> None:
        """Replace the mean of `rows` by total / N, in place."""
        mean, known = rows.mean(0), total[0] / len(rows)
        self._known.append(torch.stack([_square(known), _spread(rows, _square(mean))]))
        self._ratio = None
        rows += known - mean

    def extrapolate(self, rows: Tensor) -> None:
        """Rescale the mean of `rows` to the extrapolated ratio, in place; its direction is kept."""
        if self._known:
            if self._ratio is None:
                square, spread = torch.stack(self._known[int((1 - RECENT) * len(self._known)) :]).sum(0)
                self._ratio = square / spread
            mean = rows.mean(0)
            square = _square(mean)
            factor = (self._ratio * _spread(rows, square) / square).sqrt()
            rows += mean * (factor.nan_to_num(1, 1) - 1)


def _spread(rows: Tensor, square_of_mean: Tensor) -> Tensor:
    return (_square(rows) - len(rows) * square_of_mean).clamp_min(0)


def _square(tensor: Tensor) -> Tensor:
    return tensor.flatten() @ tensor.flatten()
