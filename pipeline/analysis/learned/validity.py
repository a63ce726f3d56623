"""Whether a model predicts: the rank correlation of what it predicted with what came out."""

import numpy as np

from zenfront.pipeline.analysis.correlation import kendall
from zenfront.pipeline.analysis.resampling import Estimate, draw_resamples, estimate

LEAST = 3
"""Networks below which a rank correlation says nothing."""


def agreement(predicted: np.ndarray, measured: np.ndarray, seed: int = 0) -> Estimate:
    """Return Kendall's τ-b of predicted and measured accuracies with its interval of 95 %.

    Args:
        predicted: (k,), made before the networks were trained.
        measured: (k,), accuracies after the whole training; NaN where a training failed.
        seed: Seed of the bootstrap.

    Returns:
        The estimate; without a value if fewer than 3 networks were measured, or either side is constant.
    """
    here = np.isfinite(predicted) & np.isfinite(measured)
    if here.sum() < LEAST:
        return Estimate(None)
    counts = draw_resamples(int(here.sum()), seed)
    return estimate(kendall(predicted[here], measured[here], counts))


def predicts(agreed: Estimate) -> bool:
    """Return whether the whole interval of a rank correlation lies above 0."""
    return agreed.low is not None and agreed.low > 0
