"""Structure strings of the ZenNAS networks, and their conversion from and to genes."""

import re
from dataclasses import dataclass

from zenfront.pipeline.errors import UserError
from zenfront.spaces._architecture import Architecture

UNITS = 18
XXBL = tuple(f"K1K{k}K1" for k in (3, 5, 7)) + tuple(f"K{k}K{k}" for k in (3, 5, 7))
IDW = tuple(f"IDWE{e}K{k}" for k in (3, 5, 7) for e in (1, 2, 4, 6))
SE = "+SE"
FORM = re.compile(
    r"SuperConvK([1357])BNRELU\(3,(\d+),(\d+),1\)"
    r"((?:SuperRes\w+\(\d+,\d+,\d+,\d+,\d+\))+)"
    r"SuperConvK1BNRELU\(\d+,(\d+),1,1\)(\+SE)?"
)
UNIT = re.compile(r"SuperRes(\w+)\(\d+,(\d+),(\d+),(\d+),(\d+)\)")


@dataclass(frozen=True)
class Unit:
    """A super-block.

    Attributes:
        kind: Type of the block, from `XXBL` or `IDW`.
        w: Number of output channels.
        stride: Stride of the first layer.
        b: Number of bottleneck channels.
        layers: Number of layers.
    """

    kind: str
    w: int
    stride: int
    b: int
    layers: int

    @property
    def family(self) -> tuple[str, ...]:
        """Types from which a mutation chooses."""
        return XXBL if self.kind in XXBL else IDW

    @property
    def digits(self) -> list[int]:
        """Numbers in the type, of which the second is the kernel size."""
        return [int(digit) for digit in self.kind if digit.isdecimal()]


@dataclass(frozen=True)
class Plan:
    """Content of a structure string.

    Attributes:
        stem_k: Kernel size of the stem.
        stem_w: Number of output channels of the stem.
        stem_stride: Stride of the stem.
        units: The super-blocks, in order.
        last_w: Number of output channels of the last convolution.
        se: Whether the blocks have squeeze-and-excitation, ``yes`` or ``no``.
    """

    stem_k: int
    stem_w: int
    stem_stride: int
    units: tuple[Unit, ...]
    last_w: int
    se: str

    def text(self) -> str:
        """Return the structure string for images of three channels."""
        text, w = f"SuperConvK{self.stem_k}BNRELU(3,{self.stem_w},{self.stem_stride},1)", self.stem_w
        for unit in self.units:
            text += f"SuperRes{unit.kind}({w},{unit.w},{unit.stride},{unit.b},{unit.layers})"
            w = unit.w
        return f"{text}SuperConvK1BNRELU({w},{self.last_w},1,1){SE if self.se == 'yes' else ''}"

    def genes(self) -> dict[str, object]:
        """Return the genes of this plan."""
        genes: dict[str, object] = {
            "stem_k": self.stem_k,
            "stem_w8": _eighths(self.stem_w),
            "stem_s": self.stem_stride,
            "units": len(self.units),
            "last_w8": _eighths(self.last_w),
            "se": self.se,
        }
        for i in range(1, UNITS + 1):
            unit = self.units[i - 1] if i <= len(self.units) else Unit(XXBL[0], 8, 1, 8, 1)
            genes |= {f"type{i}": unit.kind, f"w8_{i}": _eighths(unit.w), f"b8_{i}": _eighths(unit.b)}
            genes |= {f"s{i}": unit.stride, f"d{i}": unit.layers}
        return genes


def _eighths(width: int) -> int:
    if width % 8:
        raise UserError(f"a width of plainnet must be a multiple of 8, but got {width}.")
    return width // 8


def plan_of(architecture: Architecture) -> Plan:
    """Return the plan that the genes of an architecture describe, without inactive units."""
    genes = architecture.mapping
    numbers = {name: int(value) for name, value in genes.items() if not isinstance(value, str)}
    units = tuple(
        Unit(str(genes[f"type{i}"]), 8 * numbers[f"w8_{i}"], numbers[f"s{i}"], 8 * numbers[f"b8_{i}"], numbers[f"d{i}"])
        for i in range(1, numbers["units"] + 1)
    )
    stem = numbers["stem_k"], 8 * numbers["stem_w8"], numbers["stem_s"]
    return Plan(*stem, units, 8 * numbers["last_w8"], str(genes["se"]))


def parse(text: str) -> Plan:
    """Parse a structure string.

    Raises:
        UserError: The text is not a valid structure string.
    """
    found = FORM.fullmatch(text.strip())
    if found is None:
        raise UserError(
            "a structure string must consist of a stem SuperConvK..BNRELU, SuperRes units and a last "
            f"SuperConvK1BNRELU, but got {text!r}."
        )
    k, stem_w, stride, body, last_w, se = found.groups()
    units = tuple(Unit(kind, *(int(number) for number in numbers)) for kind, *numbers in UNIT.findall(body))
    if len(units) > UNITS:
        raise UserError(f"a plainnet must have at most {UNITS} units, but got {len(units)}.")
    plan = Plan(int(k), int(stem_w), int(stride), units, int(last_w), "yes" if se else "no")
    if plan.text() != text.strip():
        raise UserError(
            f"the input width of each block must equal the output width of the block before it, as in {plan.text()}, "
            f"but got {text.strip()}."
        )
    return plan
