"""Whatever the text of an experiment, an architecture or a command line is: a value, or one message.

Each test draws some dozen inputs from a fixed seed. ``ZENFRONT_FUZZ=100000`` draws that many, from a new seed.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zenfront import spaces
from zenfront.pipeline.checks import check
from zenfront.pipeline.cli.app import main
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config_file import load_experiment, with_overrides
from zenfront.pipeline.seeds import numpy_generator

EXAMPLES = int(os.environ.get("ZENFRONT_FUZZ", "0"))
GIVEN = """\
name: right
space: anynet3
task: {channels: 1, height: 8, width: 8, classes: 10}
objectives: [{score: zen, direction: maximise}, {score: flops, direction: minimise}]
constraints: [{score: params, at_most: 2e5}]
proxies: {zen: {alpha: 0.1}}
search: {algorithm: nsga2, population: 8, evaluations: 16, seed: 0, batch: 8, repeats: 1}
select: {k: 3, rule: knee}
train: {epochs: 9, seeds: [0, 1], data: {source: digits, validation: 0.1}, recipe: {warmup_epochs: 1, flip: true}}
resources: {device: cpu, search: {workers: 1, memory: 2}}
tracking: {uri: null, experiment: x}
cluster: {address: null, storage: null, patience: 5}
"""
PIECES = [
    *("null", "~", "!!int ", "&a ", "*a", "|", ">", "%", "@", "`"),
    *( "true", "no", "[]", "{}", "''", "\n", "\t", ": ", "- ", "#"),
    *("0", "-1", "1e999", ".nan", "-.inf", "0x", "0o9", "1_000", "1:30", "2001-01-01"),
    *("9" * 30, "9" * 399, "9" * 5000, "x" * 300, "[" * 30, "./x.py", "a.b:C", "http://u:p@h"),
    *("{", "}", "[", "]", ",", '"', "'", "\\", "\x00", "\x1b[31m", "\ud7ff", "\u2028", "é", "..", "/", "../", "~/", "://"),
    *("task: auto", "latency", "nsga3", "stratified", "along: flops", "score: [", "digits", "a/b/c"),
    *("name: mlflow.db", "seeds: []", "rounds: 2", "baselines: [x]", "resize: {size: [1, 2]}"),
]  # fmt: skip
COMMANDS = [
    *("config", "spaces", "proxies", "algorithms", "select", "sync", "report", "score"),
    *("correlate", "regret", "edf"),
]  # fmt: skip
WORDS = [
    *("check", "show", "schema", "smoke", "right.yaml", "anynet3", "zen", "nsga2", "--set", "--runs"),
    *("--architecture", "d1=1,w1=16,b1=1,g1=1,d2=1,w2=32,b2=1,g2=1,d3=1,w3=64,b3=1,g3=1"),
    *("--proxies", "runs", "--space"),
    *("--sample", "--seed", "--truth", "right.yaml", "--nets", "--where", "flops < 1", "--rule"),
    *("--table", "--allow-code", "--trust-config", "--no-data", "--help", "--", "-h", "=", "", ".", "..", "/"),
    *("search.population=3", "objectives[9]=1", "train.seeds=[1]", "a[0", "a.b.c=", "space=", "task=auto"),
    *("--repeats", "flops,params", "front:zen", "/dev/null"),
]  # fmt: skip


def examples(count: int) -> settings:
    """Return how many inputs are drawn."""
    checks = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much]
    number, fixed = EXAMPLES or count, not EXAMPLES
    return settings(max_examples=number, derandomize=fixed, deadline=None, suppress_health_check=checks, database=None)


def survive(work: Callable[[], Any]) -> Any:
    """Return the value that some work gives, or None after a message."""
    try:
        return work()
    except UserError as error:
        message = str(error)
    assert 0 < len(message) < 50_000
    return None


@st.composite
def damaged(draw: st.DrawFn, text: str) -> str:
    """Draw a text with pieces of it removed, repeated, or replaced by others."""
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 12)))
        new = draw(st.sampled_from(PIECES) | st.text(max_size=8) | st.just(text[start : start + 40]))
        text = text[:start] + new + text[end:]
    return text


@given(text=damaged(GIVEN) | st.text(max_size=200), trust=st.booleans())
@examples(40)
def test_the_text_of_an_experiment(text: str, trust: bool, tmp_path: Path) -> None:
    file = tmp_path / "right.yaml"
    file.write_text(text, encoding="utf-8", errors="replace")
    survive(lambda: check(load_experiment(file, trust_config=trust)))


@given(data=st.data())
@examples(40)
def test_overrides_of_an_experiment(data: st.DataObject, tmp_path: Path) -> None:
    file = tmp_path / "right.yaml"
    file.write_text(GIVEN, encoding="utf-8")
    key = data.draw(damaged("objectives[0].score") | damaged("train.recipe.flip") | damaged("search.population"))
    value = data.draw(damaged("zen") | damaged("{a: [1, 2]}") | st.text(max_size=20))
    survive(lambda: load_experiment(file, [f"{key}={value}"]))
    survive(lambda: with_overrides(load_experiment(file), [f"{key}={value}"]))


@pytest.mark.parametrize("name", spaces.names())
@given(data=st.data(), number=st.integers(0, 1000))
@examples(5)
def test_notations_of_every_space(name: str, data: st.DataObject, number: int) -> None:
    space = spaces.load(name)
    text = data.draw(damaged(space.notation(space.sample(numpy_generator(number, "hostile")))) | st.text(max_size=60))
    if architecture := survive(lambda: space.architecture(space.parse(text))):
        assert space.architecture(space.parse(space.notation(architecture))) == architecture


@given(command=st.sampled_from(COMMANDS), words=st.lists(st.sampled_from(WORDS) | st.sampled_from(PIECES), max_size=6))
@examples(15)
@pytest.mark.usefixtures("_folder")
def test_arguments_of_the_command_line(command: str, words: list[str]) -> None:
    sys.argv = ["zenfront", command, *words]
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code in (0, 2, None)


@pytest.fixture
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", sys.argv)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZENFRONT_RUNS", str(tmp_path / "runs"))
    Path("right.yaml").write_text(GIVEN, encoding="utf-8")
