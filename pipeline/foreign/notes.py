"""Notes on the scores of a user's module: how they were taken, and what is not known of the module."""

from collections.abc import Collection, Iterator, Sequence

import torch
from torch import nn

from zenfront.pipeline.foreign.copies import count_hooks
from zenfront.pipeline.foreign.network import Layout
from zenfront.pipeline.foreign.steps import ForwardPass
from zenfront.pipeline.foreign.weights import drawn_by_themselves, kept
from zenfront.pipeline.given_batch import GivenBatch
from zenfront.pipeline.proxies import Proxy

OTHER_NORMS = (nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.modules.instancenorm._InstanceNorm)
OF_FEATURES = ("zen", "meco")
OF_BLOCKS = ("az_expressivity", "az_progressivity", "az_trainability")
WITHOUT_SHORTCUTS = ("zen", "zico")


def about(
    module: nn.Module,
    asked: Sequence[Proxy],
    defined: Collection[str],
    given: GivenBatch,
    passed: ForwardPass,
    layout: Layout,
    weights: str,
) -> tuple[str, ...]:
    """Return the notes, one sentence each.

    Args:
        module: The user's module.
        asked: The proxies.
        defined: Names of those that have a value.
        given: The mini-batch.
        passed: A forward pass of the module.
        layout: Its layout.
        weights: ``fresh`` or ``as_is``.
    """
    names = [proxy.name for proxy in asked]
    sampled = [proxy for proxy in asked if not proxy.is_cost]
    found: list[str] = []
    if any(name in OF_FEATURES + OF_BLOCKS for name in names):
        found.append(_features(passed, layout.features))
    if any(name in OF_BLOCKS for name in names):
        found.append(f"az_*: the blocks are {', '.join(layout.blocks) or 'none'}")
    if sampled:
        found += _fresh(module) if weights == "fresh" else _as_is(sampled)
    if layout.shortcuts and (published := [name for name in WITHOUT_SHORTCUTS if name in defined]):
        found.append(_shortcuts(published))
    if sampled and any(isinstance(part, nn.MultiheadAttention) for part in module.modules()):
        found.append(
            "MultiheadAttention: scores over convolutions and linear layers leave out its projections of query, key "
            "and value, which are one parameter"
        )
    if hooks := count_hooks(module):
        found.append(f"hooks: scores are taken without the {hooks} forward and backward hooks of the module")
    if sampled and not given.real:
        found.append("images: standard normal noise of the task's shape")
    if dtypes := {p.dtype for p in module.parameters() if p.is_floating_point()} - {torch.float32}:
        found.append(f"the module's weights are {dtypes.pop()}".replace("torch.", "") + "; scores are taken in float32")
    return tuple(found)


def _features(passed: ForwardPass, number: int) -> str:
    step = passed.steps[number]
    name = passed.name_of(number)
    where = f"the output of {name!r}" if name else f"the result of {getattr(step.function, '__name__', 'a function')}"
    return f"features: {where}, {tuple(step.shape[1:])} for an image; features= names another module"


def _fresh(module: nn.Module) -> Iterator[str]:
    yield "weights: drawn anew as each score defines; weights='as_is' takes the module's own"
    if own := drawn_by_themselves(module):
        yield f"weights: {', '.join(own)} draw their own by reset_parameters, whatever the score defines"
    if left := kept(module):
        more = f" and {len(left) - 5} more" if len(left) > 5 else ""
        yield f"weights: {', '.join(left[:5])}{more} keep their values: their modules have no reset_parameters"


def _as_is(sampled: Sequence[Proxy]) -> Iterator[str]:
    kinds: dict[str, list[str]] = {}
    for proxy in sampled:
        kinds.setdefault(proxy.weights, []).append(proxy.name)
    defined = "; ".join(f"{', '.join(names)}: {kind}" for kind, names in kinds.items())
    yield f"weights: the module's own, while the scores are defined for weights at initialisation ({defined})"


def _shortcuts(published: Sequence[str]) -> str:
    return (
        f"{', '.join(published)}: defined without shortcuts and squeeze-and-excitation; in this module they cannot be "
        "recognised and are left in, so the value does not compare with those of search spaces"
    )
