"""An experiment with a training function: what does not fit is one message before anything is computed."""

from pathlib import Path

import pytest

from zenfront.pipeline.checks import cautions, check, read_task
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.experiment.config_file import load_experiment, to_yaml
from zenfront.pipeline.record.changes import Computed, check_changes
from zenfront.pipeline.scoring import Scoring

FUNCTION = "def train(network, *, epochs, seed, device, checkpoint, options):\n    yield {'rmse': 1.0}\n"
EXPERIMENT = """\
name: mine
space: anynet3
task: {channels: 1, height: 8, width: 8, outputs: 3}
objectives:
  - {score: zen, direction: maximise}
  - {score: flops, direction: minimise}
search: {population: 4, evaluations: 8, batch: 4}
train:
  function: ./mine.py
  metric: {name: rmse, direction: minimise}
  epochs: 2
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(FUNCTION, encoding="utf-8")
    (tmp_path / "mine.yaml").write_text(EXPERIMENT, encoding="utf-8")
    return tmp_path / "mine.yaml"


def load(config: Path, *overrides: str) -> Experiment:
    return load_experiment(config, overrides, allow_code=True, read_task=read_task)


def test_the_experiment_is_the_same_again_and_holds_the_function(config: Path) -> None:
    experiment = load(config)
    check(experiment)
    code = experiment.train_code
    assert code
    assert (code.kind, code.name, code.source) == ("training", "mine", FUNCTION)
    assert experiment.identity()["code"] == {"training": {"mine": f"content {code.digest[:16]}"}}
    config.write_text(to_yaml(experiment), encoding="utf-8")
    assert load(config).identity() == experiment.identity()
    assert experiment.train.recorded == "rmse"
    with pytest.raises(UserError, match="which runs with all your rights"):
        check(load_experiment(config.with_name("mine.yaml")).model_copy(update={"code": _unallowed(experiment)}))


def _unallowed(experiment: Experiment) -> tuple[object, ...]:
    (code,) = experiment.code
    return (type(code)(code.kind, code.name, code.attribute, code.file, code.source + "\n"),)


def test_scores_that_look_at_images_see_noise_and_say_so(config: Path) -> None:
    assert list(cautions(load(config))) == []
    experiment = load(config, "objectives[0].score=naswot")
    check(experiment)
    assert list(cautions(experiment)) == [
        "the task has outputs, so scores that look at images are taken on a mini-batch of noise"
    ]
    objectives = "[{score: ntk, direction: minimise}, {score: naswot, direction: maximise}]"
    scoring = Scoring.of(load(config, f"objectives={objectives}", "resources.device=cpu"))
    genes = {f"{gene}{i}": v for i in (1, 2, 3) for gene, v in {"d": 1, "w": 16, "b": 1, "g": 1}.items()}
    scores = scoring.score(scoring.space.architecture(genes))
    assert scores.failure is None
    assert set(scores.values) == {"ntk", "naswot"}


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("train.recipe.momentum=0.5", "train: `recipe` does not apply with `function`"),
        ("train.metric=accuracy", "train.metric: a task with outputs has no accuracy"),
        ("train.metric=balanced_accuracy", "`metric: balanced_accuracy` is of the training by `recipe`"),
        ("train.metric=acuracy", "train.metric: must be 'accuracy' or 'balanced_accuracy'"),
        ("train.metric={name: rmse}", "train.metric.direction: the key is missing: `maximise` or `minimise`."),
        ("train.metric={name: rmse, direction: up}", "train.metric.direction: must be 'maximise' or 'minimise'"),
        ("train.metric={name: rmse, goal: 1, direction: maximise}", "train.metric.goal: unknown key."),
        ("train.metric={name: accuracy, direction: maximise}", "`metric: accuracy` needs no direction"),
        ("train.metric={name: flops, direction: maximise}", "must not have the name of a score of the search"),
        ("train.objectives=[accuracy, flops]", "train.objectives: must name the metric, 'rmse'"),
        ("train.function=mine", "train.function: 'mine' names no code: write ./file.py"),
        ("train.function=./none.py", "train.function: cannot read ./none.py"),
        ("resources.train.devices=2", "resources.train.devices: a training function of your own (train.function) uses"),
        ("train.function=null", "`metric: rmse` is yielded by a `function`, but none is given"),
        ("train.options={a: [1]}", "train.options.a: must be "),
        ("train.data.source=./images", "train.data: images are read with their classes, but the task has outputs"),
        ("task=auto", "task: `auto` is read from the data, which `train.function` loads. Write the task out."),
        ("task.classes=3", "must have either `classes` or `outputs`"),
        ("objectives[0].score=zico", "the score 'zico' needs the classes of the images, but the task has outputs"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_message(
    override: str, said: str, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(config.parent)
    with pytest.raises(UserError) as caught:
        check(load(config, override))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("train = 3\n", "line 1: train: must be a function, but is a int."),
        ("def train(network, epochs):\n    yield {}\n", "line 1: train: must take (network, *, epochs, seed, device, "),
        ("def fit(network):\n    yield {}\n", "the file defines no train."),
    ],
)
def test_a_wrong_function_is_named_with_its_place(text: str, said: str, config: Path) -> None:
    (config.parent / "mine.py").write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        check(load(config))
    assert str(caught.value).startswith(str(config.parent / "mine.py"))
    assert said in str(caught.value)


def test_the_function_can_change_until_an_epoch_is_recorded(config: Path) -> None:
    before = load(config)
    (config.parent / "mine.py").write_text(FUNCTION.replace("1.0", "2.0"), encoding="utf-8")
    after = load(config)
    check_changes(config.parent, before, after, Computed(scores=True, epochs=False))
    with pytest.raises(UserError, match=r"code\.training\.mine: .* \(networks are trained with it\)"):
        check_changes(config.parent, before, after, Computed(scores=True, epochs=True))
