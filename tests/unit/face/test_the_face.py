"""`import zenfront` is light, and every name is documented."""

import inspect
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

import zenfront as zf

HEAVY = {"torch", "ray", "mlflow", "pandas", "pymoo", "optuna", "numpy", "pydantic", "rich"}
FUNCTIONS = ["open_run", "run", "score", "search"]
METHODS = ["front", "scores", "trained"]


def modules_after(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter has after the code; what the code prints is no module."""
    script = f"{code}\nimport sys\nprint('modules', *{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_importing_zenfront_imports_nothing_heavy() -> None:
    assert not modules_after("import zenfront as zf; dir(zf); zf.__version__") & HEAVY


def test_scores_and_serial_searches_need_no_ray(tmp_path: Any) -> None:
    """Neither from Python nor by `zenfront score`; the search is the whole one, with its selection."""
    code = f"""
import os, sys
os.chdir({str(tmp_path)!r})
import zenfront as zf
zf.score("nasbench201", "|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|", "zen", task=(3, 8, 8, 5))
zf.search("smoke", backend="serial", tracking=False)
sys.argv = ["zenfront", "score", "smoke", "--proxies", "flops", "--architecture",
            "d1=1,w1=16,b1=1,g1=1,d2=1,w2=32,b2=1,g2=1,d3=1,w3=64,b3=1,g3=1"]
from zenfront.pipeline.cli.app import app
app(standalone_mode=False)
"""
    found = modules_after(code)
    assert "torch" in found
    assert not found & {"ray", "mlflow"}
    assert (tmp_path / "runs" / "smoke" / "front.json").exists()


def test_all_names_exist_and_no_other_does() -> None:
    assert all(getattr(zf, name) is not None for name in zf.__all__)
    assert set(zf.__all__) <= set(dir(zf))
    with pytest.raises(AttributeError, match="no attribute 'train'"):
        _ = zf.train  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", [name for name in zf.__all__ if name != "__version__"])
def test_every_name_is_documented(name: str) -> None:
    value = getattr(zf, name)
    assert len(inspect.getdoc(value) or "") > 60
    if inspect.isclass(value) and issubclass(value, zf.Run | zf.ScoreResult):
        documented = inspect.getdoc(value) or ""
        assert all(f"    {field}: " in documented for field in value.__dataclass_fields__)


@pytest.mark.parametrize("function", [*FUNCTIONS, *METHODS])
def test_arguments_results_and_errors_are_documented(function: str) -> None:
    value: types.FunctionType = getattr(zf if function in FUNCTIONS else zf.Run, function)
    documented = inspect.getdoc(value) or ""
    names = [name for name in inspect.signature(value).parameters if name != "self"]
    assert [name for name in names if f"\n    {name}: " not in documented] == []
    assert "\nReturns:\n" in documented
    assert "UserError: " in documented


def test_shapes_and_units_are_documented() -> None:
    assert {"(N, C, H, W)", "(N,)", "(N, K)", "int64", "float32"} <= {
        word for word in ["(N, C, H, W)", "(N,)", "(N, K)", "int64", "float32"] if word in (zf.score.__doc__ or "")
    }
    for method in METHODS:
        documented = (zf.Run.__doc__ or "") + (getattr(zf.Run, method).__doc__ or "")
        assert "unit of the proxy" in documented
        assert "fractions" in documented
        assert "seconds" in documented


def test_the_page_names_everything_that_is_public() -> None:
    text = (Path(__file__).parents[3] / "docs" / "python.md").read_text(encoding="utf-8")
    assert [name for name in zf.__all__ if name != "__version__" and f"`{name}`" not in text] == []
