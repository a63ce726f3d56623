"""What the documents tell a user to type exists."""

import re
import shlex
from pathlib import Path

import pytest

from zenfront.pipeline.checks import check
from zenfront.pipeline.experiment.config_file import load_experiment

ROOT = Path(__file__).parents[2]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md"))]
VERBS = set(re.findall(r"^([a-z-]+)[^:\n]*:(?!=)", (ROOT / "Justfile").read_text(encoding="utf-8"), re.MULTILINE))
STAGES = {"search", "select", "train", "report"}
COMMANDS = STAGES | {
    "run",
    "score",
    "correlate",
    "regret",
    "spaces",
    "proxies",
    "algorithms",
    "config",
    "sync",
    "ui",
    "--help",
}


def _commands(document: Path) -> list[list[str]]:
    """Lines of fenced code, and inline code, that begin with just or zenfront; several may be joined by &&."""
    text = document.read_text(encoding="utf-8")
    fenced = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    code = [line for block in fenced for line in block.splitlines()] + re.findall(r"`([^`\n]+)`", text)
    parts = [part.partition(" #")[0].strip() for line in code for part in re.split("&&|;", line)]
    return [shlex.split(part) for part in parts if re.match(r"(just|zenfront) ", part)]


def test_the_verbs_are_those_of_the_issue() -> None:
    assert STAGES | {"setup", "ui", "test", "check", "bench", "docs"} <= VERBS


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_command_in_a_document_exists(document: Path) -> None:
    for tool, verb, *rest in _commands(document):
        if not verb.isupper():
            assert {*verb.split("|")} <= (VERBS if tool == "just" else COMMANDS), f"{tool} {verb}"
        files = [word for word in rest if word.endswith(".yaml") and "*" not in word]
        assert all((ROOT / file).exists() for file in files), files


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_an_experiment_in_a_document_is_right(document: Path, tmp_path: Path) -> None:
    for block in re.findall(r"^```yaml\n(.*?)^```", document.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        (tmp_path / "shown.yaml").write_text(block, encoding="utf-8")
        check(load_experiment(tmp_path / "shown.yaml"))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_link_within_the_project_leads_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", document.read_text(encoding="utf-8"))
    assert [target for target in targets if not (document.parent / target).exists()] == []
