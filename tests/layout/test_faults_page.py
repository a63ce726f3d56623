"""Every claim of docs/faults.md names an existing test."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`((?:tests|zenfront/testing)/[\w/]+\.py)::(\w+)`", PAGE)))


def _defines(file: str, name: str) -> bool:
    path = ROOT / file
    return path.is_file() and bool(
        re.search(rf"^(?:    )?def {name}\(", path.read_text(encoding="utf-8"), re.MULTILINE)
    )


def test_every_test_that_the_page_names_exists() -> None:
    assert len(NAMED) > 50
    assert [f"{file}::{name}" for file, name in NAMED if not _defines(file, name)] == []


def test_every_row_names_a_test_or_says_why_there_is_none() -> None:
    rows = [
        line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith(("| fault ", "| claim "))
    ]
    assert len(rows) > 50
    assert [row for row in rows if not re.search("tests/|zenfront/testing/|not shown", row)] == []
