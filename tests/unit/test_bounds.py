"""Every number, text and list of an experiment has a bound, and a wrong one costs neither time nor memory."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config_file import load_experiment, schema

Zenfront = Callable[..., tuple[int, str, str]]
SCHEMA = json.loads(schema())


def leaves(part: dict[str, Any], place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every part of the schema that describes a number, a text, a list or a mapping of any keys."""
    if "$ref" in part:
        part = SCHEMA["$defs"][part["$ref"].rpartition("/")[2]]
    yield place, part
    for key in ("anyOf", "oneOf", "prefixItems"):
        for member in part.get(key, ()):
            yield from leaves(member, place)
    for name, inside in part.get("properties", {}).items():
        yield from leaves(inside, f"{place}.{name}".removeprefix("."))
    for key in ("items", "additionalProperties"):
        if isinstance(part.get(key), dict):
            yield from leaves(part[key], f"{place}[]")


def test_everything_is_bounded() -> None:
    found = list(leaves(SCHEMA, ""))
    assert len(found) > 50
    needed = {
        "integer": ({"maximum", "exclusiveMaximum", "enum"}, {"minimum", "exclusiveMinimum", "enum"}),
        "number": ({"maximum", "exclusiveMaximum"}, {"minimum", "exclusiveMinimum"}),
        "string": ({"maxLength", "enum", "const"},),
        "array": ({"maxItems"},),
    }
    free = {"constraints[].at_most", "constraints[].at_least", "proxies[][]", "train.options[]", "supernet.genes[]"}
    unbounded = [
        (place, part)
        for place, part in found
        for bounds in needed.get(part.get("type", ""), ())
        if not bounds & part.keys() and not (place in free and part["type"] == "number")
    ]
    assert unbounded == []
    mappings = [part for _, part in found if isinstance(part.get("additionalProperties"), dict)]
    assert mappings
    assert all("maxProperties" in part for part in mappings)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("search.population=1000000000000000000", "search.population: must be less than or equal to 100000"),
        ("search.evaluations=1000000000000000000", "search.evaluations: must be less than or equal to"),
        ("task.height=1000000000", "task.height: must be less than or equal to 32768"),
        ("task={channels: 3, height: 30000, width: 30000, classes: 9}", "an image of a task must have at most 67"),
        ("task={channels: 3, height: 4700, width: 4700, classes: 9}", "train.recipe.batch_size: a mini-batch "),
        (f"train.seeds={list(range(2000))}", "train.seeds: must have at most 1000 items"),
        (f"search.seed={'9' * 400}", "search.seed: must be less than 9223372036854775808"),
        (f"search.seed={'9' * 5000}", "a number has at most 400 digits, but this one 5000"),
        (f"search.seed=0x{'f' * 5000}", "a number has at most 400 digits, but this one 5002"),
        (f"space={'x' * 5000}", "space: there is no search space named 'xxx"),
        (f"objectives[0].score={'x' * 5000}", "objectives[0].score: there is no proxy named 'xxx"),
        (f"name={'x' * 5000}", "name: must have at most 100 characters"),
        (f"train.data.source={'x/' * 5000}", "train.data.source: must have at most 4000 characters"),
        (f"{'a.' * 5000}b=1", "at most 20 levels"),
        (f"proxies.zen.{'o' * 5000}=1", "proxies.zen"),
        (f"proxies.zen.alpha={'9' * 400}", "proxies.zen.alpha: must be"),
        (f"{'x' * 5000}=1", "unknown key"),
        (f"select.k={'x' * 100_000}", "select.k: must be a whole number"),
        ("train.scheduler.reduction_factor=1.0000001", "must be greater than or equal to 1.01"),
        ("cluster.patience=1e300", "cluster.patience: must be less than or equal to 10000000"),
    ],
    ids=lambda text: str(text)[:40],
)  # fmt: skip
def test_what_is_out_of_bounds_is_one_short_message(override: str, said: str, zenfront: Zenfront) -> None:
    code, _, err = zenfront("config", "check", "smoke", "--no-data", "--set", override)
    assert code == 2
    assert said in err
    assert len(err) < 2500


@pytest.mark.parametrize(
    "words",
    [
        ("run", "x" * 5000),
        ("run", "x" * 5000 + ".yaml"),
        ("run", "x/" * 5000),
        ("run", "smoke", "--runs", "x" * 5000),
        ("report", "x" * 5000),
        ("select", "x" * 300),
        ("sync", "x\x00y"),
        ("spaces", "x" * 5000),
        ("spaces", "anynet3", "--sample", "9" * 5000),
        ("spaces", "anynet3", "--seed", "9" * 4000),
        ("spaces", "./" + "x" * 5000 + ".py"),
        ("score", "smoke", "--architecture", "d1=" + "9" * 5000),
        ("score", "smoke", "--architecture", "x" * 100_000),
        ("score", "smoke", "--architecture", "d1=1", "--repeats", "9" * 4000),
        ("score", "smoke", "--architecture", "d1=1", "--proxies", "x" * 5000),
        ("score", "smoke", "--architecture", "d1=1", "--space", "x/" * 5000 + "y.py"),
        ("correlate", "smoke", "--truth", "x" * 5000),
        ("correlate", "smoke", "--train", "9" * 5000),
        ("regret", "smoke", "--truth", "t.parquet", "--nets", "9" * 5000),
        ("ui", "--port", "9" * 5000),
    ],
    ids=lambda words: " ".join(words)[:40],
)
def test_long_arguments_are_one_message(words: tuple[str, ...], zenfront: Zenfront) -> None:
    code, _, err = zenfront(*words)
    assert code == 2
    assert "Traceback" not in err


def test_only_the_first_mistakes_are_told(tmp_path: Path) -> None:
    (tmp_path / "many.yaml").write_text("".join(f"key{i}: 1\n" for i in range(5000)), encoding="utf-8")
    with pytest.raises(UserError) as caught:
        load_experiment(tmp_path / "many.yaml")
    lines = str(caught.value).splitlines()
    assert len(lines) == 101
    assert lines[-1] == "... and 4903 more."  # with the four keys that are missing


@pytest.mark.parametrize("name", ["mlflow.db", "MLflow.DB", "mlflow.db-wal", "mlflow.db-journal", "mlartifacts"])
def test_names_that_the_runs_folder_uses_are_reserved(name: str, zenfront: Zenfront) -> None:
    code, _, err = zenfront("search", "smoke", "--set", f"name={name}")
    assert code == 2
    assert f"name: must not be the name of MLflow's store in the runs folder, but got {name!r}." in err
    assert not Path("runs").exists()
