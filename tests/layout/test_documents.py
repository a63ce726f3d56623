"""Documents: each block of code is run or says why not, commands and experiments are right, links lead somewhere.

`tests/docs/test_pages_run.py` runs the blocks of shell and Python that no comment marks.
"""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from zenfront.pipeline.checks import check
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config_file import load_experiment

ROOT = Path(__file__).parents[2]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md"))]
LANGUAGES = {"sh", "python", "yaml", "toml", "json", "text", "csv", "dockerfile"}
MARKS = (r"not run: \w.{9,}", r"run by: (tests/[\w/]+\.py)::(\w+)")
Blocks = Callable[[Path], list[Any]]


def _wrong_mark(mark: str) -> str | None:
    """Return what is wrong with the comment before a block, or None."""
    if found := re.fullmatch(MARKS[1], mark):
        file = ROOT / found[1]
        named = file.is_file() and re.search(rf"^def {found[2]}\(", file.read_text(encoding="utf-8"), re.MULTILINE)
        return None if named else f"no test {found[1]}::{found[2]}"
    if not mark or re.fullmatch(MARKS[0], mark, re.DOTALL):
        return None
    return f"the comment before a block is `not run: REASON` or `run by: tests/FILE.py::TEST`, not `{mark}`"


def test_a_block_has_a_language_and_is_run_or_says_why_not(blocks: Blocks) -> None:
    found = [block for path in DOCUMENTS for block in blocks(path)]
    assert sum(block.language in ("sh", "python") for block in found) > 40
    wrong = [f"{b.place}: ```{b.language}: one of {sorted(LANGUAGES)}" for b in found if b.language not in LANGUAGES]
    code = [block for block in found if block.language in ("sh", "python")]
    wrong += [f"{b.place}: {problem}" for b in code if (problem := _wrong_mark(b.mark))]
    assert wrong == []


@pytest.mark.parametrize("mark", ["not run", "not run: slow", "run by: tests/none.py::test_x", "run by: hand", "todo"])
def test_a_mark_without_a_reason_or_a_test_is_wrong(mark: str) -> None:
    assert _wrong_mark(mark)


def _check_experiment(text: str, file: Path) -> None:
    """Check an experiment; keys without a `name` are changes of the quickstart."""
    file.write_text(text, encoding="utf-8")
    keys = yaml.safe_load(text)
    if "name" in keys:
        check(load_experiment(file, allow_code=True))
    else:
        check(load_experiment("quickstart", [f"{key}={json.dumps(value)}" for key, value in keys.items()]))


def test_an_experiment_in_a_document_is_right(blocks: Blocks, tmp_path: Path) -> None:
    """A Python block that begins with the name of a file lies beside the experiments of its document."""
    wrong = []
    for block in (block for path in DOCUMENTS for block in blocks(path)):
        if named := re.match(r"# (\w+\.py)\n", block.text):
            (tmp_path / named[1]).write_text(block.text, encoding="utf-8")
        if block.language == "yaml":
            try:
                _check_experiment(block.text, tmp_path / "shown.yaml")
            except UserError as error:
                wrong.append(f"{block.place}: {error}")
    assert wrong == []


def test_a_link_within_the_project_leads_somewhere() -> None:
    """`mkdocs build --strict` checks the pages of the site, with their anchors; README.md is none of them."""
    links = [
        (path, target)
        for path in ROOT.glob("*.md")
        for target in re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", path.read_text(encoding="utf-8"))
    ]
    assert len(links) > 10
    assert [f"{path.name}: {target}" for path, target in links if not (path.parent / target).exists()] == []


def _listed(entry: Any) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
    for within in entry.values() if isinstance(entry, dict) else entry if isinstance(entry, list) else ():
        yield from _listed(within)


def test_a_page_is_in_the_navigation_of_the_site() -> None:
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    listed = {path for pattern in _listed(settings["nav"]) for path in ROOT.glob(f"docs/{pattern}")}
    missing = [str(path.relative_to(ROOT / "docs")) for path in ROOT.glob("docs/**/*.md") if path not in listed]
    assert missing == [], "add them to a section of `nav` in mkdocs.yml"
