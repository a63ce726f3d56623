"""Experiments in YAML: reading, overriding and writing."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zenfront.pipeline.checks import check
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment._yaml_positions import dump, parse
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.experiment.config_file import load_experiment, schema, to_yaml, with_overrides

CONFIGS = Path(__file__).parents[2] / "tune_configs"
YAML_FILES = sorted(CONFIGS.glob("*.yaml"))
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(blacklist_categories=["Cs", "Cc"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc:# -'\"1", min_size=1), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("file", YAML_FILES, ids=lambda file: file.name)
def test_a_shipped_experiment_is_right_and_points_editors_to_the_schema(file: Path) -> None:
    check(load_experiment(file))
    assert file.read_text(encoding="utf-8").startswith("# yaml-language-server: $schema=schema.json\n")
    assert load_experiment(file).name == file.stem


def test_the_schema_for_editors_is_that_of_the_code() -> None:
    assert (CONFIGS / "schema.json").read_text(encoding="utf-8") == schema(), (
        "write it anew: zenfront config schema > tune_configs/schema.json"
    )


def test_every_key_of_the_schema_is_described() -> None:
    document = json.loads(schema())
    for model in [document, *document["$defs"].values()]:
        assert model["description"]
        assert all(key.get("description") for key in model.get("properties", {}).values()), model["title"]


@pytest.mark.parametrize("file", YAML_FILES, ids=lambda file: file.name)
def test_what_is_written_is_read_back(file: Path, tmp_path: Path) -> None:
    experiment = load_experiment(
        file, ["proxies.zen.mode='1e3'", "train.data.image=no", "search.seed=9007199254740993"]
    )
    copy = tmp_path / "copy.yaml"
    copy.write_text(to_yaml(experiment), encoding="utf-8")
    assert load_experiment(copy) == experiment


@given(PLAIN)
def test_dump_and_parse_are_inverse(value: object) -> None:
    assert parse(dump(value), "x").value == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        # YAML 1.2.2, section 10.3.2 and example 2.19: a comment is what YAML 1.1 (PyYAML) reads.
        ("1e6", 1_000_000),  # '1e6'
        ("685.230_15e+03", "685.230_15e+03"),  # 685230.15
        ("12e03", 12_000),  # '12e03'
        ("-.5", -0.5),
        ("0o14", 12),  # '0o14'
        ("014", 14),  # 12
        ("0xC", 12),
        ("1:30", "1:30"),  # 90
        ("no", "no"),  # False
        ("on", "on"),  # True
        ("2001-12-14", "2001-12-14"),  # a date
        ("0b11", "0b11"),  # 3
        ("=", "="),  # an error
        ("true", True),
        ("~", None),
        ("64.0", 64),
        ("1e-3", 0.001),
        ("'1e6'", "1e6"),
        ("!!str 1e6", "1e6"),
        ("9007199254740993", 9007199254740993),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    read = parse(f"x: {text}", "x").value["x"]
    assert read == value
    assert type(read) is type(value)


def test_a_bare_name_is_a_shipped_experiment_wherever_one_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_experiment("quickstart").name == "quickstart"


def test_a_file_here_comes_before_a_shipped_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tune_configs").mkdir()
    text = re.sub(r"^name: \w+", "name: mine", (CONFIGS / "smoke.yaml").read_text(encoding="utf-8"), flags=re.M)
    (tmp_path / "tune_configs/smoke.yaml").write_text(text, encoding="utf-8")
    assert load_experiment("smoke").name == "mine"


def _smoke(*overrides: str) -> Experiment:
    return load_experiment(CONFIGS / "smoke.yaml", overrides)


def test_overrides_change_values_lists_items_and_whole_parts() -> None:
    experiment = _smoke(
        "search.evaluations=1e3",
        "objectives[1].score=params",
        "train.seeds=[3, 4]",
        "proxies.zen.alpha=0.1",
        "select={k: 2, rule: knee}",
        "tracking.uri=http://host:5000/a=b",
        "resources.search.workers=auto",
    )
    assert experiment.search.evaluations == 1000
    assert experiment.search.population == _smoke().search.population
    assert [o.score for o in experiment.objectives] == ["zen", "params", "flops"]
    assert experiment.train.seeds == (3, 4)
    assert experiment.proxies == {"zen": {"alpha": 0.1}}
    assert (experiment.select.k, experiment.select.rule) == (2, "knee")
    assert experiment.tracking.uri == "http://host:5000/a=b"


def test_a_later_override_wins() -> None:
    assert _smoke("search.seed=1", "search.seed=2").search.seed == 2
    assert _smoke("search={seed: 1}", "search.batch=8").search.batch == 8


def test_an_experiment_that_is_loaded_already_can_be_overridden() -> None:
    changed = with_overrides(_smoke(), ["resources.train.workers=2"])
    assert changed.resources.train.workers == 2
    assert changed.identity() == _smoke().identity()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "at_most: 2e5",
            "at_most: 2e5, at_least: 3e5",
            "constraints[0]: constraint on 'params': `at_least <= at_most` must hold, "
            "but got (at_least=300000, at_most=200000).",
        ),
        (
            ", at_most: 2e5",
            "",
            "constraints[0]: a constraint on 'params' needs `at_most` or `at_least`, but got neither.",
        ),
        ("at_most: 2e5", "at_mots: 2e5", "constraints[0].at_mots: unknown key. Did you mean 'at_most'? Known here: "),
        ("at_most: 2e5", "at_most: many", "constraints[0].at_most: must be a number, but got 'many'."),
    ],
)
def test_a_wrong_bound_is_told_with_its_line(old: str, new: str, said: str, tmp_path: Path) -> None:
    text = (CONFIGS / "smoke.yaml").read_text(encoding="utf-8")
    line = next(number for number, content in enumerate(text.splitlines(), start=1) if old in content)
    (tmp_path / "wrong.yaml").write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(UserError) as caught:
        load_experiment(tmp_path / "wrong.yaml")
    assert str(caught.value).startswith(f"{tmp_path / 'wrong.yaml'}, line {line}: {said}")


def test_a_wrong_task_is_told_with_its_place() -> None:
    with pytest.raises(UserError, match=r"task\.channels: must be greater than or equal to 1, but got 0"):
        _smoke("task.channels=0")
    with pytest.raises(
        UserError, match=r"task\.depth: unknown key\. .*Known here: channels, height, width, classes, outputs"
    ):
        _smoke("task.depth=3")
