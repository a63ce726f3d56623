"""With ray://, the driver runs on the head node; a folder that is deleted together with a job is refused."""

from pathlib import Path
from typing import Any

import pytest

from zenfront.pipeline.cli import run_commands
from zenfront.pipeline.cluster import head_node

Called = list[tuple[Any, ...]]


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> Called:
    """Record the calls for the head node instead of making them."""
    calls: Called = []
    monkeypatch.setattr(head_node, "call", lambda *call: calls.append(call))
    return calls


def test_with_ray_client_the_whole_command_goes_to_the_head_node(zenfront: Any, called: Called, tmp_path: Path) -> None:
    words = ["search", "smoke", "--runs", str(tmp_path / "runs"), "--address", "ray://head:10001"]
    code, _, _ = zenfront(*words, "--set", "search.seed=5")
    assert code == 0
    ((address, function, driver, command, said),) = called
    assert (address, function, command) == ("ray://head:10001", run_commands._do_there, "search")
    assert driver.experiment.cluster.address == "auto"  # there, it is a node of the cluster
    assert driver.experiment.search.seed == 5
    assert driver.folder.path == tmp_path / "runs" / "smoke"
    assert said[:3] == ["zenfront", "search", "smoke"]
    assert not (tmp_path / "runs").exists()


def test_the_run_folder_of_another_machine_has_an_absolute_path(zenfront: Any, called: Called) -> None:
    code, _, error = zenfront("search", "smoke", "--address", "ray://head:10001")
    assert code == 2
    assert "give an absolute path with --runs" in error
    assert not called


def test_the_address_can_come_from_the_environment(
    zenfront: Any, called: Called, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "ray://elsewhere:10001")
    assert zenfront("run", "smoke", "--runs", str(tmp_path / "runs"))[0] == 0
    assert called[0][0] == "ray://elsewhere:10001"


def test_a_run_folder_in_the_working_directory_of_a_job_is_refused(zenfront: Any, tmp_path: Path) -> None:
    deleted = tmp_path / "working_dir_files" / "_ray_pkg_0123456789abcdef"
    code, _, error = zenfront("search", "smoke", "--runs", str(deleted / "runs"))
    assert code == 2
    assert "is deleted with the job" in error
    assert not deleted.exists()
