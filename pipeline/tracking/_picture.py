"""Picture of trained fronts for the notes in MLflow, which shows it in its own size."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from zenfront.pipeline.results.baselines import TrainedBaseline
from zenfront.pipeline.results.trained_networks import TrainedFront
from zenfront.pipeline.tracking._notes import PICTURE
from zenfront.pipeline.tracking._store import Store

SIZE, DPI = (5.4, 3.6), 100
"""Inches, and pixels an inch: narrow enough for MLflow's page, whose columns grow as wide as the picture."""


def send_picture(
    store: Store, fronts: Sequence[tuple[str, TrainedFront]], baselines: Sequence[TrainedBaseline] = ()
) -> None:
    """Draw trained fronts, and store the picture as an artifact of the parent.

    Args:
        store: Store that has the parent.
        fronts: Name and front of each run; all share their first cost.
        baselines: Known networks that were trained beside those of a single front.
    """
    from zenfront.pipeline.plots.trained import save_trained_figure

    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / PICTURE
        save_trained_figure(fronts, "", path, size=SIZE, dpi=DPI, baselines=baselines)
        store.send_file("", path)
