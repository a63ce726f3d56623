"""Figures and tables of the study of the worth."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import t as student

from zenfront.pipeline.plots.series import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILLION

Row = Mapping[str, Any]
LEVELS = 20
CHANCE = 0.1
STYLES = {
    "random, ASHA": (GREY, ":", "v"),
    "random, ASHA by accuracy and cost": (GREY, "-", "v"),
    "stratified random, all trained": (BLACK, "-", "o"),
    "stratified random": (BLACK, "-", "o"),
    "regularised evolution": (GREEN, "-", "^"),
    "Optuna NSGA-II": (BLUE, "-", "s"),
    "Optuna NSGA-II, pruned": (BLUE, ":", "s"),
    "Optuna TPE": (SKY, "-", "D"),
    "Optuna TPE, pruned": (SKY, ":", "D"),
    "Zen per cost level": (PURPLE, "--", "P"),
    "zen, depth at most 56": (PURPLE, "--", "P"),
    "Zenfront, cells.yaml, one round": (ORANGE, "-", "X"),
    "macro.yaml": (ORANGE, "-", "X"),
    "Zenfront, rounds": (VERMILLION, "-", "*"),
    "rounds": (VERMILLION, "-", "*"),
    "Zenfront, rounds, no scores": (VERMILLION, "--", "*"),
}
"""Colour, line and marker of an arm; arms without a style are in the tables only."""


def draw(results: Mapping[str, Sequence[Row]], folder: Path) -> None:
    """Write value.png, a panel for each table, and value_real.png."""
    rows = [row for row in results.get("tables", []) if row["unit"] == "epochs"]
    if names := list(dict.fromkeys(row["table"] for row in rows)):
        figure = Figure(figsize=(5.4 * len(names), 5.2), dpi=130, layout="constrained")
        panels = figure.subplots(1, len(names), squeeze=False)[0]
        for panel, name in zip(panels, names, strict=True):
            _draw_table(panel, name, [row for row in rows if row["table"] == name])
        handles = {arm: line for panel in panels for line, arm in zip(*panel.get_legend_handles_labels(), strict=True)}
        figure.legend(handles.values(), handles, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
        figure.savefig(folder / "value.png")
    if results.get("real"):
        figure = Figure(figsize=(6.4, 4.6), dpi=130, layout="constrained")
        _draw_real(figure.subplots(), results["real"])
        figure.savefig(folder / "value_real.png")


def _draw_table(panel: Axes, name: str, rows: Sequence[Row]) -> None:
    for arm, (colour, line, marker) in STYLES.items():
        own = sorted((row for row in rows if row["arm"] == arm), key=lambda row: row["budget"])
        if own:
            error = [row["regret_sd"] / row["seeds"] ** 0.5 for row in own]
            budgets, means = [row["budget"] for row in own], [row["regret"] for row in own]
            panel.errorbar(
                budgets, means, yerr=error, color=colour, linestyle=line, marker=marker, label=arm, capsize=2, lw=1.3
            )
    panel.set(xscale="log", yscale="log", xlabel="budget [full trainings]", ylabel="regret [points of accuracy]")
    panel.set_xticks(budgets := sorted({row["budget"] for row in rows}), list(map(str, budgets)), minor=False)
    panel.set_xticks([], minor=True)
    panel.set_title(f"{name}, {max(row['seeds'] for row in rows)} seeds, bars: standard error", fontsize=10)
    _finish(panel)


def levels(rows: Sequence[Row]) -> np.ndarray:
    """Return the cost levels: geometric, from the cheapest tenth of the random networks to the costliest of all."""
    random = [network["flops"] for row in rows if row["arm"] == "stratified random" for network in row["networks"]]
    every = [network["flops"] for row in rows for network in row["networks"]]
    return np.geomspace(np.quantile(random, 0.1), max(every), LEVELS)


def staircase(row: Row, at: np.ndarray) -> np.ndarray:
    """Return the best accuracy at most at each cost in percent; that of guessing where no network is as cheap."""
    cost = np.array([network["flops"] for network in row["networks"]])
    accuracy = np.array([network["accuracy"] or CHANCE for network in row["networks"]])
    return 100 * np.array([max([CHANCE, *accuracy[cost <= level]]) for level in at])


def _draw_real(panel: Axes, rows: Sequence[Row]) -> None:
    at = levels(rows)
    for arm in dict.fromkeys(row["arm"] for row in rows):
        colour, line, _ = STYLES[arm]
        stairs = np.array([staircase(row, at) for row in rows if row["arm"] == arm])
        panel.step(at, stairs.mean(0), where="post", color=colour, linestyle=line, label=f"{arm} ({len(stairs)} seeds)")
        if len(stairs) > 1:
            low, high = stairs.min(0), stairs.max(0)
            panel.fill_between(at, low, high, step="post", color=colour, alpha=0.12, linewidth=0)
    panel.set(xscale="log", xlabel="flops [multiply-adds]", ylabel="best test accuracy at most at this cost [%]")
    panel.legend(frameon=False, fontsize=8)
    panel.set_title("anynet3, CIFAR-10 at 16 x 16; bands: range over the seeds", fontsize=10)
    _finish(panel)


def _finish(panel: Axes) -> None:
    panel.grid(True, which="major", color="#E6E8EB", linewidth=0.8)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)


def shown(results: Mapping[str, Sequence[Row]]) -> str:
    """Return all results as Markdown."""
    parts = [*_table_parts(results.get("tables", [])), *_real_parts(results.get("real", []))]
    return "\n\n".join(parts)


def _table_parts(rows: Sequence[Row]) -> Iterator[str]:
    for key in dict.fromkeys((row["table"], row["unit"]) for row in rows):
        own = [row for row in rows if (row["table"], row["unit"]) == key]
        budgets = sorted({row["budget"] for row in own})
        arms = list(dict.fromkeys(row["arm"] for row in own))
        for measure, digits in (("regret", 2), ("hypervolume", 3)):
            lines = ["| arm | " + " | ".join(map(str, budgets)) + " |", "|---" * (1 + len(budgets)) + "|"]
            for arm in arms:
                of_arm = {row["budget"]: row for row in own if row["arm"] == arm}
                cells = (f"{row[measure]:.{digits}f} ± {row[f'{measure}_sd']:.{digits}f}" for row in of_arm.values())
                lines.append(f"| {arm} | {' | '.join(cells)} |")
            yield f"{key[0]}, budget in {key[1]}, {own[0]['seeds']} seeds: {measure}\n\n" + "\n".join(lines)


def _real_parts(rows: Sequence[Row]) -> Iterator[str]:
    if not rows:
        return
    at = levels(rows)
    means = {(row["arm"], row["seed"]): float(staircase(row, at).mean()) for row in rows}
    arms, seeds = list(dict.fromkeys(a for a, _ in means)), sorted({s for _, s in means})
    head = ["arm", *(f"seed {seed}" for seed in seeds), "mean", "minus stratified random", "networks", "median depth"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for arm in arms:
        own = [means[arm, seed] for seed in seeds if (arm, seed) in means]
        pairs = [
            means[arm, s] - means["stratified random", s]
            for s in seeds
            if (arm, s) in means and ("stratified random", s) in means
        ]
        networks = [network for row in rows if row["arm"] == arm for network in row["networks"]]
        cells = [f"{means[arm, seed]:.1f}" if (arm, seed) in means else "-" for seed in seeds]
        difference = _interval(pairs) if arm != "stratified random" else "-"
        depth = f"{np.median([network['depth'] for network in networks]):.0f}"
        lines.append(f"| {' | '.join([arm, *cells, f'{np.mean(own):.1f}', difference, str(len(networks)), depth])} |")
    yield "For real: mean over the levels of the best accuracy at most at each [%]\n\n" + "\n".join(lines)


def _interval(values: Sequence[float]) -> str:
    """Return the mean and its interval of 95 % by Student's t; without an interval for one value."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return f"{mean:+.1f}"
    half = float(student.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5)
    return f"{mean:+.1f} [{mean - half:+.1f}, {mean + half:+.1f}]"
