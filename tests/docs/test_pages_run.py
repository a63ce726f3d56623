"""The blocks of shell and Python of each page run from top to bottom, and print what the page shows.

A block with a comment `not run: ...` or `run by: ...` before it is left out; `tests/layout/test_documents.py` looks at
those. A Python block that begins with the name of a file is written to that file, and a YAML block to a file with its
name. A `text` block right after a block that runs is its output; numbers with a decimal point may differ.
"""

import ast
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import zenfront as zf

ROOT = Path(__file__).parents[2]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md"))]
Blocks = Callable[[Path], list[Any]]
Zenfront = Callable[..., tuple[int, str, str]]


def _runs(block: Any) -> bool:
    return block.language in ("sh", "python") and not block.mark


def _without_numbers(text: str) -> str:
    return " ".join(re.sub(r"\d+\.\d+", "#", text).split())


def _run_python(block: Any, names: dict[str, Any]) -> None:
    """Run a block as a notebook does: the value of a last expression is shown."""
    tree = ast.parse(block.text, block.place)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, block.place, "exec"), names)
    if isinstance(last, ast.Expr):
        value = eval(compile(ast.Expression(last.value), block.place, "eval"), names)
        if value is not None:
            print(repr(value))  # noqa: T201


def _run_shell(block: Any, zenfront: Zenfront) -> str:
    printed = ""
    for line in block.text.replace("\\\n", " ").splitlines():
        tool, *words = shlex.split(line, comments=True) or [""]
        assert tool in ("", "zenfront"), f"{block.place}: `{tool}` is not run here: mark the block"
        if tool:
            code, out, err = zenfront(*words)
            assert code == 0, f"{block.place}: {line}\n{err}"
            printed += out
    return printed


def _write(block: Any) -> bool:
    """Write a block that is a file, and return whether it is one."""
    named = re.match(r"# (\w+\.(?:py|toml))\n", block.text)
    named = named or (block.language == "yaml" and re.search(r"^name: (\w+)$", block.text, re.MULTILINE))
    if named:
        Path(named[1] + (".yaml" if block.language == "yaml" else "")).write_text(block.text, encoding="utf-8")
    return bool(named)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which a page runs, with some photos. MLflow, whose store takes seconds to set up, is left out."""
    monkeypatch.chdir(tmp_path)
    search = zf.search
    monkeypatch.setattr(zf, "search", lambda *config, **settings: search(*config, **settings, tracking=False))
    for index in range(24):
        place = tmp_path / "photos" / ("bee", "ant", "wasp")[index % 3] / f"{index}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 16), (10 * index, 80 * (index % 3), 0)).save(place)
    return tmp_path


@pytest.mark.global_rng  # torch's own modules draw their weights from it
@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_page_runs(path: Path, blocks: Blocks, zenfront: Zenfront, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {"__name__": "page"}
    printed = ""
    for block in blocks(path):
        if block.language == "text" and block.follows and printed:
            assert _without_numbers(block.text) in _without_numbers(printed), block.place
        printed = ""
        if _write(block) or not _runs(block):
            continue
        if block.language == "sh":
            printed = _run_shell(block, zenfront)
        else:
            _run_python(block, names)
            printed = capsys.readouterr().out
