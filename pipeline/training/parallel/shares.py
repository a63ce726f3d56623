"""Shares of the mini-batches, one for each of the processes that train a network together."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zenfront.pipeline.training.parallel.ranks import ALONE, Ranks


@dataclass(frozen=True)
class Share:
    """The images of each mini-batch that a rank trains on: nearly equal shares of the parts of `recipe.accumulate`.

    Attributes:
        ranks: The processes that share a mini-batch.
        size: Number of images in a mini-batch.
        accumulate: Number of parts in which it passes through the network.
    """

    ranks: Ranks
    size: int
    accumulate: int = 1

    @cached_property
    def _parts(self) -> list[np.ndarray]:
        parts = _parts(self.size, self.accumulate)
        return [np.array_split(part, self.ranks.count)[self.ranks.rank] for part in parts]

    @cached_property
    def rows(self) -> np.ndarray:
        """Indices (n,) of the images of this rank, from 0 to `size` - 1."""
        return np.concatenate(self._parts)

    def parts(self, own: Tensor) -> tuple[Tensor, ...]:
        """Return the parts, (n_i, ...) each, of the rows (n, ...) of this rank."""
        return torch.split(own, [len(part) for part in self._parts])

    def of_each(self, order: Tensor) -> Tensor:
        """Return the part of this rank of an order of images (N,), N a multiple of `size`: mini-batch by mini-batch."""
        return order if self._is_all else order.view(-1, self.size)[:, self.rows].flatten()

    def draws(self, generator: np.random.Generator) -> np.random.Generator:
        """Return a generator that draws for all images of a mini-batch, and returns the numbers of this rank's."""
        return generator if self._is_all else _OwnDraws(generator, self)

    def gathered(self, own: Tensor) -> Tensor:
        """Return the rows (`size`, ...) of all ranks, given those (n, ...) of this one."""
        if self._is_all:
            return own
        whole = own.new_zeros((self.size, *own.shape[1:]))
        whole[self.rows] = own
        self.ranks.add(whole)
        return whole

    def own(self, whole: Tensor) -> Tensor:
        """Return the rows of this rank (n, ...), given those (`size`, ...) of all."""
        return whole if self._is_all else whole[self.rows]

    @property
    def _is_all(self) -> bool:
        return self.ranks.count == 1


def misfit(size: int, accumulate: int, count: int) -> str | None:
    """Return why a mini-batch of that size cannot be shared by that number of ranks, or None."""
    least = min(len(part) for part in _parts(size, accumulate))
    if least >= count:
        return None
    divided = f" in {accumulate} parts (accumulate), of which the smallest has {least}," if accumulate > 1 else ""
    return f"a mini-batch of {size} images{divided} is too small for {count} devices: each must get an image of it"


def whole(size: int, accumulate: int) -> Share:
    """Return the share of a process that trains alone."""
    return Share(ALONE, size, accumulate)


def _parts(size: int, accumulate: int) -> tuple[np.ndarray, ...]:
    """Return the indices of the parts of a mini-batch, divided as `torch.chunk` does."""
    return tuple(part.numpy() for part in torch.arange(size).chunk(accumulate))


_SIZE_AT = {"integers": 2, "uniform": 2, "normal": 2, "beta": 2, "random": 0}
"""Position of the argument `size` of the methods of a NumPy generator that augmentation can use."""


class _OwnDraws(np.random.Generator):
    """Generator of the whole mini-batch that returns the numbers of this rank's images.

    The last axis of `size` counts images. Numbers that are drawn without a size are those of the whole mini-batch.
    Other methods than those of `_SIZE_AT` are refused: they would draw other numbers in each rank.
    """

    def __init__(self, generator: np.random.Generator, share: Share) -> None:
        super().__init__(generator.bit_generator)
        self._share = share
        for name in (name for name in dir(generator) if not name.startswith("_")):
            draw = getattr(generator, name)
            if name in _SIZE_AT:
                setattr(self, name, partial(self._own, draw, _SIZE_AT[name]))
            elif callable(draw) and name not in ("bit_generator", "spawn"):
                setattr(self, name, partial(_refused, name))

    def _own(self, draw: Callable[..., Any], size_at: int, *given: Any, **named: Any) -> Any:
        size = named.pop("size", None) if len(given) <= size_at else given[size_at]
        if size is None:
            return draw(*given, **named)
        *others, count = (size,) if isinstance(size, int) else size
        if count != len(self._share.rows):
            raise ValueError(f"the last axis of `size` must be the {len(self._share.rows)} images, but got {size}")
        return draw(*given[:size_at], size=(*others, self._share.size), **named)[..., self._share.rows]


def _refused(name: str, *given: Any, **named: Any) -> Any:
    raise NotImplementedError(f"a share of a mini-batch cannot be augmented with Generator.{name}")
