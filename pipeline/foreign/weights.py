"""Fresh weights for a user's module."""

from collections.abc import Callable

import torch
from torch import nn

from zenfront.spaces import NORMS, Init, draw_weights

LAYERS = (nn.modules.conv._ConvNd, nn.Linear)


def draw_anew(module: nn.Module, generator: torch.Generator, init: Init) -> None:
    """Draw the weights of a module anew, in place.

    Convolutions and linear layers get the weights of `zenfront.spaces.initialise`. Any other module draws its own
    parameters by its ``reset_parameters``, whatever the initialisation; a module without one keeps them (`kept`).

    Args:
        module: Module on the CPU.
        generator: Generator on the CPU; its seed is also that of torch's global generator for ``reset_parameters``.
        init: Initialisation of convolutions and linear layers.
    """
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(generator.initial_seed())
        for part in module.modules():  # parents first, so that the reset of a parent does not undo that of its children
            if isinstance(part, LAYERS):
                if _has_own_weight(part):
                    draw_weights(part, generator, init)
            elif reset := _reset(part):
                reset()


def kept(module: nn.Module) -> list[str]:
    """Return the names of the parameters that `draw_anew` leaves as they are."""
    return [
        f"{name}.{own}".lstrip(".")
        for name, part in module.named_modules()
        for own, _ in part.named_parameters(recurse=False)
        if not (_has_own_weight(part) if isinstance(part, LAYERS) else _reset(part))
    ]


def drawn_by_themselves(module: nn.Module) -> list[str]:
    """Return the classes of the modules that draw their parameters by their own ``reset_parameters``."""
    return sorted({type(part).__name__ for part in module.modules() if _draws_itself(part)})


def _draws_itself(part: nn.Module) -> bool:
    own = next(part.parameters(recurse=False), None) is not None
    return own and not isinstance(part, (*LAYERS, *NORMS)) and _reset(part) is not None


def _has_own_weight(layer: nn.Module) -> bool:
    """Return False for a weight that is computed from other parameters (weight norm, spectral norm)."""
    return layer._parameters.get("weight") is not None


def _reset(part: nn.Module) -> Callable[[], object] | None:
    """Return the function that draws a module's own parameters; torch's attention has it under a private name."""
    reset: Callable[[], object] | None = getattr(part, "reset_parameters", getattr(part, "_reset_parameters", None))
    return reset
