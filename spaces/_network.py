"""The network class that spaces build and proxies score."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor, nn


class Network(nn.Module):
    """A network of features and a head, which is all that proxies require.

    Attributes:
        features: Module (N, C, H, W) -> (N, C', H', W').
        head: Module (N, C', H', W') -> (N, K) logits.
        allows_in_place: Whether ReLUs of the network's containers may overwrite their input: nothing else reads it.
    """

    allows_in_place = True

    def __init__(self, features: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.features = features
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits (N, K) of images (N, C, H, W)."""
        return self.head(self.features(x))  # type: ignore[no-any-return]

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """The blocks of the features, in call order: their direct children."""
        return list(self.features.children())


class Auxiliary(nn.Module):
    """Base class of structures beside the main path (shortcut, squeeze-and-excitation) that a score may disable."""

    active = True


@contextmanager
def without_auxiliaries(network: nn.Module) -> Iterator[None]:
    """Disable shortcuts and squeeze-and-excitation, as the definitions of Zen-score and ZiCo require."""
    changed = [module for module in network.modules() if isinstance(module, Auxiliary) and module.active]
    for module in changed:
        module.active = False
    try:
        yield
    finally:
        for module in changed:
            module.active = True
