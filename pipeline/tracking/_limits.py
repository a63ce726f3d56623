"""Limits of MLflow, which are respected before a call (mlflow/utils/validation.py, 3.17)."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

Item = TypeVar("Item")

KEY = 250
VALUE = 2000
"""Length of a param (at most 6,000) or a tag (8,000); shorter, so that a call with 100 of each is below 1 MB."""
NOTE = 7900
"""Length of a note, which is a tag as well (8,000)."""
PAIRS_A_CALL = 100
"""Number of params and of tags in a call."""
METRICS_A_CALL = 800
"""Number of metrics in a call: at most 1,000 entities of all kinds, which leaves room for params and tags."""


def key(name: str) -> str:
    """Return a name for MLflow: letters, digits, ``_-.:/`` and spaces, no empty or dotted part, at most `KEY`."""
    allowed = re.sub(r"[^\w\-. :/]", "_", name)
    parts = [part if part.strip(".") else "_" for part in allowed.split("/")]
    return "/".join(parts)[:KEY]


def cut(text: str, limit: int) -> str:
    """Return the text, or its beginning and an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def flat(value: Any, place: str = "") -> dict[str, str]:
    """Return a nested mapping as dotted names and texts; lists and empty mappings are one text."""
    if isinstance(value, Mapping) and value:
        merged: dict[str, str] = {}
        for name, inner in value.items():
            merged |= flat(inner, f"{place}.{name}" if place else str(name))
        return merged
    return {place: str(value)}


def finite(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return the finite values under legal names; MLflow would store infinity as 1.8e308."""
    return {key(name): float(value) for name, value in metrics.items() if math.isfinite(value)}


def chunks(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """Yield the items in pieces of at most `size`."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
