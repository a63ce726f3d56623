"""A network that is registered in MLflow belongs to the run of its training, and MLflow's own command runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import mlflow
import numpy as np
import pytest
import torch

from zenfront.pipeline.cli.export import Asked, export
from zenfront.pipeline.cli.export_formats import Formats
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.export.from_run import run_subject
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.tracking import default_uri

pytestmark = pytest.mark.slow


def write(trained_run: RunFolder, target: Path) -> None:
    asked = Asked(str(trained_run.path), None, "most_accurate", None, None, False, None, None, "")
    export(asked, Formats(mlflow=True, normalise=True), trained_run.path.parent, target, False, False)


def test_mlflow_runs_a_registered_network(
    trained_run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    before = mlflow.get_tracking_uri()
    write(trained_run, tmp_path / "digits")
    said = capfd.readouterr()
    assert said.out.splitlines()[-1].endswith("version 1 of the model small, models:/small/1")
    assert said.err == ""
    assert mlflow.get_tracking_uri() == before
    assert "MLFLOW_TRACKING_URI" not in os.environ

    uri, subject = default_uri(trained_run.path.parent), run_subject(trained_run, "most_accurate")
    client = mlflow.MlflowClient(uri, uri)
    version = client.get_model_version("small", "1")
    child = client.get_run(version.run_id)
    assert child.data.tags["zenfront.architecture"] == subject.id == version.tags["zenfront.architecture"]
    assert child.info.status == "FINISHED"
    [output] = child.outputs.model_outputs
    assert client.get_logged_model(output.model_id).experiment_id == child.info.experiment_id

    pixels = torch.arange(3 * 64).reshape(3, 1, 8, 8) % 17
    (tmp_path / "images.json").write_text(json.dumps({"inputs": pixels.tolist()}))
    words = ["models", "predict", "-m", "models:/small/1", "--env-manager", "local", "-t", "json"]
    words += ["-i", str(tmp_path / "images.json"), "-o", str(tmp_path / "logits.json")]
    environment = {**os.environ, "MLFLOW_TRACKING_URI": uri, "MLFLOW_DISABLE_TELEMETRY": "true"}
    subprocess.run([sys.executable, "-m", "mlflow", *words], check=True, env=environment, capture_output=True)
    mean, std = (torch.tensor(each).reshape(-1, 1, 1) for each in moments(tmp_path / "digits"))
    with torch.inference_mode():
        expected = subject.network((pixels - mean) / std).numpy()
    found = np.array(json.loads((tmp_path / "logits.json").read_text())["predictions"])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def moments(folder: Path) -> tuple[list[float], list[float]]:
    form = json.loads((folder / "preprocessor_config.json").read_text())
    return form["image_mean"], form["image_std"]


def test_a_store_that_is_away_is_one_message(
    trained_run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:secret@127.0.0.1:9")
    with pytest.raises(UserError, match=r"MLflow at http://127\.0\.0\.1:9") as caught:
        write(trained_run, tmp_path / "digits")
    assert "secret" not in str(caught.value)
    assert (tmp_path / "digits" / "model.py").exists()  # the folder needs no MLflow
