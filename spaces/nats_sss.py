"""The size space of NATS-Bench: a fixed cell and five widths of 8 to 64 channels.

The string ``c0:c1:c2:c3:c4`` lists the widths of the stem and the first cell, the first reduction block, the second
cell, the second reduction block, and the third cell. If a cell changes the width, its skip connection is a 1 x 1
convolution with BN.
"""

from optuna.distributions import IntDistribution

from zenfront.pipeline.errors import UserError
from zenfront.spaces._anynet import resolution_violation
from zenfront.spaces._architecture import Architecture
from zenfront.spaces._cell import parse_edges
from zenfront.spaces._nats import nats_network
from zenfront.spaces._network import Network
from zenfront.spaces._pasted import compact
from zenfront.spaces._space import Space
from zenfront.spaces._task import Task

CELL = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
WIDTHS = 5


def _build(architecture: Architecture, task: Task) -> Network:
    return nats_network(parse_edges(CELL), [int(value) for _, value in architecture.genes], 1, task)


def _violation(architecture: Architecture, task: Task) -> str | None:
    return resolution_violation(task, 2)


def _notation(architecture: Architecture) -> str:
    return ":".join(str(value) for _, value in architecture.genes)


def _parse(text: str) -> dict[str, object]:
    widths = compact(text).split(":")
    if len(widths) != WIDTHS:
        raise UserError(
            f"an architecture of nats_sss must consist of {WIDTHS} widths, such as 8:16:24:32:64, but got {text!r}."
        )
    return {f"w{i}": width for i, width in enumerate(widths)}


SPACE = Space(
    name="nats_sss",
    distributions={f"w{i}": IntDistribution(8, 64, step=8) for i in range(WIDTHS)},
    build=_build,
    violation=_violation,
    notation=_notation,
    parse=_parse,
    source="Dong et al., NATS-Bench, TPAMI 2021, arXiv:2009.00437, size search space",
)
