"""The benchmark of early stopping, on tables small enough to be worked out by hand."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def halving() -> ModuleType:
    spec = importlib.util.spec_from_file_location("halving_benchmark", ROOT / "benchmarks" / "halving.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_a_table_of_six_by_hand(halving: ModuleType) -> None:
    """Rung at 12 of 200 epochs, factor 3: two of six go on, by accuracy the best two, else the extremes of the front.

    Regret at costs 1, 2, 3: the best accuracies are 50, 70 and 90 %. By accuracy nothing of cost 1 is trained, which
    counts as the lowest accuracy, 40 %: 10 points. With the extremes, 50 % is the best at cost 2: 20 points.
    With one worker the seconds add up.
    """
    curves = halving.Curves(
        "six",
        (12, 200),
        np.array([[0.4], [0.3], [0.5], [0.2], [0.6], [0.1]]),
        np.array([50.0, 40.0, 70.0, 45.0, 90.0, 42.0]),
        np.array([1.0, 1.0, 2.0, 2.0, 3.0, 3.0]),
        np.array([1.0, 1.0, 1.0, 1.0, 2.0, 2.0]),
        1000,
        6,
        ("random",),
    )
    order = np.array([4, 0, 1, 2, 3, 5])
    expected = {"all trained": ({0, 1, 2, 3, 4, 5}, 1200, 1600), "halving by accuracy": ({2, 4}, 448, 660)}
    expected["halving, net"] = ({0, 4}, 448, 660)
    for arm, (finished, epochs, seconds) in expected.items():
        found = halving.train(curves, order, halving.ARMS[arm], workers=1)
        assert (set(found.finished), found.epochs, found.seconds) == (finished, epochs, seconds)
    # Two workers: 4 takes 400 seconds, 0 and 1 take 200 each; then 2 and 3, 200 each; then 5, 400.
    assert halving.train(curves, order, halving.ARMS["all trained"], workers=2).seconds == 1000
    measured = halving.measure(curves, "random", halving.ARMS["halving by accuracy"], 1, 1.0, 0)
    assert measured == pytest.approx(
        {"mean": 10 / 3, "largest": 10, "epochs": 448 / 1200, "seconds": 660 / 1600, "front": 2 / 3, "cheapest": 0}
    )
    assert halving.measure(curves, "random", halving.ARMS["halving, net"], 1, 1.0, 0)["mean"] == pytest.approx(20 / 3)


def test_the_command_runs_on_a_table(
    halving: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Curves that never cross: what is dominated at a rung is dominated at the end, and the front is what is kept."""
    count = 20
    columns: dict[str, list[float]] = {
        f"validation_accuracy_{epoch}_epochs": [2.0 * i + epoch / 10 for i in range(count)] for epoch in (4, 12, 36)
    }
    columns |= {"test_accuracy": [50.0 + 2 * i for i in range(count)], "params": [1000.0 * 2**i for i in range(count)]}
    columns |= {"train_seconds_108_epochs": [108.0] * count}
    parquet.write_table(pa.table(columns), tmp_path / "table.parquet")
    options = ["--nasbench101", str(tmp_path / "table.parquet"), "--seeds", "2", "--workers", "1", "4"]
    monkeypatch.setattr(sys, "argv", ["halving.py", *options, "--out", str(tmp_path / "out.json")])
    halving.main()
    rows = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert len(rows) == len(halving.ARMS) * 2 * 2  # two selections, two numbers of workers
    found = {(row["arm"], row["select"], row["workers"]): row for row in rows}
    assert found["all trained", "random", 1]["epochs"] == found["all trained", "random", 4]["front"] == 1
    by_accuracy, by_both = (found[arm, "random", 1] for arm in ("halving by accuracy", "halving, net"))
    assert by_accuracy["front"] == 1 / 16  # of 16 go on 6, 2, 1
    assert by_both["front"] == 2 / 16  # the two extremes
    assert "| halving, net | " in capsys.readouterr().out
