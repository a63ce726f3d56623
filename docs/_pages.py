"""Pages of the site that are made when it is built: the reference from the code, and documents of the root folder.

mkdocs calls the functions whose names begin with ``on_`` (``hooks`` in mkdocs.yml). These pages are kept nowhere.
"""

import re
from pathlib import Path
from typing import Any

from _commands import commands
from _keys import keys
from _names import python, scores, search_algorithms, search_spaces
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
ROOT_DOCUMENTS = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Replace each pattern in ``nav``, such as ``decisions/*.md``, by the files that it stands for."""
    config.nav = [_expanded(section, Path(config.docs_dir)) for section in config.nav or []]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made to those of the folder."""
    for uri, text in pages().items():
        files.append(File.generated(config, uri, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links to documents of the root folder lead to their pages; link decisions, and number the tests of a page."""
    names = "|".join(map(re.escape, ROOT_DOCUMENTS))
    up = "../" * page.file.src_uri.count("/")
    markdown = re.sub(rf"\]\((?:\.\./)+({names})", lambda link: f"]({up}{link[1].lower()}", markdown)
    markdown = re.sub(r"(?<!\[)\bdecision (\d+)", lambda named: _decision(named, up), markdown)
    return _numbered_tests(markdown) if page.file.src_uri == "faults.md" else markdown


def pages() -> dict[str, str]:
    """Return the Markdown of all pages that are made, by their paths within the site."""
    documents = {name.lower(): _of_root((ROOT / name).read_text(encoding="utf-8")) for name in ROOT_DOCUMENTS}
    return documents | {
        "decisions/index.md": decisions(),
        "reference/cli.md": commands(),
        "reference/experiment.md": keys(),
        "reference/python.md": python(),
        "reference/scores.md": scores(),
        "reference/spaces.md": search_spaces(),
        "reference/algorithms.md": search_algorithms(),
    }


def _expanded(section: Any, docs: Path) -> Any:
    if isinstance(section, dict):
        return {title: _expanded(entry, docs) for title, entry in section.items()}
    if isinstance(section, list):
        return [entry for item in section for entry in _matches(item, docs)]
    return section


def _matches(item: Any, docs: Path) -> list[Any]:
    if not isinstance(item, str) or "*" not in item:
        return [_expanded(item, docs)]
    return [str(Path(item).parent / "index.md"), *sorted(str(path.relative_to(docs)) for path in docs.glob(item))]


def _of_root(text: str) -> str:
    """Return a document of the root folder with its links to documents made relative to the site."""
    names = "|".join(map(re.escape, ROOT_DOCUMENTS))
    text = re.sub(rf"\]\(({names})", lambda link: f"]({link[1].lower()}", text)
    return text.replace("](docs/", "](")


def _decision(named: re.Match[str], up: str) -> str:
    """Return a link to the record of a decision, where there is one."""
    record = next((ROOT / "docs" / "decisions").glob(f"{int(named[1]):04}-*.md"), None)
    return f"[{named[0]}]({up}decisions/{record.name})" if record else named[0]


def _numbered_tests(markdown: str) -> str:
    """Replace the tests in the rows of tables, whose names are long, by numbers that lead to a list at the end."""
    named = re.compile(r"`((?:tests|zenfront/testing)/[\w/]+\.py::\w+)`")
    numbers = dict[str, int]()

    def number(test: re.Match[str]) -> str:
        place = numbers.setdefault(test[1], len(numbers) + 1)
        return f"[{place}](#test-{place})"

    lines = [named.sub(number, line) if line.startswith("|") else line for line in markdown.splitlines()]
    listed = [f"{place}. `{test}`{{ #test-{place} }}" for test, place in numbers.items()]
    return "\n".join([*lines, "", "## Tests", "", *listed]) + "\n"


def decisions() -> str:
    """Return the list of the decision records."""
    lines = ["# Decisions", "", "Each record states a question, the answer, and what speaks for and against it.", ""]
    for path in sorted((ROOT / "docs" / "decisions").glob("*.md")):
        title = path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        lines.append(f"- [{title}]({path.name})")
    return "\n".join(lines) + "\n"
