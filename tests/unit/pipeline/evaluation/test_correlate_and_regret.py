"""`correlate` and `regret` on tables with known answers and on incorrect tables."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from zenfront import spaces
from zenfront.pipeline.seeds import numpy_generator

Zenfront = Callable[..., tuple[int, str, str]]
SPACE = spaces.load("nasbench201")
CONFIG = """
name: known
space: nasbench201
task: { channels: 3, height: 32, width: 32, classes: 10 }
objectives:
  - { score: zen, direction: maximise }
  - { score: ntk, direction: minimise }
"""


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """Accuracy is the number of 3 x 3 convolutions plus a quality. zen equals it, ntk is -zen, synflow is constant."""
    rng = numpy_generator(0, "tables")
    found = list({a.id: a for a in (SPACE.sample(rng) for _ in range(200))}.values())
    conv = np.array([[v for _, v in a.genes].count("nor_conv_3x3") for a in found], dtype=float)
    accuracy = 70 + 5 * conv + rng.normal(0, 2, len(found))
    names = [SPACE.notation(a) for a in found]
    truth = {"architecture": names, "test_accuracy": accuracy.tolist()}
    truth |= {f"test_accuracy_seed{i}": (accuracy + rng.normal(0, 0.5, len(found))).tolist() for i in range(2)}
    scores: dict[str, Any] = {"architecture": names, "flops": (1e6 * (1 + conv)).tolist(), "zen": accuracy.tolist()}
    scores |= {
        "ntk": (-accuracy).tolist(),
        "synflow": [1.0] * len(found),
        "snip": rng.normal(0, 1, len(found)).tolist(),
    }
    scores["naswot"] = [None] * (len(found) - 5) + [1.0] * 5
    pq.write_table(pa.table(truth), tmp_path / "truth.parquet")
    pq.write_table(pa.table(scores), tmp_path / "scores.parquet")
    (tmp_path / "known.yaml").write_text(CONFIG)
    return tmp_path


ASKED = ("known.yaml", "--truth", "truth.parquet", "--scores", "scores.parquet")


@pytest.mark.usefixtures("tables")
def test_correlate_reproduces_known_correlations(zenfront: Zenfront, tables: Path) -> None:
    code, out, err = zenfront("correlate", *ASKED, "--where", "skip_connect >= 1")
    assert (code, err) == (0, "")
    report = tables / "runs/known.study/report"
    with (report / "correlation.csv").open() as file:
        rows = {(row["where"], row["score"]): row for row in csv.DictReader(file)}
    for where in ("", "skip_connect >= 1", "not (skip_connect >= 1)"):
        assert float(rows[where, "zen"]["tau"]) == 1
        assert float(rows[where, "ntk"]["tau"]) == 1  # to be minimised
        assert float(rows[where, "zen"]["tau_equal_flops"]) == 1
        assert rows[where, "flops"]["tau_equal_flops"] == ""  # undefined: equal FLOPs have no order
    assert rows["", "zen"]["verdict"].startswith("better than flops: +0.")
    assert rows["", "snip"]["verdict"].startswith("worse than flops: -0.")
    assert rows["", "synflow"]["verdict"] == "undefined: the score is constant"
    for count in (16, 32, 64):  # every architecture is predicted by a model that did not see it
        assert rows["", f"learned from {count}"]["n"] == rows["", "zen"]["n"]
        assert float(rows["", f"learned from {count}"]["tau"]) > 0.6
    sizes = [int(rows[where, "zen"]["n"]) for where in ("skip_connect >= 1", "not (skip_connect >= 1)")]
    assert sum(sizes) == int(rows["", "zen"]["n"])
    document = json.loads((report / "correlation.json").read_text())
    assert document["parts"][0]["skipped"]["naswot"].startswith("it is defined on ")
    assert document["parts"][0]["ceiling"]["overall"] > 0.9
    assert "noise ceiling" in out
    assert "naswot: it is defined on" in out
    page = (report / "correlation.html").read_text()
    assert "not (skip_connect &gt;= 1)" in page
    assert (report / "correlation.png").stat().st_size > 10_000
    assert (tables / "runs/mlflow.db").exists()


@pytest.mark.usefixtures("tables")
def test_the_regret_of_the_oracle_is_zero_and_reproducible(zenfront: Zenfront, tables: Path) -> None:
    rules = ("--rule", "stratified:zen", "--rule", "random", "--rule", "front:zen,flops", "--rule", "top:zen+ntk")
    asked = ("regret", *ASKED, *rules, "--nets", "6,20", "--seeds", "5")
    code, out, err = zenfront(*asked)
    assert (code, err) == (0, "")
    report = tables / "runs/known.study/report"
    first = (report / "regret.csv").read_text()
    rows = {(row["rule"], row["networks"]): row for row in csv.DictReader(first.splitlines())}
    for rule in ("stratified:zen", "front:zen,flops"):  # zen is the accuracy; there are five or six cost levels
        assert float(rows[rule, "20"]["mean"]) == 0
        assert float(rows[rule, "20"]["whole_worst"]) == 0
    assert float(rows["random", "6"]["mean"]) > float(rows["random", "20"]["mean"]) > 0
    assert float(rows["top:zen+ntk", "20"]["whole_worst"]) > 5  # all selected are expensive, so cheap levels have none
    assert zenfront(*asked)[0] == 0
    assert (report / "regret.csv").read_text() == first
    assert "stratified:zen" in out


@pytest.mark.usefixtures("tables")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("correlate", "known.yaml"), "either --truth TABLE"),
        (("correlate", "known.yaml", "--truth", "truth.parquet", "--train", "3"), "either --truth TABLE"),
        (("correlate", "known.yaml", "--train", "3", "--sample", "2"), "go with --truth"),
        (("correlate", "known.yaml", "--truth", "none.parquet"), "cannot read none.parquet"),
        (("correlate", "known.yaml", "--truth", "known.yaml"), "cannot read known.yaml as parquet"),
        (("correlate", *ASKED, "--accuracy", "acc"), "no column 'acc'. It has: architecture, test_accuracy"),
        (("correlate", *ASKED, "--proxies", "zen,zenn"), "no column 'zenn'. It has: flops, zen"),
        (("correlate", *ASKED, "--space", "anynet3"), "is not in space 'anynet3'"),
        (("correlate", *ASKED, "--sample", "9"), "at least 10 architectures are needed, but got 9"),
        (("correlate", *ASKED, "--where", "none > 6"), "'none > 6' holds for 0 of "),
        (("correlate", *ASKED, "--where", "skips >= 1"), "no property 'skips'"),
        (("correlate", *ASKED, "--where", "skip_connect"), "is not a comparison"),
        (("correlate", "known.yaml", "--truth", "truth.parquet", "--proxies", "zenn"), "no proxy named 'zenn'"),
        (("regret", *ASKED, "--rule", "best"), "'best' is neither random, stratified"),
        (("regret", *ASKED, "--rule", "front:zen,zenn"), "no score 'zenn'"),
        (("regret", *ASKED, "--rule", "learned:zenn"), "no score 'zenn'"),
        (("regret", *ASKED, "--rule", "top:zen,ntk"), "top takes one objective"),
        (("regret", *ASKED, "--nets", "ten"), "--nets: whole numbers"),
        (("regret", *ASKED, "--nets", "0"), "at least 1 network"),
    ],
)
def test_wrong_input_gives_one_message(zenfront: Zenfront, words: tuple[str, ...], message: str) -> None:
    code, _, err = zenfront(*words)
    assert code == 2
    assert message in err
    assert "Traceback" not in err


@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
def test_a_sample_is_trained_and_scored_once_on_ray(zenfront: Zenfront, tmp_path: Path) -> None:
    settings = ("train.epochs=1", "resources={device: cpu, search: {workers: 1}, train: {workers: 1}}")
    asked = ["correlate", "smoke", "--train", "10", "--proxies", "synflow,zen"]
    asked += [word for setting in settings for word in ("--set", setting)]
    code, out, err = zenfront(*asked)
    assert (code, err) == (0, "")
    assert "10 architectures of anynet3; " in out
    ledgers = [tmp_path / "runs/smoke.study" / name for name in ("scores.jsonl", "epochs.jsonl", "trained.json")]
    before = [path.read_bytes() for path in ledgers]
    code, again, err = zenfront(*asked)
    assert (code, err) == (0, "")
    assert [path.read_bytes() for path in ledgers] == before
    assert again.splitlines()[-3] == out.splitlines()[-3]
