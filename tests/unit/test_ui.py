"""`zenfront ui` says what is wrong before it starts a server, and makes nothing; other platforms are named."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from zenfront.pipeline.cluster.session import unreachable

Zenfront = Callable[..., tuple[int, str, str]]


def test_an_empty_folder_is_one_message_and_stays_empty(tmp_path: Path, zenfront: Zenfront) -> None:
    code, _, err = zenfront("ui", "--runs", "empty")
    assert code == 2
    assert f"there is nothing to show: {tmp_path}/empty/mlflow.db does not exist. Start with `zenfront run`" in err
    assert list(tmp_path.iterdir()) == []


def test_a_taken_port_is_one_message(zenfront: Zenfront) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, _, err = zenfront("ui", "--uri", "sqlite:///x.db", "--port", str(port))
    assert code == 2
    assert f"port {port} of 127.0.0.1 is in use (Address already in use). Choose another with --port." in err


def test_windows_is_one_message(monkeypatch: pytest.MonkeyPatch, zenfront: Zenfront) -> None:
    monkeypatch.setattr("sys.platform", "win32")
    code, _, err = zenfront("spaces")
    assert (code, err.startswith("zenfront: Zenfront runs on Linux and macOS.")) == (2, True)


def test_a_temporary_folder_that_is_too_long_is_named_as_the_cause() -> None:
    error = unreachable(None, OSError("AF_UNIX path length cannot exceed 107 bytes: '/tmp/long'"))
    assert "Set RAY_TMPDIR to a short path" in str(error)
    assert "overloaded" not in str(error)
