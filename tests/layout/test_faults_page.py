"""Every claim of docs/faults.md names an existing test."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))


def _defines(file: str, name: str) -> bool:
    """Return whether a file of tests defines a test; the contract tests inherit theirs from `zenfront.testing`."""
    sources = [ROOT / file]
    if file.startswith("tests/contract/"):
        sources += (ROOT / "zenfront" / "testing").glob("*.py")
    definition = re.compile(rf"^ *def {name}\(", re.MULTILINE)
    return (ROOT / file).is_file() and any(definition.search(path.read_text(encoding="utf-8")) for path in sources)


def test_every_test_that_the_page_names_exists() -> None:
    assert len(NAMED) > 50
    assert [f"{file}::{name}" for file, name in NAMED if not _defines(file, name)] == []


def test_every_row_names_a_test_or_says_why_there_is_none() -> None:
    rows = [
        line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith(("| fault ", "| claim "))
    ]
    assert len(rows) > 50
    assert [row for row in rows if "tests/" not in row and "not shown" not in row] == []
