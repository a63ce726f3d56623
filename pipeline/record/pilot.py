"""The pilot of a search: how reliable the scores are, and how often each is therefore taken."""

from collections.abc import Mapping, Sequence

import numpy as np

from zenfront.pipeline import proxies
from zenfront.pipeline.analysis.reliability import TARGET, Reliability, plan_repeats, reliability
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.record.files.ledger import read_values
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.record.score_record import joined
from zenfront.pipeline.results.stage_rows import Scores

SIZE = 12
"""Number of architectures in a pilot."""
REPEATS = 3
"""Number of samples of each score on each of them."""
COST = "flops"
"""Cost at which architectures are compared."""


def noisy_scores(experiment: Experiment) -> list[str]:
    """Return the scores of an experiment that depend on the draw of the weights."""
    loaded = {name: proxies.load(name, experiment.code) for name in experiment.score_names()}
    return [name for name, proxy in loaded.items() if proxy.is_noisy]


def reliabilities(rows: Sequence[Scores], names: Sequence[str]) -> dict[str, Reliability]:
    """Return the reliability of each score at equal FLOPs, with the number of repeats that follows from it.

    Args:
        rows: Scores of the architectures of the pilot, each the mean of 3 samples.
        names: Names of the scores.
    """
    cost = np.array([row.values.get(COST, np.nan) for row in rows])
    if not np.isfinite(cost).any():
        cost = np.ones(len(rows))
    found = {}
    for name in names:
        means = np.array([row.values.get(name, np.nan) for row in rows])
        errors = np.array([row.errors.get(name, np.nan) for row in rows])
        found[name] = plan_repeats(reliability(means, errors, REPEATS, cost))
    return found


def read_reliabilities(experiment: Experiment, folder: RunFolder) -> dict[str, Reliability]:
    """Return the reliability of the scores of a run; empty if its number of repeats was given.

    Raises:
        UserError: The record is damaged.
    """
    if experiment.search.repeats != "auto":
        return {}
    return reliabilities(joined(read_values(folder.pilot, Scores.from_row)), noisy_scores(experiment))


def warning(found: Mapping[str, Reliability]) -> str | None:
    """Return one line about the scores whose reliability stays below the target; None if there are none."""
    low = [
        f"{name} ({each.single:.2f} for one sample, {each.mean:.2f} for the mean of {each.repeats})"
        for name, each in found.items()
        if each.single is not None and not each.reaches_target
    ]
    unknown = [name for name, each in found.items() if each.single is None]
    lines = []
    if low:
        lines.append(
            f"the reliability at equal FLOPs is below {TARGET} for {', '.join(low)}: the order of similar values is "
            "partly that of the random weights"
        )
    if unknown:
        lines.append(f"too few architectures have {', '.join(unknown)} to measure its reliability: it is taken once")
    return "; ".join(lines) or None
