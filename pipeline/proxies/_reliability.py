"""Reliability of the proxies as it was measured on some spaces, in a file that benchmarks/reliability.py writes."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_name("reliability.json")


@dataclass(frozen=True)
class MeasuredReliability:
    """Reliability of one sample of a proxy at equal FLOPs on a space.

    Attributes:
        space: Name of the space.
        architectures: Number of architectures.
        flops: Their multiply-adds, in words.
        value: In [0, 1]; None if it is undefined there.
    """

    space: str
    architectures: int
    flops: str
    value: float | None


def measured_reliability(name: str) -> list[MeasuredReliability]:
    """Return the reliability of a proxy on each space where it was measured."""
    return [
        MeasuredReliability(space, row["architectures"], _range(*row["flops"]), row["reliability"][name])
        for space, row in _table().items()
        if name in row["reliability"]
    ]


@cache
def _table() -> dict[str, dict[str, Any]]:
    table: dict[str, dict[str, Any]] = json.loads(TABLE.read_text(encoding="utf-8"))
    return table


def _range(low: float, high: float) -> str:
    ends = f"{low / 1e6:.1f}", f"{high / 1e6:.1f}"
    return f"{ends[0]} M" if ends[0] == ends[1] else f"{ends[0]} to {ends[1]} M"
