"""Structure strings of the ZenNAS networks, and their conversion from and to genes."""

import re
from dataclasses import dataclass

from zenfront.pipeline.errors import UserError
from zenfront.spaces._architecture import Architecture
from zenfront.spaces._pasted import compact

UNITS = 18
LAYERS = 5
WIDEST = 384
"""Largest width that a search draws, in units of 8 channels."""
LAST = 1024
"""Largest width of the last convolution in units of 8 channels; published networks have up to 838."""
XXBL = tuple(f"K1K{k}K1" for k in (3, 5, 7)) + tuple(f"K{k}K{k}" for k in (3, 5, 7))
IDW = tuple(f"IDWE{e}K{k}" for k in (3, 5, 7) for e in (1, 2, 4, 6))
SE = "+SE"
BLOCK = re.compile(r"(Super[A-Za-z0-9]+)\((\d+(?:,\d+)*)\)")
STEM = re.compile(r"SuperConvK([1357])BNRELU")


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
    """Parse a structure string; blanks and line breaks may stand between its parts.

    The stem may name any number of image channels: those of the network are the task's.

    Raises:
        UserError: The text is not a valid structure string; the message names the first part that does not fit.
    """
    bare = compact(text)
    se = bare.endswith(SE)
    parts = _parts(bare.removesuffix(SE))
    if len(parts) < 3:
        raise UserError(
            "a structure string must consist of a stem SuperConvK..BNRELU, SuperRes units and a last "
            f"SuperConvK1BNRELU, but got {text!r}."
        )
    if len(parts) - 2 > UNITS:
        raise UserError(f"a plainnet must have at most {UNITS} units, but got {len(parts) - 2}.")
    (_, stem, (_, stem_w, stride, _)), *body, (place, last, (_, last_w, *end)) = parts
    if last != "SuperConvK1BNRELU" or end != [1, 1]:
        raise UserError(f"{place}: the last part must be SuperConvK1BNRELU(in,out,1,1).")
    if wrong := [place for place, name, _ in body if name.startswith("SuperConv")]:
        raise UserError(f"{wrong[0]}: SuperConv stands at both ends only; SuperRes units stand between them.")
    units = tuple(Unit(name.removeprefix("SuperRes"), *numbers[1:]) for _, name, numbers in body)
    _check_chain([*parts])
    k = STEM.fullmatch(stem)
    assert k is not None
    return Plan(int(k[1]), stem_w, stride, units, last_w, "yes" if se else "no")


Part = tuple[str, str, list[int]]
"""Place in the text, name and numbers of a block."""


def _parts(text: str) -> list[Part]:
    parts: list[Part] = []
    position = 0
    while position < len(text):
        place = f"part {len(parts) + 1}, at character {position + 1}, {_shown(text[position:])!r}"
        found = BLOCK.match(text, position)
        if found is None:
            raise UserError(f"{place}: a part must have the form SuperRes...(in,out,stride,bottleneck,layers).")
        name, numbers = found[1], [int(number) for number in found[2].split(",")]
        unit = name.removeprefix("SuperRes")
        if not (STEM.fullmatch(name) if name.startswith("SuperConv") else unit in XXBL + IDW):
            raise UserError(
                f"{place}: plainnet has no such block. It has SuperConvKkBNRELU at both ends, and SuperResK1KkK1, "
                "SuperResKkKk and SuperResIDWEeKk between them, with k of 3, 5, 7 and e of 1, 2, 4, 6."
            )
        if not parts and not name.startswith("SuperConv"):
            raise UserError(f"{place}: the first part must be a stem SuperConvK..BNRELU(in,out,stride,1).")
        expected = 4 if name.startswith("SuperConv") else 5
        if len(numbers) != expected:
            raise UserError(f"{place}: this block has {expected} numbers, but got {len(numbers)}.")
        parts.append((place, name, numbers))
        position = found.end()
    return parts


def _shown(text: str) -> str:
    end = text.find(")") + 1
    return text[: end if 0 < end <= 80 else 80]


def _check_chain(parts: list[Part]) -> None:
    """Check that each part reads what the one before writes, and that its numbers are those of the space."""
    w = parts[0][2][0]
    for index, (place, _, (w_in, w_out, stride, *rest)) in enumerate(parts):
        if w_in != w:
            raise UserError(
                f"{place}: the input width of each block must equal the output width of the block before it, {w}, "
                f"but got {w_in}."
            )
        most = LAST if index == len(parts) - 1 else WIDEST
        for width in (w_out, *rest[:-1]):
            if width % 8 or not 8 <= width <= 8 * most:
                raise UserError(f"{place}: a width must be a multiple of 8 from 8 to {8 * most}, but got {width}.")
        if stride not in (1, 2):
            raise UserError(f"{place}: a stride must be 1 or 2, but got {stride}.")
        layers = 1 if len(rest) == 1 else LAYERS
        if not 1 <= rest[-1] <= layers:
            raise UserError(f"{place}: the number of layers must be from 1 to {layers}, but got {rest[-1]}.")
        w = w_out
