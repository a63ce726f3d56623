"""`zenfront edf` on search spaces: what is wrong is said before anything is drawn, and settings are compared."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import zenfront as zf
from zenfront.pipeline.cli.evaluation import edf
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.evaluation.design_spaces.comparison import Comparison, compare
from zenfront.pipeline.evaluation.design_spaces.model_sample import ModelSample
from zenfront.pipeline.evaluation.design_spaces.robustness import rank_correlation, setting_table, varied_ranges
from zenfront.pipeline.evaluation.design_spaces.sampling import Drawing
from zenfront.pipeline.evaluation.design_spaces.settings import Settings
from zenfront.pipeline.evaluation.design_spaces.wording import order_table
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.experiment.config_file import load_experiment
from zenfront.pipeline.stages.search import drawing
from zenfront.pipeline.stages.search.drawing import draw_architectures

Zenfront = Callable[..., tuple[int, str, str]]
TWO = ("edf", "smoke", "--space", "nats_sss", "--space", "supernet64")
TRAIN = (*TWO, "--train", "20")
N = 20


def model_sample(name: str, shift: float, rng: np.random.Generator) -> ModelSample:
    """Errors that grow with the gene ``w``, the same architectures whatever the generator."""
    w = np.arange(N, dtype=float)
    errors = shift + w + rng.normal(0, 0.5, N)
    costs = {"params": 1000 - 10 * w, "flops": w + 1}
    return ModelSample(name, errors, costs, {"w": w}, architectures=[f"{name}-{i}" for i in range(N)])


@dataclass
class MadeUpSpace:
    """A drawn space with made-up errors: supernet64 is better, but not at the learning rate 9."""

    study: Experiment
    drawing: Drawing
    number: int
    trained: bool = False
    size: int = N

    def costs(self) -> ModelSample:
        return self.scores("")

    def scores(self, name: str) -> ModelSample:
        return model_sample(self.study.space, -50, np.random.default_rng(self.number))

    def train(self, _: object) -> ModelSample:
        self.trained = True
        better = (self.study.space == "supernet64") != (self.study.train.recipe.learning_rate == 9)
        return model_sample(self.study.space, 20 if better else 40, np.random.default_rng(self.number))


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[MadeUpSpace]:
    """Spaces that the command has drawn."""
    spaces: list[MadeUpSpace] = []

    def draw(experiment: Experiment, drawing: Drawing, *_: object) -> MadeUpSpace:
        spaces.append(MadeUpSpace(experiment, drawing, len(spaces)))
        return spaces[-1]

    monkeypatch.setattr(edf, "draw_space", draw)
    return spaces


def test_other_settings_keep_or_reverse_the_order(drawn: list[MadeUpSpace], zenfront: Zenfront, tmp_path: Path) -> None:
    rates = "train.recipe.learning_rate=0.1,0.2,9"
    code, out, err = zenfront(*TRAIN, "--vary", rates, "--scores", "zen", "--complexity", "none")
    assert (code, err) == (0, "")
    assert "supernet64 lies left of nats_sss" in out
    names = [space.study.name.removeprefix("smoke.edf.") for space in drawn]
    assert names[:4] == ["nats_sss", "supernet64"] * 2, "0.1 is the rate of the experiment: nothing is trained twice"
    assert names[4:] == [f"{space}.learning_rate-{r}" for r in ("0.2", "9") for space in ("nats_sss", "supernet64")]
    assert [space.drawing.scored for space in drawn] == [20, 20, 0, 0, 0, 0, 0, 0]
    order = out.split("Order under other settings")[1].split("Errors under other settings")[0]
    found = [line.split()[-1] for line in order.splitlines() if "learning_rate" in line]
    assert found == ["kept", "kept", "reversed"]
    folder = tmp_path / "runs" / "smoke.edf.nats_sss-supernet64" / "report"
    stored = json.loads((folder / "edf.json").read_text())
    assert list(stored["settings"]) == [f"train.recipe.learning_rate={rate}" for rate in ("0.1", "0.2", "9")]
    page = (folder / "edf.html").read_text()
    assert "Best ranges of hyper-parameters" in page
    assert "supernet64, all settings" in page


def test_the_table_of_the_models_gives_the_same_values_again(
    drawn: list[MadeUpSpace], zenfront: Zenfront, tmp_path: Path
) -> None:
    assert zenfront(*TRAIN)[0] == 0
    path = tmp_path / "runs" / "smoke.edf.nats_sss-supernet64" / "report" / "edf.csv"
    table = pd.read_csv(path)
    assert set(table) == {"sample", "error", "weight", "params", "flops", "w", "architecture"}
    assert table["architecture"].tolist()[-1] == f"supernet64-{N - 1}"
    result = zf.edf(dict(iter(table.groupby("sample"))), complexities=["params"])
    found = json.loads(path.with_suffix(".json").read_text())["main"]
    assert result.metrics()["D_equal.nats_sss.supernet64"] == pytest.approx(
        found["pairs"][0]["normalised"]["difference"]["d"]
    )
    code, out, _ = zenfront("edf", "--table", str(path), "--by", "sample", "--set", "name=again")
    assert (code, "supernet64 lies left of nats_sss" in out) == (0, True)


def test_spaces_without_overlap_are_not_trained(drawn: list[MadeUpSpace], zenfront: Zenfront) -> None:
    code, _, err = zenfront(*TRAIN, "--limit", "flops=1e9:2e9")
    assert (code, [space.trained for space in drawn]) == (2, [False, False])
    assert "got 0. nats_sss: 20 models outside the limits of flops" in " ".join(err.split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((*TWO, "--train", "3"), "--train: at least 10 architectures of each space are needed, but got 3."),
        ((*TWO, "--sample", "9", "--scores", "zen"), "--sample: at least 10 architectures"),
        ((*TWO, "--sample", "20"), "--sample N goes with --scores NAMES."),
        ((*TWO, "--scores", "zen"), "give tables of errors"),
        ((*TWO, "--sample", "20", "--scores", "zen", "--vary", "search.seed=1,2"), "--vary goes with --train N."),
        (("edf", "smoke", "--space", "resnet", "--train", "20"), "two or more spaces are needed, but got resnet"),
        ((*TRAIN, "--space", "nats_sss"), "different spaces are needed, but got 'nats_sss' more than once."),
        ((*TRAIN, "--space", "restnet"), "restnet"),
        ((*TRAIN, "--scores", "zenn"), "Did you mean 'zen'?"),
        ((*TRAIN, "--by", "family"), "--by goes with --table, not with spaces."),
        ((*TRAIN, "--serial"), "--serial goes with --sample N: networks are trained on Ray."),
        ((*TRAIN, "--range", "w"), "--range goes with --table"),
        ((*TRAIN, "--vary", "learning_rate"), "--vary: KEY=VALUE,VALUE is needed"),
        ((*TRAIN, "--vary", "train.recipe.rate=1,2"), "train.recipe.rate"),
        ((*TRAIN, "--vary", "train.data.source=digits,./nowhere"), "nowhere"),
        ((*TRAIN, "--complexity", "param"), "'param' is no complexity of a space."),
        ((*TRAIN, "--complexity", "params,flops,depth"), "--complexity: at most two names"),
        ((*TRAIN, "--limit", "latency=1:2"), "'latency' is no complexity of a space. Known: flops, params, depth"),
        (("edf", "--nds", "a.json", "--nds", "b.json", "--by", "x"), "--by goes with --table, not with --nds."),
        (("edf", "--nds", "a.json", "--scores", "zen"), "--scores goes with spaces"),
    ],
)
def test_wrong_options_are_found_before_anything_is_drawn(
    words: tuple[str, ...], said: str, drawn: list[MadeUpSpace], zenfront: Zenfront
) -> None:
    code, out, err = zenfront(*words)
    assert (code, out, drawn) == (2, "", [])
    assert said in " ".join(err.split())


def test_a_space_with_fewer_architectures_is_taken_as_a_whole(
    drawn: list[MadeUpSpace], zenfront: Zenfront, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "TRIES", 500)
    _, out, _ = zenfront(*TWO, "--sample", "3000", "--scores", "zen")
    assert f"nats_sss has fewer than 3,000 different architectures within the limits: all {N} that" in " ".join(
        out.split()
    )
    experiment = load_experiment("smoke", ["space=supernet64"])
    assert len(draw_architectures(experiment, 100, least=10)) == 64
    with pytest.raises(UserError, match="after 64"):
        draw_architectures(experiment, 100)


def test_p_values_of_scores_are_corrected_for_their_number() -> None:
    """Holm: of two tests, the smaller p is doubled; one that is then no longer below 0.05 decides nothing."""
    near, far = compared(23), compared(10)
    p = near.pairs[0].test.p
    assert 0.025 < p < 0.05
    columns, rows = order_table(far, {"far": far, "near": near, "again": near}, "score")
    table = [dict(zip(columns, row, strict=True)) for row in rows]
    assert [row["better"] for row in table] == ["a", "undecided", "undecided"]
    assert [row["order of the errors"] for row in table] == ["-", "not shown", "not shown"]
    assert [row["p, Holm"] for row in table][1] == f"{2 * p:.3g}"


def compared(shift: float, seed: int = 0) -> Comparison:
    rng = np.random.default_rng(seed)
    return compare([model_sample("a", shift, rng), model_sample("b", 30, rng)], Settings())


def test_settings_are_compared_by_median_and_by_the_order_of_the_models() -> None:
    main, other = compared(10), compared(20, 1)
    columns, rows = setting_table(main, {"rate=2": other})
    assert columns == ["setting", "a: median", "τ of the models", "b: median", "τ of the models"]
    assert [row[0] for row in rows] == ["as given", "rate=2"]
    assert float(str(rows[1][1])) == pytest.approx(float(np.median(other.distributions[0].sample.errors)), abs=0.1)
    assert float(str(rows[1][2])) > 0.8


def test_models_that_two_samples_share_are_ranked_by_both() -> None:
    first = ModelSample("a", np.array([1.0, 2, 3, 9]), architectures=["p", "q", "r", "s"])
    second = ModelSample("a", np.array([30.0, 20, 10, 0]), architectures=["p", "q", "r", "t"])
    assert rank_correlation(first, second) == pytest.approx(-1)
    assert rank_correlation(first, ModelSample("a", np.arange(4.0))) is None


def test_the_best_learning_rate_is_found_over_all_settings() -> None:
    settings = {f"lr={rate}, data=d{rate}": compared(10 + 30 * abs(rate - 2)) for rate in (1, 2, 3)}
    found = varied_ranges(settings)
    assert found["a"] == {"lr": (2, 2, 2)}
    assert set(found["b"]) == {"lr"}, "a value that is no number has no range"
    assert varied_ranges({}) == {}


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.usefixtures("ray_session")
def test_spaces_are_trained_once_on_ray(zenfront: Zenfront, tmp_path: Path) -> None:
    settings = ("--set", "train.epochs=1", "--set", "train.data.limit=60", "--set", "search.repeats=1")
    asked = (*TWO, "--train", "10", "--complexity", "none", *settings)
    code, out, err = zenfront(*asked)
    assert (code, err) == (0, "")
    runs = tmp_path / "runs"
    ledgers = sorted(runs.glob("smoke.edf.*.study/*.json*"))
    before = [path.read_bytes() for path in ledgers]
    report = runs / "smoke.edf.nats_sss-supernet64" / "report"
    values = (report / "edf.json").read_bytes()
    code, _again, err = zenfront(*asked)
    assert (code, err) == (0, "")
    assert [path.read_bytes() for path in ledgers] == before
    assert (report / "edf.json").read_bytes() == values
    code, out, err = zenfront(*asked, "--scores", "synflow")
    assert (code, err, "Order by scores" in out) == (0, "", True)
