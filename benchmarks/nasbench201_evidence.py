"""Write pipeline/checks/evidence.json, from which `zenfront search` warns, from a report of `zenfront correlate`.

python benchmarks/nasbench201_evidence.py runs/cells.study/report/correlation.json
"""

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
LEAST = 500  # architectures: with fewer, an interval that includes 0 says little
# Cell spaces of the same kind. nasbench101 and transnas_micro are left out: there, published figures of zen are above
# those of the free scores (Spearman, NAS-Bench-Suite-Zero: .59 against .37, and .72 against .65).
FAMILY = ["amoeba", "darts", "enas", "nasnet", "pnas"]


def ends(estimate: dict[str, Any]) -> list[float]:
    return [round(estimate[key], 4) for key in ("value", "low", "high")]


def main() -> None:
    part = json.loads(Path(sys.argv[1]).read_text())["parts"][0]
    scores = {
        name: {
            "n": score["n"],
            "tau": ends(score["kendall"]),
            "tau_equal_flops": ends(score["equal_cost"]),
            "baseline": score["baseline"],
            "difference": ends(score["difference"]),
        }
        for name, score in sorted(part["scores"].items())
        if score["n"] >= LEAST and None not in (score["equal_cost"]["value"], score["difference"]["low"])
    }
    table = "benchmarks/nasbench201_correlation.csv"
    measured = {"task": "CIFAR-10", "family": FAMILY, "table": table, "scores": scores}
    text = json.dumps({part["space"]: measured}, indent=1, ensure_ascii=False) + "\n"
    (ROOT / "pipeline/checks/evidence.json").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
