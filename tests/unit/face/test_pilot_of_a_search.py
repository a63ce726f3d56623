"""A search with `repeats: auto` measures how reliable its scores are, and takes each as often as that needs."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import zenfront as zf
from zenfront.pipeline import proxies
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.proxies import Batch, Proxy
from zenfront.pipeline.record.files.ledger import read_ledger, read_values
from zenfront.pipeline.record.pilot import read_reliabilities, reliabilities
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.registry import Registry
from zenfront.pipeline.results.stage_rows import Scores
from zenfront.pipeline.scoring import Scoring
from zenfront.pipeline.stages.search.pilot import choose_pilot
from zenfront.spaces import Network, load

NOISE = {"calm": 0.01, "loud": 1.0}


@pytest.fixture(autouse=True, scope="module")
def _scores() -> Iterator[None]:
    """Two scores of a network: a number that looks random, plus a little or much noise of the weights."""

    def make(name: str) -> Proxy:
        def take(network: Network, batch: Batch, generator: torch.Generator) -> float:
            p = sum(parameter.numel() for parameter in network.parameters())
            return p * 2654435761 % 2**32 / 2**32 + NOISE[name] * float(torch.randn((), generator=generator))

        return Proxy(name, take, "1", "maximise", "a test")

    own, known, names = {name: make(name) for name in NOISE}, proxies.load, Registry.names
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(proxies, "load", lambda name, code=(): own.get(name) or known(name, code))
        patch.setattr(Registry, "names", lambda registry, code=(): [*names(registry, code), *own])
        yield


def experiment(**search: Any) -> Experiment:
    return Experiment.model_validate(
        {
            "name": "tiny",
            "space": "anynet3",
            "task": {"channels": 1, "height": 8, "width": 8, "classes": 10},
            "objectives": [
                {"score": "calm", "direction": "maximise"},
                {"score": "loud", "direction": "maximise"},
                {"score": "flops", "direction": "minimise"},
            ],
            "constraints": [{"score": "params", "at_most": 1e5}],
            "search": {"population": 8, "evaluations": 16, "batch": 2} | search,
            "select": {"k": 1},
            "resources": {"device": "cpu"},
        }
    )


def searched(runs: Path, **search: Any) -> RunFolder:
    return RunFolder(zf.search(experiment(**search), backend="serial", runs=runs, tracking=False).path)


@pytest.fixture(scope="module")
def whole(_scores: None, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return searched(tmp_path_factory.mktemp("whole"))


def untimed(path: Path) -> list[str]:
    rows = read_ledger(path)[0]
    return sorted(json.dumps({k: v for k, v in row.items() if k not in ("seconds", "memory", "check")}) for row in rows)


def test_noisy_scores_are_repeated_and_the_user_is_warned_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = searched(tmp_path)
    found = read_reliabilities(experiment(), folder)
    said = capsys.readouterr().out
    assert list(found) == ["calm", "loud"]
    assert found["calm"].single == pytest.approx(1, abs=0.02)
    assert found["loud"].single is not None
    assert found["loud"].single < 0.5  # variance 1/12 of the scores, 1 of the noise
    assert (found["calm"].repeats, found["loud"].repeats) == (1, 8)
    assert said.count("the reliability at equal FLOPs is below 0.9 for loud (") == 1
    assert f"{found['loud'].single:.2f} for one sample, {found['loud'].mean:.2f} for the mean of 8" in said
    scores = read_values(folder.scores, Scores.from_row)
    complete = [row for row in scores if "loud" in row.values]
    assert {frozenset(row.errors) for row in complete} == {frozenset({"loud"})}
    again = Scoring.of(experiment()).repeated({"loud": 8, "calm": 1}).score(complete[0].architecture)
    assert again.values == complete[0].values


def test_the_pilot_is_of_similar_cost_and_feasible(tmp_path: Path) -> None:
    space = load("anynet3")
    candidates = [space.architecture(genes_of(width)) for width in (8, 8, 16, 32, 64, 128, 256)]
    chosen = choose_pilot(experiment(), candidates)
    scoring = Scoring.of(experiment())
    params = [scoring.score(architecture).values["params"] for architecture in chosen]
    assert 0 < len(chosen) < len(set(candidates))
    assert max(params) <= 1e5
    more = [space.architecture(genes_of(width, depth)) for width in (8, 16) for depth in range(1, 9)]
    flops = [scoring.score(architecture).values["flops"] for architecture in choose_pilot(experiment(), more)]
    every = sorted(scoring.score(architecture).values["flops"] for architecture in more)
    assert len(flops) == 12
    assert flops == min((every[i : i + 12] for i in range(5)), key=lambda part: part[-1] / part[0])


def genes_of(width: int, depth: int = 1) -> dict[str, object]:
    return {
        f"{letter}{i}": value for i in (1, 2, 3) for letter, value in zip("dwbg", (depth, width, 1, 1), strict=True)
    }


@pytest.mark.parametrize("rows", [0, 5])
def test_a_search_killed_in_its_pilot_goes_on_with_the_same_result(whole: RunFolder, tmp_path: Path, rows: int) -> None:
    shutil.copytree(whole.path, tmp_path / "tiny")
    cut = RunFolder(tmp_path / "tiny")
    lines = cut.pilot.read_bytes().splitlines(keepends=True)
    assert len(lines) == 12
    cut.pilot.write_bytes(b"".join(lines[:rows]) + b'{"id":"torn')
    for path in (cut.scores, cut.generations, cut.front):
        path.unlink()
    searched(tmp_path)
    assert untimed(cut.pilot) == untimed(whole.pilot)
    assert untimed(cut.scores) == untimed(whole.scores)
    assert cut.front.read_bytes() == whole.front.read_bytes()


def test_a_given_number_of_repeats_needs_no_pilot(tmp_path: Path) -> None:
    folder = searched(tmp_path, repeats=2)
    assert not folder.pilot.exists()
    assert read_reliabilities(experiment(repeats=2), folder) == {}


def test_a_score_of_too_few_architectures_is_unknown() -> None:
    architecture = load("anynet3").architecture(genes_of(8))
    row = Scores(architecture, {"calm": 1.0, "flops": 1.0}, None, 0, {"calm": 0.1})
    assert reliabilities([row] * 5, ["calm"])["calm"].single is None
