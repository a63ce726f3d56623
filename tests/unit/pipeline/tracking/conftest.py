"""An MLflow store that is created once, since MLflow takes seconds to create one."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.tracking import default_uri


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from mlflow import MlflowClient

    folder = tmp_path_factory.mktemp("store")
    MlflowClient(default_uri(folder)).search_experiments()
    return folder / "mlflow.db"


@pytest.fixture
def with_store(empty_store: Path) -> Callable[[RunFolder], RunFolder]:
    """Copy an empty store beside the runs."""

    def put(folder: RunFolder) -> RunFolder:
        shutil.copy(empty_store, folder.path.parent / "mlflow.db")
        return folder

    return put


@pytest.fixture
def held() -> Callable[[RunFolder], dict[str, Any]]:
    """Return the content of the MLflow store beside the runs, without MLflow's ids and the order of writing."""
    from mlflow import MlflowClient

    def read(folder: RunFolder) -> dict[str, Any]:
        client = MlflowClient(default_uri(folder.path.parent))
        experiments = [e.experiment_id for e in client.search_experiments()]
        runs = client.search_runs(experiments)
        names = {run.info.run_id: run.data.tags["zenfront.architecture"] for run in runs}
        assert len(set(names.values())) == len(runs), "a run is there twice"
        return {name: _contents(client, run_id, names) for run_id, name in names.items()}

    return read


def _contents(client: Any, run_id: str, names: dict[str, str]) -> dict[str, Any]:
    run = client.get_run(run_id)
    parent = run.data.tags.pop("mlflow.parentRunId", None)
    return {
        "name": run.info.run_name,
        "status": run.info.status,
        "params": run.data.params,
        "tags": run.data.tags,
        "parent": names.get(parent),
        "artifacts": sorted(file.path for file in client.list_artifacts(run_id)),
        "metrics": {
            name: sorted((m.step, m.value, m.timestamp) for m in client.get_metric_history(run_id, name))
            for name in run.data.metrics
        },
    }
