"""`zenfront edf` and `zf.edf`: tables and sweeps in, verdicts and files out, and one message for wrong input."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from plotly.offline import get_plotlyjs
from scipy.stats import ks_2samp

import zenfront as zf
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.evaluation.design_spaces.comparison import compare
from zenfront.pipeline.evaluation.design_spaces.error_table import read_sweep
from zenfront.pipeline.evaluation.design_spaces.model_sample import ModelSample
from zenfront.pipeline.evaluation.design_spaces.report import Study, document
from zenfront.pipeline.evaluation.design_spaces.settings import Settings

TIMM = Path(__file__).parents[5] / "shared/data/timm_imagenet.parquet"
Zenfront = Callable[..., tuple[int, str, str]]
RNG = np.random.default_rng(0)
COST = RNG.uniform(1, 9, 120)
FRAME = pd.DataFrame(
    {
        "family": np.repeat(["a", "b"], 60),
        "error": np.concatenate([10 + RNG.gamma(2, 1, 60), 13 + RNG.gamma(2, 1, 60)]),
        "params": COST,
        "lr": np.tile([0.1, 0.2, 0.4], 40),
    }
)


def sample(name: str, errors: np.ndarray, cost: np.ndarray | None = None) -> ModelSample:
    return ModelSample(name, errors, {} if cost is None else {"params": cost})


def sweep(path: Path, shift: float) -> Path:
    rng = np.random.default_rng(int(shift))
    jobs = [
        {
            "params": float(rng.uniform(1e5, 8e5)),
            "flops": float(rng.uniform(1e7, 1e8)),
            "min_test_top1": float(shift + rng.gamma(2, 1)),
            "net": {"block_type": "res_basic_block", "ds": [1, 2, int(rng.integers(1, 9))], "ws": [16, 32, 64]},
            "optim": {"base_lr": float(rng.choice([0.05, 0.1])), "wd": 5e-4},
            "test_ep_top1": [90.0, 20.0],
        }
        for _ in range(40)
    ]
    path.write_text(json.dumps(jobs))
    return path


def test_the_space_with_lower_errors_lies_left_in_the_command_and_in_python(tmp_path: Path, zenfront: Zenfront) -> None:
    FRAME.to_csv(tmp_path / "models.csv", index=False)
    options = ["--by", "family", "--range", "lr", "--runs", str(tmp_path), "--set", "name=made"]
    code, out, err = zenfront("edf", "--table", str(tmp_path / "models.csv"), *options)
    assert (code, err) == (0, "")
    assert "a lies left of b: D = 0." in out
    assert "p < 0.001, at equal complexity D = 0." in out
    folder = tmp_path / "made.edf.a-b" / "report"
    with (folder / "edf.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["sample"] for row in rows] == FRAME["family"].tolist()
    assert float(rows[0]["error"]) == pytest.approx(FRAME["error"][0], rel=1e-5)
    found = json.loads((folder / "edf.json").read_text())["main"]
    assert found["pairs"][0]["better"] == "a"
    assert [s["models"] for s in found["samples"]] == [60, 60]
    assert found["samples"][0]["best_ranges"]["lr"][0] >= 0.1
    result = zf.edf(dict(iter(FRAME.groupby("family"))), complexities=["params"])
    assert json.loads(json.dumps(document(Study(result.comparison))["main"]["pairs"])) == found["pairs"]
    assert result.differences().loc[("a", "b"), "better"] == "a"
    assert result.metrics()["D.a.b"] == found["pairs"][0]["plain"]["difference"]["d"]
    assert set(result.figures()) == {path.name.split(".")[1] for path in folder.glob("edf.*.png")}
    page = (folder / "edf.html").read_text()
    assert "a lies left of b" in page
    assert len(page) - len(get_plotlyjs()) < 2e6
    assert "http://" not in page.replace("http://www.w3.org", "").split("<body>")[-1].split("<script")[0]


def test_the_order_of_the_rows_changes_no_difference() -> None:
    shuffled = FRAME.sample(frac=1, random_state=3)
    found = [zf.edf(dict(iter(f.groupby("family"))), complexities=["params"], resamples=100) for f in (FRAME, shuffled)]
    values = [{n: v for n, v in each.metrics().items() if not n.startswith("p")} for each in found]
    assert values[0] == pytest.approx(values[1])


@pytest.mark.skipif(not TIMM.exists(), reason=f"{TIMM} is absent")
def test_published_families_differ_as_scipy_says() -> None:
    table = pd.read_parquet(TIMM).dropna(subset=["top1_error"])
    found = {name: table[table["family"] == name] for name in ("resnet", "convnext")}
    result = zf.edf(found, error="top1_error", complexities=["params_millions"], resamples=100)
    oracle = ks_2samp(found["resnet"]["top1_error"], found["convnext"]["top1_error"], method="asymp")
    [row] = result.differences().to_dict("records")
    assert (row["d"], row["p_asymptotic"]) == pytest.approx((oracle.statistic, oracle.pvalue))


def test_equal_samples_show_no_difference() -> None:
    rng = np.random.default_rng(5)
    result = zf.edf({"x": rng.normal(20, 2, 200), "y": rng.normal(20, 2, 150)})
    assert result.verdicts[0].startswith("no difference is shown between x and y: D = ")


def test_samples_that_cross_are_neither_better() -> None:
    rng = np.random.default_rng(6)
    result = zf.edf({"narrow": rng.normal(20, 0.5, 300), "wide": rng.normal(20, 5, 300)})
    assert result.verdicts[0].startswith("narrow and wide cross, neither is better everywhere")
    assert result.comparison.pairs[0].better is None


def test_models_without_an_error_are_counted_and_named() -> None:
    errors = np.array([np.nan, *range(10, 25), np.nan])
    compared = compare([sample("x", errors), sample("y", np.arange(12.0))], Settings())
    assert compared.notes() == ["x: 2 models without an error, left out (rows 1, 17)"]
    assert len(compared.distributions[0].plain.errors) == 15


def test_scores_may_be_negative_and_have_no_area() -> None:
    result = zf.edf({"x": -np.arange(12.0), "y": np.arange(12.0)})
    assert [one.area for one in result.comparison.distributions] == [None, None]


def test_limits_are_strict() -> None:
    cost = np.arange(30.0)
    compared = compare(
        [sample("x", np.arange(30.0), cost), sample("y", np.arange(30.0), cost)],
        Settings(("params",), {"params": (5.0, 20.0)}),
    )
    assert compared.distributions[0].sample.complexities["params"].tolist() == list(range(6, 20))
    assert compared.notes()[0] == "x: 16 models outside the limits of params, left out"


def test_a_sweep_of_the_original_study_is_read(tmp_path: Path) -> None:
    read, worse = read_sweep(sweep(tmp_path / "resnet.json", 5)), read_sweep(sweep(tmp_path / "vanilla.json", 9))
    assert set(read.complexities) == {"params", "flops"}
    assert set(read.parameters) == {"base_lr", "wd", "ds1", "ds2", "ds3", "ws1", "ws2", "ws3"}
    assert compare([read, worse], Settings(("flops",))).pairs[0].better == "resnet"


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        ({"error": [10.0] * 120}, [], "sample 'a': all 60 models have the same error, 10"),
        ({"error": -FRAME["error"]}, [], "column 'error', row 1: an error in percent lies from 0 to 100, but got -"),
        ({"error": FRAME["error"] * 9}, [], "an error in percent lies from 0 to 100, but got "),
        ({"error": FRAME["error"] / 100}, [], "no value is above 1 (largest: "),
        ({}, ["--unit", "fraction"], "row 1: an error in fraction lies from 0 to 1, but got "),
        ({"error": ["x"] * 120}, [], "column 'error': numbers are needed, but got 'x'."),
        ({"family": ["a"] * 115 + ["b"] * 5}, [], "sample 'b': at least 10 models are needed, but got 5."),
        ({"family": ["a"] * 120}, [], "two or more samples are needed, but got a."),
        ({"params": np.r_[np.linspace(1, 2, 60), np.linspace(3, 4, 60)]}, [], "do not overlap in params: their ranges"),
        ({"error": [True, False] * 60}, [], "column 'error': numbers are needed, but got True."),
        ({}, ["--complexity", "error"], "sample 'a' has no complexity 'error'. It has: "),
        ({}, ["--accuracy", "error"], "--accuracy error: this is the name of an error. Give --error error"),
        ({}, ["--only", "a", "--by", ""], "--only goes with --by COLUMN."),
        ({}, ["--limit", "=1:2"], "--limit: NAME=LOW:HIGH is needed, but got '=1:2'."),
        ({}, ["--by", "famly"], "has no column 'famly'. Did you mean 'family'?"),
        ({}, ["--only", "a,c"], "no model has family = 'c'."),
        ({}, ["--error", "eror"], "has no column 'eror'. Did you mean 'error'?"),
        ({}, ["--complexity", "flops"], "sample 'a' has no complexity 'flops'. It has: "),
        ({}, ["--complexity", "a,b,c"], "--complexity: at most two names, or none"),
        ({}, ["--by", "lr >"], "--by: 'lr >' is not a condition"),
        ({}, ["--params", "5"], "--params: two numbers LOW:HIGH are needed"),
        ({}, ["--params", "5:1"], "--params: `0 <= low < high` must hold"),
        ({}, ["--preset", "resnet"], "--preset: there is no preset 'resnet'. Known: resnet56."),
        ({}, ["--train", "3"], "give tables of errors (--table FILE, --nds FILE), or spaces"),
        ({}, ["--space", "resnet", "--space", "regnet"], "one space goes with --table"),
    ],
)  # fmt: skip
def test_wrong_input_is_one_message(
    change: dict[str, object], options: list[str], said: str, tmp_path: Path, zenfront: Zenfront
) -> None:
    FRAME.assign(**change).to_csv(tmp_path / "models.csv", index=False)
    by = [] if "--by" in options else ["--by", "family"]
    code, _, err = zenfront("edf", "--table", str(tmp_path / "models.csv"), *by, *options, "--runs", str(tmp_path))
    assert code == 2
    assert said in " ".join(err.split())


@pytest.mark.parametrize(
    ("samples", "options", "said"),
    [
        ({"a": ["x"] * 12, "b": np.arange(12.0)}, {}, "sample 'a': numbers are needed, but got ['x', 'x'"),
        ({"a": np.ones((12, 2)), "b": np.arange(12.0)}, {}, "sample 'a': one error for each model is needed"),
        ({"a": [np.nan] * 12, "b": np.arange(12.0)}, {}, "sample 'a': at least 10 models are needed, but got 0."),
        ({"a": {"loss": np.arange(12.0)}}, {}, "sample 'a' has no column 'error'. It has: loss."),
        ({"a": {"error": np.arange(12.0), "params": [1, 2]}}, {}, "all columns must have one length"),
        ({"a": np.arange(12.0), "b": np.arange(12.0)}, {"complexities": "params"}, "a list of at most two names"),
        ({"a": np.arange(12.0), "b": np.arange(12.0)}, {"complexities": ["params"]}, "has no complexity 'params'"),
        ({"a": np.arange(12.0), "b": np.arange(12.0)}, {"bins": 0}, "bins: at least 1 is needed, but got 0."),
        ({"a": np.arange(12.0), "b": np.arange(12.0)}, {"resamples": 10}, "resamples: at least 100 is needed"),
        ({"a": np.arange(12.0), "b": np.arange(12.0)}, {"epsilon": 0.0}, "epsilon: a number above 0"),
        ({"a": np.arange(12.0), "b": np.arange(12.0)}, {"limits": {"params": (2, 1)}}, "`low < high` must hold"),
        (
            {name: {"error": np.arange(12.0), "params": [np.nan, *range(11)]} for name in "ab"},
            {"complexities": ["params"], "limits": {"params": (2, 9)}},
            "got 6. a: 1 model without params, left out. a: 5 models outside the limits of params, left out.",
        ),
        ({"a": np.arange(12.0)}, {}, "two or more samples are needed, but got a."),
    ],
)
def test_wrong_arguments_of_python_are_one_message(
    samples: dict[str, object], options: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError) as error:
        zf.edf(samples, **options)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[", "as a sweep in JSON"),
        ("[" * 100_000, "as a sweep in JSON"),
        ('[{"params": 1' + "0" * 400 + "}]", "job 1: a number is needed in 'params', but got 1"),
        ("[]", "a sweep is a list of jobs, but got an empty list."),
        ("{}", "a sweep is a list of jobs, but got dict"),
        ('[{"params": 1, "flops": 2}]', "job 1: a number is needed in 'min_test_top1', but got None"),
        ('[{"params": 1, "flops": 2, "min_test_top1": -1}]', "min_test_top1, row 1: an error in percent lies from 0"),
    ],
)
def test_a_damaged_sweep_is_one_message(text: str, said: str, tmp_path: Path, zenfront: Zenfront) -> None:
    (tmp_path / "bad.json").write_text(text)
    code, _, err = zenfront("edf", "--nds", str(tmp_path / "bad.json"), "--runs", str(tmp_path))
    assert (code, said in " ".join(err.split())) == (2, True)
