"""Measure what the pipeline is worth: its trained front against that of other ways to spend the same training.

    python benchmarks/value.py tables --nasbench201 nasbench201_cifar10.parquet \\
        --proxies nasbench201_naslib_proxies.parquet
    python benchmarks/value.py tables --nasbench101 nasbench101_sample.parquet
    python benchmarks/value.py real IMAGES --work value
    python benchmarks/value.py show

The tables are recorded trainings (NAS-Bench-201, NAS-Bench-101); the part `real` trains. Results are added to
`benchmarks/value.json`, from which `show` makes the figures and the tables of docs/value.md.
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _value_arms import ARMS, measure
from _value_figures import draw, shown
from _value_real import ARMS as REAL_ARMS
from _value_real import prepare, trained_rows
from _value_tables import UNITS, read_cells, read_graphs

OUT = Path(__file__).with_suffix(".json")


def replace_rows(path: Path, part: str, rows: Sequence[dict[str, Any]], keys: Sequence[str]) -> None:
    """Write rows to a part of the results in place of those that have the same keys."""
    results = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    kept = {tuple(row[key] for key in keys): row for row in [*results.get(part, []), *rows]}
    results[part] = list(kept.values())
    parts = [f' "{name}": [\n  ' + ",\n  ".join(map(json.dumps, some)) + "\n ]" for name, some in results.items()]
    path.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")


def tables(options: argparse.Namespace) -> None:
    """Measure the arms on the tables, one after the other; each is recorded when it is done."""
    found = [read_cells(options.nasbench201, options.proxies)] if options.nasbench201 else []
    found += [read_graphs(options.nasbench101)] if options.nasbench101 else []
    for unit in options.units:
        for table in found:
            for name in options.arms:
                if all(score in table.curves.scores for score in ARMS[name].needs):
                    start = time.process_time()
                    rows = list(measure(table, name, unit, options.seeds))
                    replace_rows(options.out, "tables", rows, ("table", "unit", "arm", "budget"))
                    regrets = ", ".join(f"{row['regret']:.2f}" for row in rows)
                    print(table.curves.name, unit, name, regrets, f"{time.process_time() - start:.0f} s", flush=True)


def real(options: argparse.Namespace) -> None:
    """Train what the arms choose; each is recorded when it is done."""
    images = prepare(options.images, options.work)
    for row in trained_rows(options.work, images, options.arms, options.seeds, options.networks):
        replace_rows(options.out, "real", [row], ("arm", "seed", "count"))
        best = max(network["accuracy"] or 0.0 for network in row["networks"])
        print(row["arm"], row["seed"], len(row["networks"]), f"{best:.4f}", flush=True)


def show(options: argparse.Namespace) -> None:
    """Draw the figures, and print the tables in Markdown."""
    results = json.loads(options.out.read_text(encoding="utf-8"))
    draw(results, options.figures)
    print(shown(results))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=OUT)
    parts = parser.add_subparsers(required=True)
    part = parts.add_parser("tables")
    part.add_argument("--nasbench201", type=Path, help="table of accuracies and FLOPs by architecture")
    part.add_argument("--proxies", type=Path, help="NASLib's proxies of the same architectures")
    part.add_argument("--nasbench101", type=Path, help="table of learning curves and parameters")
    part.add_argument("--arms", nargs="+", default=list(ARMS), choices=list(ARMS))
    part.add_argument("--units", nargs="+", default=list(UNITS), choices=UNITS)
    part.add_argument("--seeds", type=int, default=20)
    part.set_defaults(run=tables)
    part = parts.add_parser("real")
    part.add_argument("images", type=Path, help="folder with train.parquet and test.parquet of CIFAR-10")
    part.add_argument("--work", type=Path, default=Path("value"), help="working folder, from which it is resumed")
    part.add_argument("--arms", nargs="+", default=list(REAL_ARMS), choices=list(REAL_ARMS))
    part.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    part.add_argument("--networks", type=int, default=40, help="networks that an arm trains")
    part.set_defaults(run=real)
    part = parts.add_parser("show")
    part.add_argument("--figures", type=Path, default=Path(__file__).parents[1] / "docs")
    part.set_defaults(run=show)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
