"""Which weights of a supernet are shared, and which ones each architecture has for itself."""

import re
from dataclasses import dataclass

from torch import nn

from zenfront.spaces import NORMS

KINDS: dict[str, tuple[type[nn.Module], ...]] = {
    "conv": (nn.modules.conv._ConvNd,),
    "norm": NORMS,
    "bn": NORMS,
    "linear": (nn.Linear,),
}


@dataclass(frozen=True)
class ShareRule:
    """Rule of sharing, as `share` of a setting states it.

    Source: the settings of partial sharing of Zhang et al., 2020, arXiv:2001.01431, and of its code, such as
    ``only_stem_and_conv``.
    """

    text: str

    def shares(self, name: str, module: str, layer: nn.Module) -> bool:
        """Check whether a layer is shared.

        Args:
            name: Name under which the supernet keeps its weights.
            module: Its name in the network of one architecture.
            layer: The layer.
        """
        if self.text == "all":
            return True
        if self.text.startswith("first_"):
            return _block(name, module) <= int(self.text.removeprefix("first_"))
        return any(_is(word, name, module, layer) for word in self.words) == self.text.startswith("only_")

    @property
    def words(self) -> list[str]:
        """The words of ``only_X_and_Y`` or ``not_X_and_Y``; empty for other rules."""
        kind, _, words = self.text.partition("_")
        return words.split("_and_") if kind in ("only", "not") else []

    def unused(self, layers: list[tuple[str, str, nn.Module]]) -> list[str]:
        """Return the words that describe none of the layers, given as the arguments of `shares`."""
        return [word for word in self.words if not any(_is(word, *layer) for layer in layers)]


def _is(word: str, name: str, module: str, layer: nn.Module) -> bool:
    if word in KINDS:
        return isinstance(layer, KINDS[word])
    if word == "stem":
        return _block(name, module) == 0
    return word in re.split("[.=]", name)


def _block(name: str, module: str) -> float:
    """Return the number of the block of a layer: 0 for the stem, 1 for the first cell, infinite for the head."""
    parts = name.split(".") if re.match(r"features\.(cells\.)?\d", name) else module.split(".")
    if parts[0] != "features":
        return float("inf")
    return int(parts[2]) + 1 if parts[1] == "cells" else int(parts[1]) if parts[1].isdecimal() else 0
