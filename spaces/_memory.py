"""Memory of networks: parameters and buffers side by side, allocated, filled and copied to a device together."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

Owner = dict[str, Tensor | None] | dict[str, nn.Parameter | None]
ALIGNED = 64
"""Each tensor begins at a multiple of this number of elements, as it would in memory of its own."""


@dataclass
class Place:
    """A parameter or buffer of a module.

    Attributes:
        owner: Parameters or buffers of the module, by name.
        name: Name of this one.
        like: The tensor as it was before: its shape, dtype and kind.
        value: Value that all elements begin with; None: another one.
        scale: Factor of drawn numbers; None: they are not drawn together.
    """

    owner: Owner
    name: str
    like: Tensor
    value: float | None = None
    scale: float | None = None

    def put(self, memory: Tensor) -> None:
        """Let the tensor lie in the first elements of a piece of memory."""
        # `data`: with a version of its own, or a batch norm that updates its statistics would seem to change weights.
        tensor = memory[: self.like.numel()].view(self.like.shape).data
        set_tensor(self.owner, self.name, tensor)

    @property
    def tensor(self) -> Tensor:
        """The tensor as it is."""
        tensor = self.owner[self.name]
        assert tensor is not None
        return tensor

    @property
    def order(self) -> int:
        """Tensors of the same value lie next to each other, and those that are drawn."""
        return 0 if self.value else 1 if self.value == 0 else 2 if self.scale else 3


def set_tensor(owner: Owner, name: str, tensor: Tensor) -> None:
    """Replace a parameter or buffer by another tensor; a parameter stays one."""
    like = owner[name]
    is_parameter = isinstance(like, nn.Parameter)
    owner[name] = nn.Parameter(tensor, like.requires_grad) if is_parameter else tensor  # type: ignore[assignment, union-attr]


@dataclass
class Memory:
    """Memory of some tensors of one dtype.

    Attributes:
        places: The tensors, by `Place.order`.
        flat: The memory.
    """

    places: Sequence[Place]
    flat: Tensor = field(init=False)

    @staticmethod
    def of(places: Iterable[Place]) -> "Sequence[Memory]":
        """Return a memory for each dtype."""
        groups: dict[torch.dtype, list[Place]] = {}
        for place in places:
            groups.setdefault(place.like.dtype, []).append(place)
        return [Memory(sorted(group, key=lambda place: place.order)) for group in groups.values()]

    def allocate(self, device: torch.device, *, pinned: bool) -> None:
        """Allocate the memory, and fill it where a value is known.

        Args:
            device: Device of the memory.
            pinned: Whether a GPU will copy the memory, which it does without waiting if it cannot be swapped out.
        """
        size = sum(self._sizes())
        self._put(torch.empty(size, dtype=self.places[0].like.dtype, device=device, pin_memory=pinned))
        ones, zeros, _ = self._bounds()
        self.flat[:ones].fill_(1)
        self.flat[ones:zeros].zero_()

    def move(self, device: torch.device) -> None:
        """Copy the memory to a device; from pinned memory without waiting."""
        self._put(self.flat.to(device, non_blocking=True))

    def draw(self, generator: torch.Generator, *, uniform: bool) -> None:
        """Draw the tensors that have a scale, all in one call: uniform in [-scale, scale], or normal."""
        _, start, end = self._bounds()
        drawn = [place for place in self.places if place.order == 2]
        if not drawn:
            return
        memory = self.flat[start:end]
        memory.uniform_(-1, 1, generator=generator) if uniform else memory.normal_(generator=generator)
        torch._foreach_mul_([place.tensor.data for place in drawn], [place.scale or 0.0 for place in drawn])

    def _put(self, flat: Tensor) -> None:
        self.flat = flat
        for place, memory in zip(self.places, torch.split(flat, self._sizes()), strict=True):
            place.put(memory)

    def _sizes(self) -> list[int]:
        return [-(-place.like.numel() // ALIGNED) * ALIGNED for place in self.places]

    def _bounds(self) -> list[int]:
        """Return where the ones end, the zeros, and what is drawn."""
        sizes = list(zip(self.places, self._sizes(), strict=True))
        return [sum(size for place, size in sizes if place.order <= order) for order in range(3)]
