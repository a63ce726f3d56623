"""Temporary folders of killed processes are removed by the next start; all others stay."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from zenfront.pipeline.cluster import leftovers

HOLDER = """
import sys, time
from pathlib import Path
from zenfront.pipeline.cluster import leftovers
with leftovers.temporary_folder() as folder:
    leftovers.record_session(folder, Path(sys.argv[1]))
    print(folder, flush=True)
    time.sleep(1000)
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The temporary directory of this process and of those that it starts."""
    path = tmp_path / "temporary"
    path.mkdir()
    monkeypatch.setenv("TMPDIR", str(path))
    monkeypatch.setattr("tempfile.tempdir", str(path))
    return path


@pytest.fixture
def holder(temporary: Path, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Path, Path]]:
    """A process that holds a temporary folder, the folder, and the Ray session that it recorded."""
    session = tmp_path / "ray" / "session_2026-01-01_00-00-00_000000_1"
    (session / "logs").mkdir(parents=True)
    command = [sys.executable, "-c", HOLDER, str(session)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield process, Path(process.stdout.readline().strip()), session
        process.kill()


def test_what_a_killed_process_left_is_removed(holder: tuple[subprocess.Popen[str], Path, Path]) -> None:
    process, folder, session = holder
    leftovers.remove_leftovers()
    assert folder.is_dir()  # its process lives
    assert session.is_dir()
    process.send_signal(signal.SIGKILL)
    process.wait()
    leftovers.remove_leftovers()
    assert not folder.exists()
    assert not session.exists()
    assert session.parent.is_dir()


def test_a_block_that_ends_leaves_nothing(temporary: Path) -> None:
    with leftovers.temporary_folder() as folder:
        assert folder.parent == temporary
    assert list(temporary.iterdir()) == []


def test_what_others_made_stays(temporary: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    (precious / "inside").mkdir(parents=True)
    (temporary / "zenfront-without-owner").mkdir()
    (temporary / "zenfront-file").write_text("")
    (temporary / "zenfront-link").symlink_to(precious)
    (precious / leftovers.OWNER).write_text("{}")
    hostile = temporary / "zenfront-hostile"
    hostile.mkdir()
    (hostile / leftovers.OWNER).symlink_to(precious / leftovers.OWNER)
    fifo = temporary / "zenfront-fifo"
    fifo.mkdir()
    os.mkfifo(fifo / leftovers.OWNER)
    before = sorted(tmp_path.rglob("*"))
    leftovers.remove_leftovers()
    after = sorted(tmp_path.rglob("*"))
    assert set(before) - set(after) <= {fifo, fifo / leftovers.OWNER}


@pytest.mark.parametrize("kind", ["another name", "a link", "no path", "no JSON"])
def test_a_session_that_is_none_stays(temporary: Path, tmp_path: Path, kind: str) -> None:
    other = tmp_path / "work"
    other.mkdir()
    (tmp_path / "session_1").symlink_to(other)
    place = {"another name": str(other), "a link": str(tmp_path / "session_1"), "no path": 7, "no JSON": None}[kind]
    left = temporary / "zenfront-left"
    left.mkdir()
    (left / leftovers.OWNER).write_text("{" if kind == "no JSON" else json.dumps({"pid": 1, "session": place}))
    leftovers.remove_leftovers()
    assert other.is_dir()
    assert not left.exists()


def test_a_folder_of_another_user_stays(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = temporary / "zenfront-left"
    left.mkdir()
    (left / leftovers.OWNER).write_text("")
    monkeypatch.setattr(os, "getuid", lambda: 4711)
    leftovers.remove_leftovers()
    assert left.is_dir()
