"""Networks of super-blocks from ZenNAS, written as structure strings.

A network consists of a stem ``SuperConvKkBNRELU(in,out,stride,1)``, up to 18 units
``SuperRes...(in,out,stride,bottleneck,layers)``, and a last convolution ``SuperConvK1BNRELU(in,out,1,1)``. Units are
made of blocks with a shortcut and a ReLU after the sum:

* XXBL, ``K1KkK1``: a layer is two bottleneck blocks; ``KkKk``: a layer is one block of two k x k convolutions.
* IDW, ``IDWEeKk``: a layer is two inverted bottlenecks of expansion e, to the bottleneck and to the output width.

As in the reference, the first block of a unit always has a projection shortcut, projections have a bias, and every BN
has eps 1e-3. A trailing ``+SE`` denotes squeeze-and-excitation of ratio 1/4 with BN in every block (a flag of the
reference). Widths are genes in units of 8 channels. Widths, the number of units and the number of layers are drawn
log-uniformly, so that a sixth of the samples have less than 1 M parameters. Units beyond ``units`` are inactive. The
last convolution may have up to 8192 channels, as published networks do; a search draws up to 3072.

Mutation follows the reference: one unit changes to another type of its family, each of its widths is multiplied by a
factor, and its number of layers changes by -2 to 2; a unit of six or more layers is split into one of 3 layers and one
with the rest. Deviations: every outcome counts once, whereas the reference fills a list in a loop, which favours the
first types; and a split keeps all layers, whereas the reference keeps six.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import product
from typing import NamedTuple

from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from torch import nn

from zenfront.spaces._anynet import resolution_violation
from zenfront.spaces._architecture import Architecture
from zenfront.spaces._blocks import Residual, SqueezeExcitation, classifier, conv_bn, conv_bn_relu
from zenfront.spaces._layers import BatchNorm2d, Conv2d
from zenfront.spaces._network import Network
from zenfront.spaces._plainnet import IDW, LAST, LAYERS, UNITS, WIDEST, XXBL, Plan, Unit, parse, plan_of
from zenfront.spaces._space import Space
from zenfront.spaces._task import Task

WIDTH = IntDistribution(1, WIDEST, log=True)
FACTORS = (2.5, 2, 1.5, 1.25, 1, 1 / 1.25, 1 / 1.5, 1 / 2, 1 / 2.5)
SPLIT = 6
BN_EPS = 1e-3


def _canonical(architecture: Architecture) -> Architecture:
    genes = plan_of(architecture).genes()
    return Architecture(architecture.space, tuple((name, genes[name]) for name, _ in architecture.genes))  # type: ignore[misc]


def _notation(architecture: Architecture) -> str:
    return plan_of(architecture).text()


def _parse(text: str) -> Mapping[str, object]:
    return parse(text).genes()


class Block(NamedTuple):
    """A branch to which a shortcut is added.

    Attributes:
        branch: Layers of the branch.
        w_in: Number of input channels.
        w_out: Number of output channels.
        stride: Stride of the branch.
    """

    branch: list[nn.Module]
    w_in: int
    w_out: int
    stride: int


def _round8(width: float) -> int:
    return max(8, round(width / 8) * 8)


def _squeeze(w: int, plan: Plan) -> list[nn.Module]:
    return [SqueezeExcitation(w, max(1, round(w / 4)), norm=True)] if plan.se == "yes" else []


def _xxbl(w_in: int, unit: Unit, stride: int, plan: Plan) -> Iterator[Block]:
    k = unit.digits[1]
    if unit.kind == f"K{k}K{k}":
        first = conv_bn_relu(w_in, unit.b, k, stride)
        yield Block([*first, *_squeeze(unit.b, plan), *conv_bn(unit.b, unit.w, k)], w_in, unit.w, stride)
        return
    for w, s in ((w_in, stride), (unit.w, 1)):
        middle = [*conv_bn_relu(w, unit.b, 1), *conv_bn_relu(unit.b, unit.b, k, s), *_squeeze(unit.b, plan)]
        yield Block([*middle, *conv_bn(unit.b, unit.w, 1)], w, unit.w, s)


def _idw(w_in: int, unit: Unit, stride: int, plan: Plan) -> Iterator[Block]:
    e, k = unit.digits
    for w, w_out, s in ((w_in, unit.b, stride), (unit.b, unit.w, 1)):
        inner = _round8(w_out * e)
        middle = [*conv_bn_relu(w, inner, 1), *conv_bn_relu(inner, inner, k, s, inner), *_squeeze(inner, plan)]
        yield Block([*middle, *conv_bn(inner, w_out, 1)], w, w_out, s)


def _projection(block: Block, always: bool) -> nn.Module:
    if block.w_in == block.w_out and block.stride == 1 and not always:
        return nn.Identity()
    return nn.Sequential(Conv2d(block.w_in, block.w_out, 1, block.stride), BatchNorm2d(block.w_out))


def _unit(w: int, unit: Unit, plan: Plan) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for layer in range(unit.layers):
        stride = unit.stride if layer == 0 else 1
        for block in (_xxbl if unit.family is XXBL else _idw)(w, unit, stride, plan):
            residual = Residual(nn.Sequential(*block.branch), _projection(block, always=not layers))
            layers.append(nn.Sequential(residual, nn.ReLU()))
        w = unit.w
    return layers


def _build(architecture: Architecture, task: Task) -> Network:
    plan = plan_of(architecture)
    layers: list[nn.Module] = [nn.Sequential(*conv_bn_relu(task.channels, plan.stem_w, plan.stem_k, plan.stem_stride))]
    w = plan.stem_w
    for unit in plan.units:
        layers += _unit(w, unit, plan)
        w = unit.w
    layers.append(nn.Sequential(*conv_bn_relu(w, plan.last_w, 1)))
    network = Network(nn.Sequential(*layers), classifier(plan.last_w, task.out_features))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = BN_EPS
    return network


def _violation(architecture: Architecture, task: Task) -> str | None:
    plan = plan_of(architecture)
    return resolution_violation(task, [plan.stem_stride, *(unit.stride for unit in plan.units)].count(2))


def _widths(width: int) -> list[int]:
    return sorted({min(8 * WIDTH.high, _round8(width * factor)) for factor in FACTORS})


def _students(unit: Unit) -> Iterator[list[Unit]]:
    layers = range(max(1, unit.layers - 2), unit.layers + 3)
    for kind, w, b, d in product(unit.family, _widths(unit.w), _widths(unit.b), layers):
        student = Unit(kind, w, unit.stride, b, d)
        if d < SPLIT:
            yield [student]
        else:
            yield [replace(student, layers=3), replace(student, stride=1, layers=d - 3)]


def _mutations(architecture: Architecture) -> Iterator[Mapping[str, object]]:
    plan = plan_of(architecture)
    yield from (replace(plan, stem_w=w).genes() for w in _widths(plan.stem_w))
    if any(unit.family is XXBL for unit in plan.units):
        # The reference never changes the last convolution of an IDW network.
        yield from (replace(plan, last_w=w).genes() for w in _widths(plan.last_w))
    for i, unit in enumerate(plan.units):
        for students in _students(unit):
            units = (*plan.units[:i], *students, *plan.units[i + 1 :])
            if len(units) <= UNITS:
                yield replace(plan, units=units).genes()


def _distributions() -> dict[str, BaseDistribution]:
    strides = CategoricalDistribution((1, 2))
    genes: dict[str, BaseDistribution] = {
        "stem_k": CategoricalDistribution((1, 3, 5, 7)),
        "stem_w8": WIDTH,
        "stem_s": strides,
        "units": IntDistribution(1, UNITS, log=True),
        "last_w8": WIDTH,
        "se": CategoricalDistribution(("no", "yes")),
    }
    for i in range(1, UNITS + 1):
        genes |= {f"type{i}": CategoricalDistribution((*XXBL, *IDW)), f"w8_{i}": WIDTH, f"b8_{i}": WIDTH}
        genes |= {f"s{i}": strides, f"d{i}": IntDistribution(1, LAYERS, log=True)}
    return genes


SPACE = Space(
    name="plainnet",
    distributions=_distributions(),
    build=_build,
    canonical=_canonical,
    violation=_violation,
    notation=_notation,
    parse=_parse,
    mutations=_mutations,
    published={"last_w8": tuple(range(WIDTH.high + 1, LAST + 1))},
    source="Lin et al., Zen-NAS, ICCV 2021, arXiv:2102.01063; structure strings of idstcv/ZenNAS",
)
