"""The site builds without a warning, has a page for all that it promises, and loads nothing from elsewhere."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import zenfront as zf
from zenfront.pipeline.cli.app import app
from zenfront.pipeline.experiment.config_file import schema

ROOT = Path(__file__).parents[2]
LOADED = re.compile(r"<(?:link|script|img|iframe|source|object)\b[^>]*?(?:href|src|data)=[\"']?(?:https?:)?//[^>]*>")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return folder


def _page(site: Path, name: str) -> str:
    return (site / name).read_text(encoding="utf-8")


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    """A link that a reader follows is none of it."""
    pages = list(site.rglob("*.html"))
    assert len(pages) > 50
    assert [f"{page.name}: {tag}" for page in pages for tag in LOADED.findall(page.read_text(encoding="utf-8"))] == []
    styles = [style.read_text(encoding="utf-8") for style in site.rglob("*.css")]
    assert [
        found for text in styles for found in re.findall(r"(?:url\(|@import )[\"']?(?:https?:)?//[^)]*", text)
    ] == []


def test_every_command_and_option_is_in_the_reference(site: Path) -> None:
    page = _page(site, "reference/cli.html")
    group = typer.main.get_command(app)
    commands = dict(getattr(group, "commands", {}))
    assert len(commands) > 12
    config = commands.pop("config")
    leaves = commands | {f"config {name}": command for name, command in config.commands.items()}
    options = {option for command in leaves.values() for p in command.params for option in p.opts if "--" in option}
    assert [name for name in leaves if f"zenfront {name}<" not in page] == []
    assert [option for option in options if not re.search(rf"<code>(-\w, )?{option}\b", page)] == []


def test_every_key_is_in_the_reference(site: Path) -> None:
    page = _page(site, "reference/experiment.html")
    objects = json.loads(schema())
    keys = {key for found in [objects, *objects["$defs"].values()] for key in found["properties"]}
    places = {place.rpartition(".")[2] for place in re.findall(r'<code id="([\w.]+)">', page)}
    assert keys <= places
    assert "0.9 at equal FLOPs" in page


def test_every_public_name_is_in_the_reference(site: Path) -> None:
    page = _page(site, "reference/python.html")
    names = [name for name in zf.__all__ if name not in ("__version__", "proxies", "spaces")]
    assert [name for name in names if f"zenfront.{name}" not in page] == []
    assert "images:" in page or "images" in page


def test_a_page_that_is_nowhere_in_the_navigation_ends_the_build(tmp_path: Path) -> None:
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# A\n\n[b](index.md#nowhere)\n", encoding="utf-8")
    short = re.sub(r"^(hooks|extra_css):.*\n", "", settings, flags=re.MULTILINE)
    short = re.sub(r"^nav:\n.*", "nav: [index.md]\n", short, flags=re.MULTILINE | re.DOTALL)
    short = re.sub(r"^plugins:\n.*?\n\n", "plugins: []\n\n", short, flags=re.MULTILINE | re.DOTALL)
    (tmp_path / "mkdocs.yml").write_text(short, encoding="utf-8")
    (tmp_path / "docs" / "left_out.md").write_text("# C\n", encoding="utf-8")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict"]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode != 0
    assert "left_out.md" in result.stderr
    assert "#nowhere" in result.stderr
