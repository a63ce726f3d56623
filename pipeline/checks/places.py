"""Places of the results: the store of MLflow, and the room for checkpoints on the disk."""

import os
import re
import shutil
from importlib.metadata import entry_points
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from zenfront import spaces
from zenfront.pipeline import proxies
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.addresses import shown
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.scoring import Scoring, noise_batch
from zenfront.pipeline.seeds import numpy_generator
from zenfront.pipeline.wording import size

DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
SERVED = ("http", "https")
OTHERS = ("databricks", "databricks-uc", "uc")
SAMPLE = 8
"""Architectures of which the size of a checkpoint is taken."""
AMPLE = 50 * 2**30
"""Free bytes above which the size of the checkpoints is not estimated."""
KEPT = 2
"""Checkpoints that are kept of each training run."""


def check_store(uri: str | None) -> None:
    """Check that MLflow accepts a store, as far as its address says.

    MLflow (3.17) refuses stores of plain files, unless ``MLFLOW_ALLOW_FILE_STORE`` is set.

    Raises:
        UserError: It would refuse the store, or SQLite could not make its file.
    """
    if uri is None:
        return
    scheme = urlsplit(uri).scheme.partition("+")[0] or ("databricks" if uri in OTHERS else "file")
    if scheme == "file" and os.environ.get("MLFLOW_ALLOW_FILE_STORE", "").lower() not in ("true", "1"):
        raise UserError(
            f"tracking.uri: MLflow no longer keeps runs in a folder, but got {shown(uri)!r}. Use a database, "
            "sqlite:///mlflow.db, or a server, http://host:port, or remove the key: runs/mlflow.db is used then."
        )
    if scheme in SERVED and not urlsplit(uri).hostname:
        raise UserError(f"tracking.uri: a server is {scheme}://host:port, but got {shown(uri)!r}.")
    known = {*DATABASES, *SERVED, *OTHERS, "file", *(e.name for e in entry_points(group="mlflow.tracking_store"))}
    if scheme not in known:
        raise UserError(
            f"tracking.uri: MLflow knows no stores {scheme}://, but got {shown(uri)!r}. Use sqlite:///mlflow.db, "
            f"http://host:port, or {', '.join(f'{name}://' for name in DATABASES[1:])}."
        )
    file = re.fullmatch(r"sqlite(?:\+\w+)?:///([^?]+)", uri)
    if file and not (folder := Path(file[1]).parent).is_dir():
        raise UserError(f"tracking.uri: SQLite makes the file {file[1]}, but there is no folder {folder}. Make it.")


def check_room(experiment: Experiment, runs: Path) -> None:
    """Check that the disk has room for the checkpoints of all training runs, from a sample of the space.

    Raises:
        UserError: It has less than they take if the networks are of average size.
    """
    free = shutil.disk_usage(next(path for path in [runs, *runs.resolve().parents] if path.is_dir())).free
    if free >= AMPLE:
        return
    wanted = checkpoint_bytes(experiment)
    if wanted > free:
        raise UserError(
            f"{runs}: {size(free)} are free, but the checkpoints of {training_runs(experiment)} training runs take "
            f"about {size(wanted)}. Make room, choose another folder with --runs, or select fewer (select.k)."
        )


def training_runs(experiment: Experiment) -> int:
    """Return the largest number of training runs of an experiment."""
    return experiment.select.k * len(experiment.train.seeds)


def checkpoint_bytes(experiment: Experiment) -> int:
    """Return the bytes of the checkpoints of all training runs, for networks of the median size of a sample.

    A checkpoint has the weights and their momentum in float32, with adamw and lamb a second moment, and with
    `recipe.ema` a moving average of the weights.
    """
    recipe = experiment.train.recipe
    each = 4 * (2 + (recipe.optimizer != "sgd") + bool(recipe.ema)) * KEPT
    return round(each * training_runs(experiment) * _median_params(experiment))


def _median_params(experiment: Experiment) -> float:
    """Return the median number of parameters of architectures whose costs the constraints allow; 0 if none is drawn."""
    space, code = spaces.load(experiment.space, experiment.code), experiment.code
    constraints = [c for c in experiment.constraints if proxies.load(c.score, code).is_cost]
    names = list(dict.fromkeys(["params", *(c.score for c in constraints)]))
    scoring = Scoring(space, experiment.task, names, noise_batch(experiment.task, 2, 0), 0, code=code)
    generator = numpy_generator(experiment.search.seed, "checks", "size")
    found = (scoring.score(space.sample(generator)).values for _ in range(SAMPLE))
    allowed = [v["params"] for v in found if v and not any(c.excess(v[c.score]) for c in constraints)]
    return float(np.median(allowed)) if allowed else 0.0
