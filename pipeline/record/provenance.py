"""Where a run comes from: which code, which versions, which machine, when."""

import hashlib
import os
import platform
import subprocess
import time
import uuid
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from zenfront.pipeline.record.json_file import read_json, write_json
from zenfront.pipeline.record.run_folder import RunFolder

PACKAGES = ("zenfront", "torch", "ray", "optuna", "pymoo", "mlflow", "numpy")


def origin(folder: RunFolder) -> dict[str, Any]:
    """The content of the run's origin.json, written by the first call: later code does not change it.

    Returns:
        ``run``: a name of this run that no other has, and that stays when the folder is moved or copied;
        ``time``: seconds since the Unix epoch; ``host``; ``versions``: by package; ``git``: ``commit`` and ``dirty``
        (files differ from it), or None where the code is not run from a git repository.

    Raises:
        UserError: The run folder cannot be written.
    """
    path = folder.path / "origin.json"
    if not path.exists():
        versions = {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES}
        written = {"run": uuid.uuid4().hex, "time": time.time(), "host": platform.node(), "versions": versions}
        write_json(path, written | {"git": _git()})
    return read_json(path)


def source_digest() -> str:
    """Tells one version of this project's code from another: a hash of the sources that this process runs."""
    root = Path(__file__).resolve().parents[2]
    face = root / "zenfront" if (root / "zenfront").is_dir() else root  # a checkout, or an installed package
    digest = hashlib.sha256()
    for base, pattern in ((face, "*.py"), (root, "pipeline/**/*.py"), (root, "spaces/**/*.py")):
        for path in sorted(base.glob(pattern)):
            digest.update(str(path.relative_to(base)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _git() -> dict[str, Any] | None:
    """Commit of the repository that this package lies in; not of one that merely holds its installation."""
    source = Path(__file__).resolve().parents[2]
    try:
        if Path(_git_says(source, "rev-parse", "--show-toplevel")).resolve() != source:
            return None
        commit = _git_says(source, "rev-parse", "HEAD")
        return {"commit": commit, "dirty": bool(_git_says(source, "status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None


def _git_says(folder: Path, *words: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(folder), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10, env=environment)
    return done.stdout.strip()
