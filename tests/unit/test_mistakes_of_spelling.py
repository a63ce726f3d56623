"""Names and values that are spelled otherwise than the file needs them: each is reported, with what was meant."""

from collections.abc import Callable
from pathlib import Path

import pytest

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config_file import load_experiment

Zenfront = Callable[..., tuple[int, str, str]]
RIGHT = """\
name: right
space: anynet3
task: {channels: 1, height: 8, width: 8, classes: 10}
objectives:
  - {score: zen, direction: maximise}
  - {score: flops, direction: minimise}
search: {population: 8, evaluations: 16, seed: 0}
select:
  k: 3
train: {recipe: {flip: true}}
"""


def test_unknown_names_of_every_kind_are_reported_together(zenfront: Zenfront) -> None:
    text = RIGHT.replace("score: zen", "score: Zan").replace("space: anynet3", "space: anynet").replace("k: 3", "k: x")
    overrides = ["--set", "search.algorithm=NSGA-II", "--set", "train.scheduler.name=ASHA"]
    Path("wrong.yaml").write_text(text, encoding="utf-8")
    code, _, err = zenfront("config", "check", "wrong.yaml", *overrides)
    assert code == 2
    lines = err.replace("zenfront: ", "").splitlines()
    assert [line.split(": ")[1] for line in lines] == [
        "space",
        "objectives[0].score",
        "select.k",
        "search.algorithm",
        "train.scheduler.name",
    ]
    assert [line.partition("Did you mean ")[2].split("?")[0] for line in lines] == [
        "'anynet3'",
        "'zen'",
        "",
        "'nsga2'",
        "'asha'",
    ]


@pytest.mark.parametrize(
    ("right", "written", "said"),
    [
        (
            "evaluations: 16",
            "evaluations: '200,000'",
            "line 7: search.evaluations: must be a whole number, but got '200,000'. Write a number without separators.",
        ),
        (
            "evaluations: 16",
            "evaluations: 200,000",
            "line 7: a key must be text. In braces a comma begins a new key: write a number without commas.",
        ),
        (
            "recipe: {flip: true}",
            'data: {source: "C:\\Users"}',
            "but found 's'. In double quotes a backslash begins an escape: put the text in single quotes.",
        ),
    ],
)
def test_what_yaml_made_of_a_value_is_said(right: str, written: str, said: str, zenfront: Zenfront) -> None:
    assert right in RIGHT
    Path("wrong.yaml").write_text(RIGHT.replace(right, written), encoding="utf-8")
    code, _, err = zenfront("config", "check", "wrong.yaml")
    assert code == 2
    assert said in err


@pytest.mark.parametrize(
    ("place", "override"),
    [
        ("zzz", "zzz=1"),
        ("task.zzz", "task.zzz=1"),
        ("search.zzz", "search.zzz=1"),
        ("train.recipe.zzz", "train.recipe.zzz=1"),
        ("train.recipe.zzz", "train.recipe={preset: pycls_cifar, zzz: 1}"),
        ("train.data.resize.zzz", "train.data.resize={size: 8, zzz: 1}"),
        ("train.baselines[0].zzz", "train.baselines=[{random: 2, zzz: 1}]"),
        ("train.metric.zzz", "train.metric={name: rmse, direction: minimise, zzz: 1}"),
        ("objectives[1].zzz", "objectives[1]={score: flops, direction: minimise, zzz: 1}"),
        ("constraints[0].zzz", "constraints=[{score: params, at_most: 1, zzz: 1}]"),
        ("supernet.zzz", "supernet.zzz=1"),
        ("supernet.norm.zzz", "supernet.norm.zzz=1"),
        ("supernet.prune.zzz", "supernet.prune={every: 1, zzz: 1}"),
        ("supernet.settings.mine.zzz", "supernet.settings.mine.zzz=1"),
        ("supernet.settings.mine.norm.zzz", "supernet.settings.mine.norm.zzz=1"),
    ],
)
def test_an_unknown_key_is_named_in_every_kind_of_section(place: str, override: str) -> None:
    with pytest.raises(UserError) as raised:
        load_experiment("smoke", [override])
    assert f"{place}: unknown key. Known here: " in str(raised.value)
