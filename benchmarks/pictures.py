"""Draw the pictures of docs/concepts/ and of README.md.

python benchmarks/pictures.py runs/quickstart TABLE

The run is a finished one of tune_configs/quickstart.yaml; TABLE is the table of accuracies of NAS-Bench-201 that
docs/evidence.md describes.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import kendalltau

import zenfront as zf
from zenfront.pipeline.pareto import front_indices
from zenfront.pipeline.plots.series import BLUE, GREY, VERMILLION
from zenfront.pipeline.plots.trained import save_trained_figure
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.record.run_record import RunRecord
from zenfront.pipeline.stages.report.trained_blocks import drawable

CONCEPTS = Path(__file__).parents[1] / "docs" / "concepts"
SCORES = Path(__file__).with_name("nasbench201_scores.parquet")


def new_figure(panels: int) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(4.1 * panels, 3.7), dpi=130, layout="constrained")
    axes = list(figure.subplots(1, panels, squeeze=False)[0])
    for panel in axes:
        panel.grid(True, color="#E6E8EB", linewidth=0.8)
        panel.set_axisbelow(True)
        panel.spines[["top", "right"]].set_visible(False)
    return figure, axes


def draw_proxy(table: Path) -> None:
    """Two scores against the accuracy after training: one orders networks of equal cost, the other follows the cost."""
    accuracies = pd.read_parquet(table)[["architecture", "test_accuracy"]]
    scores = pd.read_parquet(SCORES).merge(accuracies, on="architecture")
    figure, panels = new_figure(2)
    for panel, name in zip(panels, ("meco", "zen"), strict=True):
        shown = scores[[name, "test_accuracy", "flops"]].dropna()
        tau = kendalltau(shown[name], shown["test_accuracy"]).statistic
        colours = panel.scatter(shown[name], shown["test_accuracy"], c=shown["flops"] / 1e6, s=7, cmap="viridis")
        panel.set_title(f"{name}: τ = {tau:.2f}", loc="left", fontsize=11)
        panel.set_xlabel(name)
        panel.set_ylim(80, 95)
    panels[0].set_ylabel("test accuracy after training [%]")
    figure.colorbar(colours, ax=panels, label="million multiply-adds", pad=0.02)
    figure.savefig(CONCEPTS / "proxy.png")


def draw_front(run: zf.Run) -> None:
    """The scored architectures, and the front of the Zen-score and FLOPs."""
    scores = run.scores().dropna(subset=["zen", "flops", "ntk"])
    losses = np.stack([-scores["zen"], scores["flops"]], axis=1)
    front = scores.iloc[front_indices(losses)].sort_values("flops")
    figure, (panel,) = new_figure(1)
    panel.scatter(scores["flops"], scores["zen"], s=14, color=GREY, label=f"dominated ({len(scores) - len(front)})")
    panel.step(front["flops"], front["zen"], where="post", color=BLUE, lw=1.2)
    panel.scatter(front["flops"], front["zen"], s=30, color=BLUE, label=f"front ({len(front)})", zorder=3)
    panel.set_xscale("log")
    panel.set_xlabel("multiply-adds, lower is better")
    panel.set_ylabel("Zen-score, higher is better")
    panel.legend(frameon=False, fontsize=9)
    figure.savefig(CONCEPTS / "front.png")


def draw_rungs(run: zf.Run) -> None:
    """The validation accuracies of all runs, and the rung at which some of them were stopped."""
    record = RunRecord.read(RunFolder(run.path))
    rung = run.experiment.train.scheduler.grace_period
    figure, (panel,) = new_figure(1)
    seen = set[bool]()
    for epochs in record.curves().values():
        whole = len(epochs) > rung
        accuracies = [100 * epoch.metrics["val_accuracy"] for epoch in epochs]
        colour, label = (VERMILLION, "trained to the end") if whole else (GREY, "stopped at the rung")
        panel.plot(range(1, len(epochs) + 1), accuracies, color=colour, lw=1.1, label=None if whole in seen else label)
        seen.add(whole)
    panel.axvline(rung, color="black", lw=1, ls="--")
    panel.text(rung + 0.4, 62, f"rung: {rung} epochs", fontsize=9)
    panel.set_ylim(60, 101)
    panel.set_xlabel("epoch")
    panel.set_ylabel("validation accuracy [%]")
    figure.legend(frameon=False, fontsize=9, loc="outside lower center", ncols=2)
    figure.savefig(CONCEPTS / "rung.png")


def draw_trained_front(run: zf.Run) -> None:
    """The picture of the run's report."""
    record = RunRecord.read(RunFolder(run.path))
    front = drawable(record)
    assert front, "no network was trained to the end"
    title = f"quickstart: {len(front.finished)} of {len(front.networks)} networks trained to the end"
    path = CONCEPTS / "trained-front.png"
    save_trained_figure([("quickstart", front)], title, path, dpi=130, baselines=record.trained_baselines)


def main() -> None:
    CONCEPTS.mkdir(exist_ok=True)
    run = zf.open_run(sys.argv[1])
    draw_proxy(Path(sys.argv[2]))
    draw_front(run)
    draw_rungs(run)
    draw_trained_front(run)


if __name__ == "__main__":
    main()
