import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.record import provenance as module
from zenfront.pipeline.record.provenance import Commit, read_origin
from zenfront.pipeline.record.run_folder import RunFolder


def test_it_is_written_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = RunFolder(tmp_path)
    first = read_origin(folder)
    monkeypatch.setattr(module, "PACKAGES", ())
    assert read_origin(folder) == first
    assert first.versions["torch"] == version("torch")
    assert read_origin(RunFolder(tmp_path / "other")).run != first.run


def _repository(path: Path) -> str:
    def git(*words: str) -> str:
        who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        return subprocess.run(
            ["git", "-C", path, *who, *words], check=True, capture_output=True, text=True
        ).stdout.strip()

    path.mkdir()
    git("init", "-q")
    (path / "pipeline" / "record").mkdir(parents=True)
    (path / "pipeline" / "record" / "provenance.py").write_text("")
    git("add", ".")
    git("commit", "-qm", "all")
    return git("rev-parse", "HEAD")


def test_the_commit_is_that_of_the_code_and_a_changed_file_makes_it_dirty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = _repository(tmp_path / "code")
    monkeypatch.setattr(module, "__file__", str(tmp_path / "code" / "pipeline" / "record" / "provenance.py"))
    assert read_origin(RunFolder(tmp_path / "clean")).git == Commit(commit, dirty=False)
    (tmp_path / "code" / "pipeline" / "record" / "provenance.py").write_text("changed")
    assert read_origin(RunFolder(tmp_path / "dirty")).git == Commit(commit, dirty=True)


def test_code_that_is_merely_installed_inside_a_repository_has_no_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _repository(tmp_path / "users")
    installed = tmp_path / "users" / "venv" / "pipeline" / "record" / "provenance.py"
    installed.parent.mkdir(parents=True)
    monkeypatch.setattr(module, "__file__", str(installed))
    assert read_origin(RunFolder(tmp_path / "run")).git is None


def test_without_git_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert read_origin(RunFolder(tmp_path / "run")).git is None


def test_an_origin_that_was_not_written_by_us_is_told(tmp_path: Path) -> None:
    (tmp_path / "origin.json").write_text('{"run": "a", "time": "now", "host": "b", "versions": {}, "git": null}')
    with pytest.raises(UserError, match=r"origin\.json: time: must be a valid number, but got 'now'\. Restore it"):
        read_origin(RunFolder(tmp_path))
