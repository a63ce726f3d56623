import csv
import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.objectives import Objective
from zenfront.pipeline.plots.series import axes, panels, unit
from zenfront.pipeline.record.files.json_file import write_json
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.results.front import Front
from zenfront.pipeline.stages.report.comparison import measures
from zenfront.pipeline.stages.report.stage import report
from zenfront.pipeline.stages.select import select

FakeRun = Callable[..., tuple[Experiment, RunFolder]]
FakeTraining = Callable[[Experiment, RunFolder, Front], None]
FOUR = [("zen", "maximise"), ("ntk", "minimise"), ("flops", "minimise"), ("params", "minimise")]


class _Page(HTMLParser):
    """Texts, tags and scripts of a page; fails on tags that are not closed in order."""

    VOID = ("meta", "wbr", "br")

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self.links: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        (self.scripts if self.open and self.open[-1] == "script" else self.texts).append(data)

    @property
    def text(self) -> str:
        return "".join(self.texts)


@pytest.mark.parametrize("objectives", [FOUR[:1], FOUR[:2], FOUR[:3], FOUR], ids=lambda o: f"{len(o)} objectives")
def test_files_of_a_report(fake_run: FakeRun, fake_training: FakeTraining, objectives: list[tuple[str, str]]) -> None:
    experiment, folder = fake_run(count=72, objectives=objectives)
    front = select(experiment, folder)
    fake_training(experiment, folder, front)
    index = report(folder)
    assert index == folder.path / "report" / "index.html"

    page = _Page(index)
    for member in front.members:
        assert member.id in page.text
    assert front.members[0].notation in page.text
    assert "ntk: Theta is singular to working precision" in page.text
    assert sum(len(script) > 1_000_000 for script in page.scripts) == 1  # Plotly, once
    for link in (link for link in page.links if not link.startswith("#")):
        assert (folder.report / link).exists()
        assert not link.startswith(("/", "file:"))  # a report that is mailed or moved keeps its links
    assert f"{folder.path.name}/experiment.json" in page.text
    assert str(folder.config) not in page.text
    assert sum(len(script) > 1_000_000 for script in _Page(folder.report / "front.html").scripts) == 1

    height, width, _ = matplotlib.image.imread(folder.report / "front.png").shape
    assert min(height, width) > 500
    with (folder.report / "front.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == [member.id for member in front.members]
    assert [float(row["zen"]) for row in rows] == [member.values["zen"] for member in front.members]
    assert sum(row["selected"] == "1" for row in rows) == len(front.selected)


def test_text_chosen_by_a_user_is_not_markup(fake_run: FakeRun) -> None:
    attack = "<script>alert(1)</script>"
    experiment, folder = fake_run(count=48)
    document = select(experiment, folder).to_row()
    document["front"][0]["notation"] = attack
    document["front"][0]["values"][attack] = 1.0
    document["failures"] = {f"{attack} in {name}": 1 for name in "abc"}
    write_json(folder.front, document)
    page = _Page(report(folder))
    assert page.text.count(attack) >= 5
    assert not any(script.startswith("alert(1)") for script in page.scripts)
    assert not any(script.startswith("alert(1)") for script in _Page(folder.report / "front.html").scripts)


def test_trained_architectures_are_grouped_by_noise(fake_run: FakeRun, fake_training: FakeTraining) -> None:
    experiment, folder = fake_run(count=48)
    fake_training(experiment, folder, select(experiment, folder))
    text = _Page(report(folder)).text
    assert "do not differ within the noise" in text
    assert "diverged: train_loss is not finite" in text


def test_with_one_seed_the_noise_is_unknown(fake_run: FakeRun, fake_training: FakeTraining) -> None:
    experiment, folder = fake_run(count=48, train={"epochs": 9, "seeds": [0]})
    fake_training(experiment, folder, select(experiment, folder))
    text = _Page(report(folder)).text
    assert "the noise between seeds is unknown" in text
    assert "less than 2 percentage points" in text


def test_a_run_without_training_has_a_report(fake_run: FakeRun) -> None:
    experiment, folder = fake_run(count=48)
    select(experiment, folder)
    assert "Nothing has been trained" in _Page(report(folder)).text


def test_a_report_needs_a_front(fake_run: FakeRun) -> None:
    _, folder = fake_run(count=48)
    with pytest.raises(UserError, match="zenfront select"):
        report(folder)


def test_axes_have_units_and_logarithms_where_values_span_decades() -> None:
    values = np.array([[1.0, 1.0, -1.0], [2.0, 1000.0, 1000.0]])
    objectives = [Objective("zen", "maximise"), Objective("flops", "minimise"), Objective("ntk", "minimise")]
    drawn = axes(objectives, values)
    assert [axis.log for axis in drawn] == [False, True, False]
    assert drawn[0].label == "zen [nats], higher is better"
    assert drawn[1].label == "flops [multiply-adds], lower is better"
    assert drawn[2].label == "ntk, lower is better"
    assert unit("a proxy of a package that is gone") == ""


def test_pairs_of_objectives() -> None:
    assert panels(2) == [(0, 1)]
    assert panels(3) == [(0, 1), (0, 2), (1, 2)]
    assert len(panels(4)) == 6
    assert panels(6) == [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)]


def test_measures_of_two_worked_fronts() -> None:
    # Box of both: (0, 0) to (4, 4). In its units A is (0, .5), (.5, 0); B is (.25, 1), (1, .25). Below (1.1, 1.1):
    # A: 1.1 * .6 + .6 * .5 = .96; B: .85 * .1 + .1 * .75 = .16.
    a, b = np.array([[0.0, 2.0], [2.0, 0.0]]), np.array([[1.0, 4.0], [4.0, 1.0]])
    objectives = [Objective("ntk", "minimise"), Objective("zen", "maximise")]
    measured = measures(["A", "B"], [a, b], objectives)
    assert measured["hypervolume"] == pytest.approx({"A": 0.96, "B": 0.16})
    assert measured["coverage"] == {"A": {"B": 1.0}, "B": {"A": 0.0}}
    assert measured["reference"] == pytest.approx({"ntk": 4.4, "zen": -4.4})


def test_the_report_does_not_change_the_record(fake_run: FakeRun) -> None:
    experiment, folder = fake_run(count=48)
    select(experiment, folder)
    before = {path.name: path.read_bytes() for path in folder.path.iterdir() if path.is_file()}
    report(folder)
    after = {path.name: path.read_bytes() for path in folder.path.iterdir() if path.is_file()}
    assert before == {name: after[name] for name in before}
    assert json.loads(after["origin.json"])["versions"]["python"]
