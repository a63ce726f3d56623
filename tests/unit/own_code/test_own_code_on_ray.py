"""All stages with a space and a score of the user's own, on Ray's workers, which do not find the files."""

import json
from pathlib import Path

import pytest

from zenfront.pipeline.cli.terminal.console import ConsoleView
from zenfront.pipeline.experiment.config_file import load_experiment
from zenfront.pipeline.record.files.ledger import read_ledger
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.results.stage_rows import Scores
from zenfront.pipeline.scoring import Scoring
from zenfront.pipeline.stages.report.stage import report
from zenfront.pipeline.stages.search.stage import search
from zenfront.pipeline.stages.select import select
from zenfront.pipeline.stages.train.stage import train


@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
def test_all_stages_run_when_the_files_have_gone(own: tuple[Path, ...], tmp_path: Path) -> None:
    experiment = load_experiment(own[0], ["search.repeats=1"], allow_code=True)
    for file in own:
        file.unlink()
    folder = RunFolder(tmp_path / "runs" / "mine")
    with folder.driving(experiment), ConsoleView() as view:
        search(experiment, folder, view)
        select(experiment, folder)
        train(experiment, folder, view)
        report(folder)
    scoring = Scoring.of(experiment)
    rows = [Scores.from_row(row) for row in read_ledger(folder.scores)[0]]
    assert len(rows) == 8
    assert {row.architecture.space for row in rows} == {"chain"}
    for row in rows:
        assert row.failure is None
        assert row.values == scoring.score(row.architecture).values
    trials = json.loads(folder.trained.read_text())["trials"]
    assert [trial["status"] for trial in trials] == ["finished"] * len(trials)
    assert trials
    assert "slope" in (folder.report / "index.html").read_text()
