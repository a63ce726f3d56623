"""`zenfront export`, and the same from Python."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import zenfront as zf
from zenfront.pipeline.export.from_run import run_subject
from zenfront.pipeline.record.run_folder import RunFolder

Zenfront = Callable[..., tuple[int, str, str]]
RESNET = "d1=1,w1=16,d2=1,w2=16,d3=1,w3=16"


def test_a_run_is_exported(zenfront: Zenfront, trained_run: RunFolder) -> None:
    code, said, complaint = zenfront("export", "small", "--runs", str(trained_run.path.parent), "--seed", "1")
    assert (code, complaint) == (0, "")
    subject = run_subject(trained_run, seed=1)
    assert said.splitlines()[0].startswith(f"{subject.id}: weights of seed 1 after 3 epochs, test accuracy ")
    assert said.splitlines()[1] == f"Export: exports/small-{subject.id}"
    assert Path("exports", f"small-{subject.id}", "model.py").exists()
    code, _, complaint = zenfront("export", str(trained_run.path), "--seed", "1")
    assert code == 2
    assert "exists. Replace it with --force" in complaint
    assert zenfront("export", str(trained_run.path), "--seed", "1", "--force")[0] == 0


def test_a_space_is_exported_without_a_run(zenfront: Zenfront) -> None:
    words = ["--space", "resnet", "--architecture", RESNET, "--task", "1,8,8,3", "--to", "mine"]
    code, said, _ = zenfront("export", *words)
    assert code == 0
    assert said.splitlines()[1] == "Export: mine"
    config = json.loads(Path("mine", "config.json").read_text())
    assert config["weights"] == {"trained": False, "seed": 0, "epochs": 0}
    assert config["image"] == {"channels": 1, "height": 8, "width": 8}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["smal"], "there is no run 'smal'"),
        (["--pick", "nee"], "Did you mean 'knee'?"),
        (["small", "1", "--pick", "knee"], "not both"),
        (["small", "--untrained", "--at-rung", "1"], "exclude each other"),
        (["--space", "resnet"], "--architecture is missing"),
        (["--architecture", "x"], "--space is missing"),
        (["--space", "resnett", "--architecture", RESNET], "Did you mean 'resnet'?"),
        (["--space", "resnet", "--architecture", RESNET, "--at-rung", "1"], "without a run"),
        (["--space", "resnet", "--architecture", RESNET, "--task", "3,32"], "CHANNELS,HEIGHT,WIDTH,CLASSES"),
        (["--space", "resnet", "--architecture", RESNET, "--task", "3,2,2,5"], "sides of at least 4"),
        (["--space", "resnet", "--architecture", "d1=1"], "gene 'w1' is missing"),
    ],
)
def test_wrong_input_ends_in_one_message(words: list[str], message: str, zenfront: Zenfront) -> None:
    code, _, complaint = zenfront("export", *words)
    assert code == 2
    assert message in complaint
    assert len(complaint.splitlines()) == 1
    assert not Path("exports").exists()


def test_a_network_of_a_run_from_python(trained_run: RunFolder) -> None:
    run = zf.open_run(trained_run.path)
    expected = run_subject(trained_run).network.state_dict()
    found = run.model("knee").state_dict()
    assert all(torch.equal(value, found[name]) for name, value in expected.items())
    assert not run.model(untrained=True).training


def test_a_fresh_network_from_python() -> None:
    network = zf.build("resnet", RESNET, (1, 8, 8, 3), seed=1)
    assert network(torch.zeros(2, 1, 8, 8)).shape == (2, 3)
    weight = next(network.parameters())
    assert torch.equal(weight, next(zf.build("resnet", RESNET, (1, 8, 8, 3), seed=1).parameters()))
    assert not torch.equal(weight, next(zf.build("resnet", RESNET, (1, 8, 8, 3)).parameters()))


def test_a_wrong_task_from_python() -> None:
    with pytest.raises(zf.UserError, match=r"task= must be \(channels, height, width, classes\)"):
        zf.build("resnet", RESNET, (1, 8, 8))  # type: ignore[arg-type]
