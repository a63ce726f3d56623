"""Formatting of numbers, percentages, durations and untrusted text for display."""

import math
import re
import statistics
import unicodedata
from collections.abc import Mapping, Sequence
from difflib import get_close_matches

SYNONYMS: Mapping[str, str] = {
    "batchsize": "batch_size",
    "bs": "batch_size",
    "budget": "evaluations",
    "cifar": "cifar10",
    "gpu": "cuda",
    "jacov": "jacob_cov",
    "lr": "learning_rate",
    "macs": "flops",
    "madds": "flops",
    "max": "maximise",
    "min": "minimise",
    "multadds": "flops",
    "nwot": "naswot",
    "parameters": "params",
    "popsize": "population",
    "sh": "successive_halving",
    "trials": "evaluations",
    "wd": "weight_decay",
    "zenscore": "zen",
}
"""Other usual words for a name, without punctuation."""


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


def suggestion(value: object, known: Sequence[str]) -> str:
    """Return `` Did you mean ...?``, or an empty text if no known name is similar.

    Case, punctuation and Roman numbers do not count: ``NSGA-II`` is near ``nsga2``. `SYNONYMS` lists other words.
    """
    if not isinstance(value, str):
        return ""
    plain = {_plain(name): name for name in reversed(known)}
    written = _plain(value)
    synonym = SYNONYMS.get(written)
    near = synonym if synonym in known else next(iter(get_close_matches(written, plain, n=1)), None)
    return f" Did you mean {plain.get(near, near)!r}?" if near else ""


def _plain(name: str) -> str:
    """Return a name in small letters without punctuation, with a trailing II or III as a digit."""
    letters = re.sub(r"[^a-z0-9]", "", name.casefold())
    return re.sub(r"(?<=[a-hj-z])i{2,3}$", lambda roman: str(len(roman[0])), letters)


def quantity(value: float, unit: str) -> str:
    """Format a value with its unit for a sentence: three significant digits, as in ``0.25 M multiply-adds``."""
    for factor, prefix in ((1e9, "G "), (1e5, "M ")):
        if value >= factor:
            return f"{value / max(factor, 1e6):.3g} {prefix}{unit}".strip()
    return f"{value:,.0f} {unit}" if value == int(value) else f"{value:.3g} {unit}"


def size(count: float) -> str:
    """Format a number of bytes, as in ``1.5 GiB``."""
    for unit in ("bytes", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.3g} {unit}"
        count /= 1024
    return f"{count:,.3g} GiB" if count < 1000 else f"{count:,.0f} GiB"


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
