"""Figures of a study of weight sharing."""

import html
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from scipy.stats import rankdata

from zenfront.pipeline.analysis.weight_sharing.agreement import gt_tau, tau_matrix
from zenfront.pipeline.evaluation.design_spaces.figures import Plot, Series
from zenfront.pipeline.evaluation.weight_sharing.ground_truth import GroundTruth
from zenfront.pipeline.evaluation.weight_sharing.instances import LAST, Arm, Instance
from zenfront.pipeline.evaluation.weight_sharing.measures import Measures
from zenfront.pipeline.plots.interactive import LAYOUT

AROUND = 8
"""Steps before and after the one that trained an architecture."""


def tau_over_steps(arms: Sequence[Arm], truth: GroundTruth) -> Plot:
    """Return GT-Tau over the steps: the mean over the instances of each setting, with least and most."""
    series = []
    for arm in arms:
        if arm.instances:
            steps = arm.instances[0].steps
            taus = np.array([gt_tau(each.accuracy, truth.accuracy) for each in arm.instances])
            series.append(Series(arm.name, steps, taus.mean(0), "line", np.array([taus.min(0), taus.max(0)])))
    return Plot("tau", "GT-Tau over the steps: mean, least and most over instances", "step", "GT-Tau", series)


def around_own_step(arms: Sequence[Arm]) -> Plot | None:
    """Return the accuracy of an architecture relative to that of all, around the step that trained it.

    It shows how long an architecture profits from its own mini-batch before those of others interfere. Only the last
    steps, each of which is evaluated, count.
    """
    series = []
    for arm in arms:
        curves = [curve for each in arm.instances if (curve := _around(each, arm.last)) is not None]
        if curves:
            seen = np.isfinite(curves).any(0)  # few last steps do not reach all offsets
            offsets = np.arange(-AROUND, AROUND + 1)[seen]
            series.append(Series(arm.name, offsets, np.nanmean(np.array(curves)[:, seen], axis=0), "line"))
    title = "Accuracy of an architecture around the step that trained it"
    return (
        Plot("interference", title, "steps after its own", "accuracy less the mean of all", series) if series else None
    )


def _around(instance: Instance, last: int) -> np.ndarray | None:
    """Return the mean relative accuracy at each offset, (2 * AROUND + 1,); NaN where no step has it."""
    accuracy, children = instance.accuracy[-last:], instance.children[-last:]
    if len(accuracy) < 2 or not len(children) or (accuracy < 0).any():
        return None
    relative = accuracy - accuracy.mean(1, keepdims=True) - (accuracy - accuracy.mean(1, keepdims=True)).mean(0)
    sums, counts = np.zeros(2 * AROUND + 1), np.zeros(2 * AROUND + 1)
    for step, child in enumerate(children):
        for offset in range(-AROUND, AROUND + 1):
            if 0 <= step + offset < len(accuracy):
                sums[offset + AROUND] += relative[step + offset, child]
                counts[offset + AROUND] += 1
    return np.asarray(np.where(counts > 0, sums / np.maximum(counts, 1), np.nan))


def groups_against_tau(measures: Sequence[Measures], groups: Sequence[tuple[str, str, int]]) -> Plot | None:
    """Return GT-Tau against the number of groups, for each way of grouping; one group belongs to every way.

    Args:
        measures: Of all settings.
        groups: (setting, way of grouping, number of groups) of each setting.
    """
    values = {each.name: each.gt_tau for each in measures if each.weights == LAST and each.gt_tau}
    series = []
    for way in dict.fromkeys(way for _, way, m in groups if m > 1):
        points = [
            (m, values[name].mean.value, values[name].least, values[name].most)
            for name, own, m in sorted(groups, key=lambda group: group[2])
            if (own == way or m == 1) and name in values and values[name].mean.value is not None
        ]
        if points:
            m, mean, least, most = np.array(points, dtype=np.float64).T
            series.append(Series(way, m, mean, "line", np.array([least, most])))
    if len({m for _, _, m in groups}) < 2:
        return None
    return Plot("groups", "GT-Tau by number of groups", "groups", "GT-Tau", series, log=True)


def ranking_over_steps(arm: Arm, truth: GroundTruth | None, names: Sequence[str]) -> go.Figure:
    """Return the place of every architecture over the steps of the first instance; the best by the truth is on top.

    Bright cells have the first places. If the ranking agrees with the truth, the figure is bright above and dark below.
    """
    instance = arm.instances[0]
    places = rankdata(-instance.accuracy, axis=1).T
    by = "truth" if truth else "mean accuracy"
    order = np.argsort(-(truth.accuracy if truth else instance.accuracy.mean(0)), kind="stable")
    figure = go.Figure(
        go.Heatmap(
            z=places[order],
            x=[str(step) for step in instance.steps],
            y=[f"{place}. {html.escape(names[index])}" for place, index in enumerate(order, start=1)],
            hovertemplate="%{y}<br>place %{z} after step %{x}<extra></extra>",
            colorscale="Viridis",
            reversescale=True,
            colorbar={"title": "place"},
        )
    )
    figure.update_xaxes(title="step", type="category", nticks=12)
    figure.update_yaxes(title=f"architectures by {by}, the best on top", autorange="reversed", showticklabels=False)
    return figure.update_layout(**LAYOUT, height=620)


def agreement_map(arms: Sequence[Arm]) -> go.Figure:
    """Return τ-b between the rankings of all instances of all settings at the end."""
    labelled = [(f"{arm.name} {each.number}", each.rankings[LAST]) for arm in arms for each in arm.instances]
    names = [html.escape(name) for name, _ in labelled]
    rankings = np.stack([values for _, values in labelled])
    matrix = tau_matrix(rankings, rankings)
    heat = go.Heatmap(z=matrix, x=names, y=names, colorscale="Viridis", zmin=-0.2, zmax=1, colorbar={"title": "τ-b"})
    figure = go.Figure(heat)
    figure.update_yaxes(autorange="reversed")
    return figure.update_layout(**LAYOUT, height=520)
