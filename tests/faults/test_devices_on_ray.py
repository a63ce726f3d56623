"""A device that a program measures on is one worker's at a time, and the values reach the record."""

from pathlib import Path
from typing import Any

import pytest

import zenfront as zf
from zenfront.pipeline.record.files.ledger import read_ledger
from zenfront.pipeline.record.run_folder import RunFolder

CONFIG = """
name: phone
space: ./widths.py
task: {{channels: 1, height: 8, width: 8, classes: 3}}
objectives: [{{score: latency, direction: minimise}}, {{score: params, direction: maximise}}]
proxies:
  latency: {{runtime: command, device: phone, retries: 0, command: '{script} {{pt2}}'}}
search: {{algorithm: random, population: 6, evaluations: 6, candidates_per_trial: 1}}
resources: {{device: cpu, search: {{workers: 2}}}}
select: {{k: 2}}
"""
SPACE = """
from optuna.distributions import IntDistribution
from torch import nn
from zenfront.spaces import Network, Space

def build(architecture, task):
    width = int(architecture["w"])
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, task.classes))
    return Network(nn.Sequential(nn.Conv2d(task.channels, width, 3), nn.ReLU()), head)

SPACE = Space(name="widths", distributions={"w": IntDistribution(1, 9)}, build=build, source="a test")
"""
PROGRAM = """#!/bin/sh
test -s "$1" || exit 1
mkdir {folder}/busy || echo overlap >> {folder}/overlaps
echo $PPID >> {folder}/calls
sleep 0.2
rmdir {folder}/busy
echo 2.5
"""


@pytest.mark.slow
def test_two_workers_measure_one_after_the_other(tmp_path: Path, ray_session: None) -> None:
    script = tmp_path / "measure.sh"
    script.write_text(PROGRAM.format(folder=tmp_path))
    script.chmod(0o755)
    (tmp_path / "widths.py").write_text(SPACE)
    (tmp_path / "phone.yaml").write_text(CONFIG.format(script=script))
    options: dict[str, Any] = {"runs": tmp_path, "allow_code": True, "tracking": False, "progress": False}
    folder = RunFolder(zf.search(tmp_path / "phone.yaml", **options).path)
    rows = read_ledger(folder.scores)[0]
    assert [row["values"]["latency"] for row in rows] == [0.0025] * 6
    assert len((tmp_path / "calls").read_text().splitlines()) == 6
    assert not (tmp_path / "overlaps").exists()
    kept = read_ledger(folder.devices / "phone.jsonl")[0]
    assert {row["value"] for row in kept} == {0.0025}
    assert len(kept) == 6
