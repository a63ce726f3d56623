"""Provenance of a run: code, versions, machine and time."""

import hashlib
import os
import platform
import subprocess
import time
import uuid
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter

from zenfront.pipeline.record.files.json_file import read_document, write_json
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.results.rows import CLOSED, Seconds, Text, read_row

PACKAGES = ("zenfront", "torch", "ray", "optuna", "pymoo", "mlflow", "numpy")


@dataclass(frozen=True)
class Commit:
    """A commit of a git repository, and whether files differ from it."""

    __pydantic_config__ = CLOSED

    commit: Text
    dirty: bool


@dataclass(frozen=True)
class Origin:
    """The content of origin.json.

    Attributes:
        run: A name of the run that no other run has, and that stays when the folder is moved or copied.
        time: Seconds since the Unix epoch at which the run was first driven.
        host: Name of the machine.
        versions: Versions by package.
        git: The commit of the code; None if the code is not run from a git repository.
    """

    __pydantic_config__ = CLOSED

    run: Annotated[Text, Field(pattern=r"^[\w-]{1,64}$")]
    time: Seconds
    host: Text
    versions: dict[str, Text]
    git: Commit | None

    @classmethod
    def from_row(cls, row: object) -> "Origin":
        """Return the origin of a file's content.

        Raises:
            ValueError: A key is missing or unknown, or a value is not what the key takes; the message names it.
        """
        return read_row(_ORIGIN, row)


_ORIGIN = TypeAdapter(Origin)


def read_origin(folder: RunFolder) -> Origin:
    """Return the origin of a run. The first call writes origin.json, and later code does not change it.

    Raises:
        UserError: The run folder cannot be written, or the file holds something else.
    """
    path = folder.path / "origin.json"
    found = read_document(path, Origin.from_row)
    if found is None:
        versions = {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES}
        found = Origin(uuid.uuid4().hex, time.time(), platform.node(), versions, _find_commit())
        write_json(path, asdict(found))
    return found


def source_digest() -> str:
    """Return a hash of the sources that this process runs, which differs between versions of this project's code."""
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


def _find_commit() -> Commit | None:
    """Return the commit of the repository that this package lies in, not of one that merely holds its installation."""
    source = Path(__file__).resolve().parents[2]
    try:
        if Path(_run_git(source, "rev-parse", "--show-toplevel")).resolve() != source:
            return None
        return Commit(_run_git(source, "rev-parse", "HEAD"), bool(_run_git(source, "status", "--porcelain")))
    except (OSError, subprocess.SubprocessError):
        return None


def _run_git(folder: Path, *words: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(folder), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10, env=environment)
    return done.stdout.strip()
