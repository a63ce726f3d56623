"""Formatting of numbers, percentages, durations and untrusted text for display."""

import math
import statistics
import unicodedata
from collections.abc import Sequence


def clean(text: object) -> str:
    """Return the text on one line without control characters, so that it cannot send commands to the terminal."""
    return "".join(" " if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp", "Cs") else c for c in str(text))


def number(value: object) -> str:
    """Format a value: whole numbers with thousands separators, others with four significant digits; ``-`` for None."""
    if value is None:
        return "-"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return clean(value)
    if math.isfinite(value) and value == int(value) and abs(value) < 1e12:
        return f"{int(value):,}"
    return f"{value:,.1f}" if 1e4 <= abs(value) < 1e7 else f"{value:.4g}"


def quantity(value: float, unit: str) -> str:
    """Format a value with its unit for a sentence: three significant digits, as in ``0.25 M multiply-adds``."""
    for factor, prefix in ((1e9, "G "), (1e5, "M ")):
        if value >= factor:
            return f"{value / max(factor, 1e6):.3g} {prefix}{unit}".strip()
    return f"{value:,.0f} {unit}" if value == int(value) else f"{value:.3g} {unit}"


def duration(seconds: float | None) -> str:
    """Format seconds as ``1:02:03`` or ``2:03``; ``-`` if unknown."""
    if seconds is None:
        return "-"
    minutes, rest = divmod(round(max(seconds, 0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def percent(fraction: float | None, decimals: int = 1) -> str:
    """Format a fraction in percent; ``-`` if unknown."""
    return "-" if fraction is None else f"{100 * fraction:.{decimals}f} %"


def mean_percent(fractions: Sequence[float], decimals: int = 1) -> str:
    """Format the mean of fractions in percent, with the standard deviation of several; ``-`` for none."""
    if len(fractions) < 2:
        return percent(fractions[0] if fractions else None, decimals)
    spread = f"{100 * statistics.stdev(fractions):.{decimals}f}"
    return f"{percent(statistics.fmean(fractions), decimals)[:-2]} ± {spread} %"
