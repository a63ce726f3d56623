"""Measure how much the definitions of the published code explain of the difference to published figures.

On the first classes of the sample of NAS-Bench-201, takes zen and fisher in their reference modes and naswot on 128
images, and compares them with our defaults on the same classes.

    python benchmarks/nasbench201_variants.py TABLE IMAGES SCORES --into scores/ --count 200
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from nasbench201_scores import sample, score, scoring
from pyarrow import parquet

from zenfront.pipeline.analysis.correlation import kendall, spearman
from zenfront.pipeline.analysis.resampling import draw_resamples, estimate
from zenfront.pipeline.evaluation.truth_table import read_truth
from zenfront.pipeline.record.files.ledger import Ledger
from zenfront.spaces import load

VARIANTS = {"zen": {"mode": "reference"}, "fisher": {"mode": "reference"}, "naswot": {}}
LARGE = 128


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("images")
    parser.add_argument("scores", type=Path)
    parser.add_argument("--into", type=Path, required=True)
    parser.add_argument("--count", type=int, default=200)
    args = parser.parse_args()
    torch.set_num_threads(1)
    published = replace(scoring(args.images, LARGE), names=list(VARIANTS), options=VARIANTS)
    small = replace(published, batch=replace(published.batch, images=published.batch.images[:32]))
    small = replace(small, batch=replace(small.batch, labels=published.batch.labels[:32]), names=["zen", "fisher"])
    with Ledger(args.into / "variants.jsonl") as ledger:
        known = {row["id"] for row in ledger.rows}
        for architecture in sample(args.table)[: args.count]:
            if architecture.id not in known:
                row = score(replace(published, names=["naswot"]), architecture)
                row["values"] |= score(small, architecture)["values"]
                ledger.append([row])
        variants = {row["id"]: row["values"] for row in ledger.rows}
    ours = {row["id"]: row for row in parquet.read_table(args.scores).to_pylist()}
    known_accuracy = read_truth(args.table, load("nasbench201"), None)
    accuracy = {a.id: float(v) for a, v in zip(known_accuracy.architectures, known_accuracy.accuracy, strict=True)}
    for name in VARIANTS:
        ids = [id for id in variants if id in ours and ours[id][name] is not None and name in variants[id]]
        y, counts = np.array([accuracy[id] for id in ids]), draw_resamples(len(ids), seed=0)
        for what, values in (
            ("default", [ours[id][name] for id in ids]),
            ("variant", [variants[id][name] for id in ids]),
        ):
            found = [estimate(f(np.array(values), y, counts)) for f in (kendall, spearman)]
            print(f"{name:10} {what:8} n = {len(ids)}: tau {found[0]}, rho {found[1]}")


if __name__ == "__main__":
    main()
