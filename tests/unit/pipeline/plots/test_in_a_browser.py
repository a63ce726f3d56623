"""Pages in a real browser: Chromium without a window draws them and returns what it drew."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from html.parser import HTMLParser
from pathlib import Path

import pytest

from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.record.files.json_file import write_json
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.record.run_record import RunRecord
from zenfront.pipeline.results.front import Front
from zenfront.pipeline.results.stage_rows import Trained
from zenfront.pipeline.stages.report.stage import compare, report
from zenfront.pipeline.stages.select import select

FakeRun = Callable[..., tuple[Experiment, RunFolder]]
FakeTraining = Callable[[Experiment, RunFolder, Front], None]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OPTIONS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--enable-logging=stderr"),
    *("--dump-dom", "--virtual-time-budget=20000"),
]
WIDTHS = ["390", "1400"]
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


def _drawn(page: Path, profile: Path, width: str) -> tuple[str, list[str]]:
    """Return the document as drawn, and the lines of the console."""
    profile.mkdir()
    out, log = profile / "out.html", profile / "log.txt"  # no pipes, which processes that outlive it would keep open
    command = [str(CHROMIUM), *OPTIONS, f"--user-data-dir={profile}", f"--window-size={width},900", page.as_uri()]
    with out.open("w") as stdout, log.open("w") as stderr:
        browser = subprocess.Popen(command, stdout=stdout, stderr=stderr, start_new_session=True)
    try:
        assert browser.wait(timeout=240) == 0, log.read_text(encoding="utf-8")
    finally:
        with suppress(ProcessLookupError):
            os.killpg(browser.pid, signal.SIGKILL)  # its own processes alone
        browser.wait()
    return out.read_text(encoding="utf-8"), [line for line in log.read_text().splitlines() if ":CONSOLE" in line]


class _Points(HTMLParser):
    """Counts the points that Plotly drew in a figure: elements of the class ``point``, which error bars are not."""

    def __init__(self, markup: str, figure: str) -> None:
        super().__init__()
        self._figure, self._depth, self.count = figure, 0, 0
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "div" and (self._depth or found.get("id") == self._figure):
            self._depth += 1
        if self._depth and "point" in (found.get("class") or "").split():
            self.count += 1

    def handle_endtag(self, tag: str) -> None:
        if tag == "div" and self._depth:
            self._depth -= 1


@pytest.fixture
def trained(fake_run: FakeRun, fake_training: FakeTraining) -> Callable[[str], RunFolder]:
    def make(name: str) -> RunFolder:
        experiment, folder = fake_run(name, count=72, tracking={"uri": "http://127.0.0.1:9"})
        fake_training(experiment, folder, select(experiment, folder))
        record = RunRecord.read(folder)
        write_json(folder.trained, Trained(record.trained, record.trained_front).to_row())
        return folder

    return make


@pytest.mark.parametrize("width", WIDTHS)
def test_the_trained_figure_has_a_point_for_each_network(
    trained: Callable[[str], RunFolder], tmp_path: Path, width: str
) -> None:
    folder = trained("run")
    networks = json.loads(folder.trained.read_text())["front"]["networks"]
    known = [network for network in networks if network["accuracy"] is not None]
    assert len(known) > 3
    markup, console = _drawn(report(folder), tmp_path / "profile", width)
    assert _Points(markup, "trained").count == len(known)
    assert console == []


def test_the_fronts_of_two_runs_are_drawn(trained: Callable[[str], RunFolder], tmp_path: Path) -> None:
    folders = [trained("a"), trained("b")]
    fronts = [json.loads(folder.trained.read_text())["front"]["networks"] for folder in folders]
    markup, console = _drawn(compare(folders), tmp_path / "profile", WIDTHS[0])
    assert _Points(markup, "trained").count == sum(network["on_front"] for front in fronts for network in front)
    assert console == []


def test_an_error_of_a_page_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("<p>drawn</p><script>console.error('told'); missing();</script>", encoding="utf-8")
    markup, console = _drawn(page, tmp_path / "profile", WIDTHS[0])
    assert "drawn" in markup
    assert ["told" in console[0], "missing is not defined" in console[1]] == [True, True]
