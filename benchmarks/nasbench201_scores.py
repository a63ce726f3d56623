"""Score a sample of NAS-Bench-201 with every proxy, on real CIFAR-10 images.

The sample is uniform over the isomorphism classes of a table of accuracies (parquet, column `architecture`). As in a
search, the canonical architecture of each class is scored. A proxy that is undefined on an architecture leaves the
others as they are. The costly proxies are taken on every fifth class; `--every 1` adds the rest. The program can be
interrupted at any time and continues where it ended; several shards can run side by side.

    python benchmarks/nasbench201_scores.py score TABLE IMAGES --shard 0/2 --into scores/   # hours on one core
    python benchmarks/nasbench201_scores.py collect --into scores/ --out benchmarks/nasbench201_scores.parquet

TABLE is not part of this project; IMAGES is a folder with train.parquet and test.parquet, or a name on the Hugging
Face hub.
"""

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from pyarrow import parquet

from zenfront import spaces
from zenfront.pipeline import proxies
from zenfront.pipeline.experiment.train_config import Data
from zenfront.pipeline.proxies import Batch
from zenfront.pipeline.record.files.ledger import Ledger, read_ledger
from zenfront.pipeline.scoring import Scoring
from zenfront.pipeline.seeds import numpy_generator
from zenfront.pipeline.training import data
from zenfront.spaces import Architecture, Task

SPACE = spaces.load("nasbench201")
TASK = Task(3, 32, 32, 10)
SEED = 0
COSTLY = {"grasp", "swap", "linear_regions", "gradsign", "zico", "epe_nas", "plain"}
COSTLY |= {"az_expressivity", "az_progressivity", "az_trainability"}


def names() -> list[str]:
    """List every proxy that does not measure time."""
    return [name for name in proxies.names() if not proxies.load(name).measured]


def sample(table: Path) -> list[Architecture]:
    """List the classes of the table in a seeded random order."""
    texts = parquet.read_table(table, columns=["architecture"])["architecture"].to_pylist()
    classes = {a.id: a for a in (SPACE.architecture(SPACE.parse(text)) for text in texts)}
    order = numpy_generator(SEED, "nasbench201 scores").permutation(sorted(classes))
    return [classes[str(id)] for id in order]


def scoring(images: str, batch: int) -> Scoring:
    loaded = data.load(Data(source=images, image="img", label="label"), TASK, SEED)
    return Scoring(SPACE, TASK, names(), Batch(*data.proxy_batch(loaded, batch, SEED)), SEED)


def score(whole: Scoring, architecture: Architecture) -> dict[str, Any]:
    """Take all scores at once, or each alone if one is undefined; the values are the same."""
    parts = [whole.score(architecture)]
    if parts[0].failure:
        parts = [replace(whole, names=[name]).score(architecture) for name in whole.names]
    failures = {name: part.failure for name, part in zip(whole.names, parts, strict=False) if part.failure}
    return {
        "id": architecture.id,
        "architecture": SPACE.notation(architecture),
        "values": {name: value for part in parts for name, value in part.values.items()},
        "failures": failures,
        "seconds": {name: round(value, 4) for part in parts for name, value in part.seconds.items()},
        "batch": len(whole.batch.labels),
    }


def run(args: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    index, shards = map(int, args.shard.split("/"))
    whole = scoring(args.images, args.batch)
    with Ledger(args.into / f"{index}of{shards}.jsonl") as ledger:
        known = {(row["id"], name) for row in ledger.rows for name in row["values"] | row["failures"]}
        for position, architecture in list(enumerate(sample(args.table)))[index : args.count : shards]:
            wanted = [name for name in names() if name not in COSTLY or position // shards % args.every == 0]
            missing = [name for name in wanted if (architecture.id, name) not in known]
            if missing:
                ledger.append([score(replace(whole, names=missing), architecture)])


def collect(into: Path, out: Path) -> None:
    merged: dict[str, dict[str, Any]] = {}
    for row in (row for path in sorted(into.glob("*.jsonl")) for row in read_ledger(path)[0]):
        known = merged.setdefault(row["id"], row)
        known["values"] |= row["values"]
        known["failures"] |= row["failures"]
    ordered = [merged[id] for id in sorted(merged)]
    columns: dict[str, Sequence[Any]] = {name: [row[name] for row in ordered] for name in ("id", "architecture")}
    columns |= {name: pa.array([row["values"].get(name) for row in ordered], pa.float64()) for name in names()}
    settings = {"batch": str({row["batch"] for row in ordered}), "seed": str(SEED), "repeats": "1"}
    table = pa.table(columns).replace_schema_metadata(settings)
    parquet.write_table(table, out, compression="zstd")
    print(f"{out}: {len(ordered)} architectures, batch {settings['batch']}, {out.stat().st_size / 1e3:.0f} kB")
    undefined = Counter((name, reason) for row in ordered for name, reason in row["failures"].items())
    for (name, reason), number in undefined.most_common():
        print(f"  {name} undefined on {number}: {reason}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    scored = verbs.add_parser("score")
    scored.add_argument("table", type=Path)
    scored.add_argument("images")
    scored.add_argument("--shard", default="0/1", help="i/n: every n-th class, from the i-th")
    scored.add_argument("--batch", type=int, default=32)
    scored.add_argument("--every", type=int, default=5, help="take the costly proxies on every n-th class")
    scored.add_argument("--count", type=int, help="number of classes in all; default: every class of the table")
    collected = verbs.add_parser("collect")
    collected.add_argument("--out", type=Path, required=True)
    for verb in (scored, collected):
        verb.add_argument("--into", type=Path, required=True, help="folder of the ledgers, one per shard")
    args = parser.parse_args()
    if args.verb == "score":
        run(args)
    else:
        collect(args.into, args.out)


if __name__ == "__main__":
    main()
