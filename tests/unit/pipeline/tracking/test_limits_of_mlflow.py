import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.utils import validation

from zenfront.pipeline.tracking import default_uri
from zenfront.pipeline.tracking._limits import KEY, METRICS_A_CALL, PAIRS_A_CALL, VALUE, chunks, cut, finite, flat, key


@given(st.text(min_size=1, max_size=300))
def test_mlflow_accepts_every_key(name: str) -> None:
    validation._validate_param(key(name), "value")
    validation._validate_metric(key(name), 1.0, 0, 0)
    validation._validate_tag(key(name), "value")


@pytest.mark.parametrize("name", ["val_accuracy", "train.recipe.batch_size", "best_zen", "version.torch", "a/b c:d-e"])
def test_a_legal_key_stays(name: str) -> None:
    assert key(name) == name


@pytest.mark.parametrize(("name", "legal"), [("acc[0]", "acc_0_"), ("../x", "_/x"), ("/x", "_/x"), ("a//b", "a/_/b")])
def test_an_illegal_key_is_changed(name: str, legal: str) -> None:
    assert key(name) == legal


def test_the_limits_lie_within_those_of_mlflow() -> None:
    assert validation.MAX_ENTITY_KEY_LENGTH >= KEY
    assert min(validation.MAX_PARAM_VAL_LENGTH, validation.MAX_TAG_VAL_LENGTH) >= VALUE
    assert validation.MAX_PARAMS_TAGS_PER_BATCH >= PAIRS_A_CALL
    assert validation.MAX_ENTITIES_PER_BATCH >= METRICS_A_CALL + 2 * PAIRS_A_CALL
    assert validation.MAX_BATCH_LOG_REQUEST_SIZE > 2 * PAIRS_A_CALL * (VALUE + KEY) + METRICS_A_CALL * (KEY + 60)


def test_a_long_text_is_cut() -> None:
    assert cut("abc", 3) == "abc"
    assert cut("abcd", 3) == "ab…"


def test_nested_values_become_dotted_names() -> None:
    nested = {"a": {"b": 1, "c": {}}, "d": [1, 2], "e": None}
    assert flat(nested) == {"a.b": "1", "a.c": "{}", "d": "[1, 2]", "e": "None"}


def test_values_that_are_not_finite_are_omitted() -> None:
    assert finite({"a": 1, "b": float("inf"), "c": float("nan")}) == {"a": 1.0}


def test_pieces() -> None:
    assert [list(piece) for piece in chunks([1, 2, 3], 2)] == [[1, 2], [3]]
    assert list(chunks([], 2)) == []


def test_importing_the_package_does_not_import_mlflow() -> None:
    code = "import sys, zenfront.pipeline.tracking; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", ["runs", "50%", "a%20b", "q?z", "x#y", "[v2]*", "with space", "über"])
def test_the_store_lies_in_the_runs_folder_whatever_its_name(name: str, tmp_path: Path) -> None:
    """SQLAlchemy takes what follows ``?`` as options and reads ``%20`` as a blank (RFC 3986)."""
    path, _, options = default_uri(tmp_path / name).removeprefix("sqlite:///").partition("?")
    assert (unquote(path), options) == (str(tmp_path / name / "mlflow.db"), "")
