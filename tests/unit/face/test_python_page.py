"""The code of docs/python.md runs, and what it prints has the form that the page shows."""

import re
from pathlib import Path
from typing import Any

import pytest

import zenfront as zf

PAGE = Path(__file__).parents[3] / "docs" / "python.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def without_numbers(text: str) -> list[str]:
    return re.sub(r"\d+\.\d+", "#", text).split()


def test_the_page_runs_from_top_to_bottom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without MLflow, whose store takes longer to set up than the page to run."""
    monkeypatch.chdir(tmp_path)
    search = zf.search
    monkeypatch.setattr(zf, "search", lambda *config, **settings: search(*config, **settings, tracking=False))
    names: dict[str, Any] = {"__name__": "page"}
    for block in blocks("python"):
        exec(compile(block, str(PAGE), "exec"), names)
    printed = capsys.readouterr().out
    scored, reason, run = blocks("text")
    assert without_numbers(printed)[: len(without_numbers(scored))] == without_numbers(scored)
    assert reason in printed
    assert repr(names["run"]) == run.strip()
    assert set(names["best"].index) <= set(names["front"].index) <= set(names["scores"].index)
    assert len(names["scores"]) == 24
    assert names["trained"].empty
    assert set(names["result"]) == {"meco", "flops"}


def test_the_page_names_everything_that_is_public() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert [name for name in zf.__all__ if name != "__version__" and f"`{name}`" not in text] == []
