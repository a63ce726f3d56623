"""MLflow's limits, kept before the call (mlflow/utils/validation.py, 3.17)."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

Item = TypeVar("Item")

KEY = 250
VALUE = 2000
"""Of a param (6,000) or a tag (8,000): shorter, so that a call of a hundred each stays below 1 MB."""
PAIRS_A_CALL = 100
"""Of params and of tags."""
METRICS_A_CALL = 800
"""1,000 metrics, but also 1,000 entities of all kinds: room is left for params and tags."""


def key(name: str) -> str:
    """The name as MLflow takes it: letters, digits, ``_-.:/`` and spaces, no empty or dotted part, at most 250."""
    allowed = re.sub(r"[^\w\-. :/]", "_", name)
    parts = [part if part.strip(".") else "_" for part in allowed.split("/")]
    return "/".join(parts)[:KEY]


def cut(text: str, limit: int) -> str:
    """The text, or its beginning and an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def flat(value: Any, place: str = "") -> dict[str, str]:
    """A nested mapping as dotted names and texts; lists and empty mappings are one text."""
    if isinstance(value, Mapping) and value:
        merged: dict[str, str] = {}
        for name, inner in value.items():
            merged |= flat(inner, f"{place}.{name}" if place else str(name))
        return merged
    return {place: str(value)}


def finite(metrics: Mapping[str, float]) -> dict[str, float]:
    """The finite values under legal names: MLflow turns infinity into 1.8e308."""
    return {key(name): float(value) for name, value in metrics.items() if math.isfinite(value)}


def chunks(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """The items in pieces of at most `size`."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
