"""Wrong options of `zenfront supernet` have one message each, and nothing is trained or written before it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from zenfront.spaces import load

Zenfront = Callable[..., tuple[int, str, str]]
CONFIG = """
name: sharing
space: supernet64
task: {channels: 1, height: 8, width: 8, classes: 10}
objectives: [{score: params, direction: minimise}]
train:
  data: {source: digits, limit: 240}
  recipe: {batch_size: 24, warmup_epochs: 0}
  epochs: 2
supernet: {children: 8, instances: 2, last: 2}
"""


@pytest.fixture
def few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with an experiment, and a table of one architecture."""
    monkeypatch.chdir(tmp_path)
    Path("sharing.yaml").write_text(CONFIG)
    one = load("supernet64").decode([0, 0, 0])
    Path("one.csv").write_text(
        "\n".join([",".join([*dict(one.genes), "test_accuracy"]), ",".join([*map(str, dict(one.genes).values()), "9"])])
    )
    Path("wrong.csv").write_text("op_in_n1,op_in_n2,op_n1_n2,test_accuracy\nconv,max_pool_3x3,max_pool_3x3,9")


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--proxies", "zen"], "--proxies needs a ground truth: give --truth TABLE."),
        (["--steps", "step_"], "--steps needs a ground truth: give --truth TABLE."),
        (["--accuracy", "top1"], "--accuracy needs a ground truth"),
        (["--column", "architecture=arch"], "--column needs a ground truth"),
        (["--recorded", "--steps", "step_", "--truth", "one.csv"], "give one of them"),
        (["--recorded"], "holds no run"),
        (
            ["--set", "supernet.instances=1"],
            "at least 2 are needed without a ground truth, but got supernet.instances=1",
        ),
        (["--space", "regnet"], "space 'regnet' has no shared choices"),
        (["--space", "nasbench201", "--set", "supernet.children=null"], "has 15,625 architectures, and at most 4,096"),
        (["--set", "supernet.groups=3"], "(children=8, groups=3)"),
        (["--set", "supernet.children=null", "--set", "supernet.groups=7"], "(architectures=64, groups=7)"),
        (["--set", "supernet.last=1000"], "setting 'supernet': supernet.last: `last <= steps` must hold"),
        (["--set", "supernet.genes={op: 1}"], "has no gene 'op'"),
        (["--truth", "none.csv"], "cannot read none.csv"),
        (["--truth", "one.csv"], "of 8 architectures of the supernet: "),
        (["--truth", "one.csv", "--accuracy", "top1"], "one.csv has no column 'top1'"),
        (["--truth", "one.csv", "--column", "architecture=arch"], "there is no column 'arch'"),
        (["--truth", "wrong.csv"], "wrong.csv, row 1: "),
        (["--truth", "one.csv", "--proxies", "zenn"], "Did you mean 'zen'?"),
        (["--set", "train.data.source=no/folder"], "train.data.source"),
    ],
)
def test_wrong_options(options: list[str], said: str, zenfront: Zenfront) -> None:
    code, _, err = zenfront("supernet", "sharing.yaml", "--serial", *options)
    assert code == 2
    assert said in " ".join(err.split())
    assert not Path("runs").exists()
