"""Scores of a user's torch module."""

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.foreign import notes
from zenfront.pipeline.foreign.blocks import block_names
from zenfront.pipeline.foreign.copies import meta_copy, private_copy
from zenfront.pipeline.foreign.network import ForeignNetwork, Layout
from zenfront.pipeline.foreign.steps import ForwardPass
from zenfront.pipeline.foreign.weights import draw_anew
from zenfront.pipeline.given_batch import GivenBatch
from zenfront.pipeline.measurement import Lender, Measurement
from zenfront.pipeline.proxies import Proxy
from zenfront.pipeline.proxies._containment import contained
from zenfront.pipeline.proxies._state import borrowed
from zenfront.pipeline.results.score_result import ScoreResult
from zenfront.pipeline.seeds import torch_generator
from zenfront.pipeline.wording import suggestion
from zenfront.spaces import Auxiliary, Init, Network, without_auxiliaries

Weights = Literal["fresh", "as_is"]
SEEN = 2
"""Images of the forward pass that is recorded; with two, a batch norm has statistics on maps of one position."""


def score_module(
    module: nn.Module,
    asked: Sequence[Proxy],
    given: GivenBatch,
    *,
    features: str | None = None,
    weights: Weights = "fresh",
    seed: int = 0,
    repeats: int = 1,
    options: Mapping[str, Mapping[str, object]] | None = None,
) -> ScoreResult:
    """Take scores of a module (N, C, H, W) -> (N, K), on a copy of it on its own device.

    Args:
        module: Any module; it is left as it is.
        asked: The scores.
        given: The mini-batch.
        features: Name of the module whose output is the features; found if not given (`ForwardPass.features`).
        weights: ``fresh``: drawn anew, as each score defines (`draw_anew`). ``as_is``: the module's own.
        seed: Root of all randomness.
        repeats: Number of samples of each score; costs are exact.
        options: Keyword arguments of the proxies, by name.

    Returns:
        The scores; one that is undefined leaves the others as they are.

    Raises:
        UserError: The module cannot be copied, does not take the images, or does not return logits (N, K); there are no
            features of that name; a label is out of range.
    """
    copy = private_copy(module)
    device = str(next((t.device for t in (*copy.parameters(), *copy.buffers())), given.batch.images.device))
    seen = given.batch.images[:SEEN].to(device)
    passed = _recorded(copy, seen, seed)
    given.check_classes(_logits(passed).shape[1])
    shortcuts = passed.joins and _joins_elsewhere(copy, seen, seed)
    layout = _layout(copy, passed, features, shortcuts)
    lacking = {proxy.name: reason for proxy in asked if (reason := given.lacks(proxy) or _no_score(proxy, copy))}
    taken = Measurement(given.batch, seed, "module", repeats, options or {}, device, keep_partial=True, alone=True)
    wanted = [proxy for proxy in asked if proxy.name not in lacking]

    def draw(network: nn.Module, generator: torch.Generator, init: Init) -> None:
        if weights == "fresh":
            draw_anew(network.to("cpu"), generator, init)
            network.to(device)

    on_meta = Lender(lambda: _network(meta_copy(module), layout, features), foreign=True)
    taken.take_costs([proxy for proxy in wanted if proxy.is_cost], on_meta)
    copies = [copy]
    with_weights = Lender(
        lambda: _network(copies.pop() if copies else private_copy(module), layout, features), draw, foreign=True
    )
    taken.take_samples([proxy for proxy in wanted if not proxy.is_cost], with_weights)
    names, undefined = [proxy.name for proxy in asked], lacking | taken.undefined
    return ScoreResult(
        values={name: taken.values[name] for name in names if name in taken.values},
        errors=taken.errors,
        undefined={name: undefined[name] for name in names if name in undefined},
        units={proxy.name: proxy.unit for proxy in asked},
        seconds=taken.seconds,
        notes=notes.about(module, asked, taken.values, given, passed, layout, weights),
    )


def _recorded(module: nn.Module, images: Tensor, seed: int) -> ForwardPass:
    generator = torch_generator(seed, "module", "recorded")
    with contained(generator.initial_seed()), borrowed(module, generator):
        try:
            return ForwardPass.record(module, images.to(torch.float32, copy=True))
        except Exception as error:
            raise UserError(
                f"{type(module).__name__} does not take images of shape {tuple(images.shape)} "
                f"({type(error).__name__}: {error}). Pass images of the shape that it is made for."
            ) from error


def _joins_elsewhere(module: nn.Module, images: Tensor, seed: int) -> bool:
    """Return whether results are joined outside the shortcuts that a score can leave out."""
    if not any(isinstance(part, Auxiliary) for part in module.modules()):
        return True
    with without_auxiliaries(module):
        return _recorded(module, images, seed).joins


def _logits(passed: ForwardPass) -> Tensor:
    logits = passed.result
    if not isinstance(logits, Tensor) or logits.dim() != 2:
        kind = f"a tensor of shape {tuple(logits.shape)}" if isinstance(logits, Tensor) else type(logits).__name__
        raise UserError(
            f"a module must return logits, a tensor (N, K), but returns {kind}. Wrap it in a module that returns them."
        )
    return logits


def _layout(module: nn.Module, passed: ForwardPass, features: str | None, shortcuts: bool) -> Layout:
    if features is None and isinstance(module, Network):
        features = "features"
    if features is None:
        number = passed.features()
        if number is None:
            raise UserError("no features are found: there is no linear layer. Name a module with features=.")
    else:
        number = _named(module, passed, features)
    return Layout(number, block_names(module, passed, number), passed.writes, shortcuts)


def _named(module: nn.Module, passed: ForwardPass, name: str) -> int:
    known = [name for name, _ in module.named_modules() if name]
    if name not in known:
        raise UserError(
            f"features=: there is no module named {name!r}.{suggestion(name, known)} See module.named_modules()."
        )
    if passed.modules.get(name, -1) < 0:
        raise UserError(f"features=: {name!r} is not called, or returns nothing that is computed from the images.")
    return passed.modules[name]


def _network(copy: nn.Module, layout: Layout, features: str | None) -> Network:
    """Return the copy as a network; one of a search space knows its features and shortcuts itself."""
    return copy if isinstance(copy, Network) and features is None else ForeignNetwork(copy, layout)


def _no_score(proxy: Proxy, module: nn.Module) -> str | None:
    """Return why a score is not defined on the layers of a module, or None."""
    if proxy.name != "zen":
        return None
    norms = {type(part).__name__ for part in module.modules() if isinstance(part, notes.OTHER_NORMS)}
    if not norms:
        return None
    return f"zen: undoes the scaling of batch norms only, but the module has {', '.join(sorted(norms))}"
