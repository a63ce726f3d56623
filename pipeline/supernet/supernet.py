"""A supernet: one set of weights, and the network of each architecture built upon it."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

import torch
from torch import nn

from zenfront import spaces
from zenfront.pipeline.errors import ScoreUndefined, UserError
from zenfront.pipeline.experiment.supernet_config import Norm
from zenfront.pipeline.supernet.share_rule import ShareRule
from zenfront.spaces import Architecture, Network, Space, Task, initialise

KEPT = 512
"""Networks that are kept without their weights; those of more architectures are built again when they are needed."""


class Supernet(nn.Module):
    """Weights shared by the networks of several architectures.

    The layers with weights or statistics are held once each. The network of an architecture is the one that the space
    builds, with these layers in place of its own: it computes what the architecture's own network computes with the
    same weights.

    Args:
        space: Space of the architectures; it says which layers of two architectures share (`Space.sharing`).
        task: Task of the networks.
        architectures: Architectures, each once.
        norm: Batch normalisation.
        share: Rule of `Setting.share`.

    Attributes:
        layers: The layers by a name that has their place, kind and shape; on the meta device until `initialise`.

    Raises:
        UserError: The space has no shared choices, an architecture cannot be built for the task, or the rule describes
            no layer.
    """

    def __init__(
        self,
        space: Space,
        task: Task,
        architectures: Sequence[Architecture],
        norm: Norm | None = None,
        share: str = "all",
    ) -> None:
        super().__init__()
        require_sharing(space)
        self.space, self.task, self.architectures = space, task, tuple(architectures)
        self._norm, self._rule = norm or Norm(), ShareRule(share)
        self.layers = nn.ModuleDict()
        self.path = lru_cache(maxsize=KEPT)(self._path)
        seen: dict[str, tuple[str, str, nn.Module]] = {}
        for child in self.architectures:
            for module, layer in _layers(self.path(child)):
                name = self._shared_name(child, module)
                seen[name] = name, module, layer
        if unused := self._rule.unused(list(seen.values())):
            raise UserError(
                f"supernet.share: no layer of space {space.name!r} is a {unused[0]!r} (share={share!r}). Known are "
                "conv, norm, linear, stem, head, genes and operations."
            )

    def _path(self, child: Architecture) -> Network:
        """Build the network of an architecture upon the shared layers."""
        network = self.space.network(child, self.task)
        for module, layer in list(_layers(network)):
            key = self._key(child, module, layer)
            if key not in self.layers:
                self.layers[key] = self._with_norm(layer)
            network.set_submodule(module, self.layers[key])
        return network

    def layers_of(self, network: Network, architecture: Architecture) -> Iterator[tuple[str, nn.Module]]:
        """Yield the name of each module with weights in the own network of an architecture, and its shared layer.

        Args:
            network: Network of the architecture; left as it is.
            architecture: Any architecture of the space, one of `architectures` or not.

        Raises:
            ScoreUndefined: There is no such layer: none of `architectures` has it.
        """
        for module, layer in list(_layers(network)):
            key = self._key(architecture, module, layer)
            if key not in self.layers:
                raise ScoreUndefined(
                    f"the supernet has no weights for {self._shared_name(architecture, module)}: none of the "
                    f"{len(self.architectures)} architectures that it was trained on has this layer"
                )
            yield module, self.layers[key]

    def _key(self, child: Architecture, module: str, layer: nn.Module) -> str:
        name = self._shared_name(child, module)
        owner = "" if self._rule.shares(name, module, layer) else f" of {child.id}"
        return f"{name}: {layer!r}{owner}".replace(".", "/")  # a dot would separate modules

    def _shared_name(self, child: Architecture, module: str) -> str:
        assert self.space.sharing is not None
        return self.space.sharing(child, module)

    def _with_norm(self, layer: nn.Module) -> nn.Module:
        if not isinstance(layer, nn.modules.batchnorm._BatchNorm):
            return layer
        if self._norm.momentum is not None:
            layer.momentum = self._norm.momentum
        if self._norm.affine is not None and self._norm.affine != layer.affine:
            layer.affine = self._norm.affine
            for name in ("weight", "bias"):
                value = nn.Parameter(torch.empty(layer.num_features, device="meta")) if layer.affine else None
                layer.register_parameter(name, value)
        if self._norm.statistics == "batch":
            layer.track_running_stats = False
            layer.running_mean = layer.running_var = layer.num_batches_tracked = None
        return layer

    def initialise(self, generator: torch.Generator, device: torch.device | str = "cpu") -> None:
        """Draw all weights, as `spaces.initialise` does for one network.

        The layers are drawn in the order in which the architectures need them: with one architecture, the weights are
        those that its own network gets from the same generator.
        """
        self.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # numbers are drawn in memory order
        initialise(Network(nn.ModuleList(self.layers.values()), nn.Identity()), generator, "kaiming", device)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def require_sharing(space: Space) -> None:
    """Require that a space says how its architectures share weights.

    Raises:
        UserError: It does not.
    """
    if space.sharing is None:
        known = [name for name in spaces.names() if spaces.load(name).sharing is not None]
        raise UserError(
            f"space {space.name!r} has no shared choices: a supernet needs operations that are chosen at fixed places, "
            f"which a space states as `sharing`. Spaces that do: {', '.join(known)}."
        )


def _layers(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield the modules with weights or statistics of their own, by name."""
    for name, module in network.named_modules():
        if module._parameters or module._buffers:
            yield name, module
