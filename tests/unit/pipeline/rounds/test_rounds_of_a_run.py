"""Rounds of a run: what is chosen, what is known of it afterwards, and what happens where there is little to learn."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import kendalltau

from zenfront.pipeline.analysis.learned import round_sizes
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment, Select
from zenfront.pipeline.experiment.config_file import with_overrides
from zenfront.pipeline.record.files.ledger import read_ledger, read_values
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.record.run_record import RunRecord
from zenfront.pipeline.results.stage_rows import Scores
from zenfront.pipeline.seeds import seed_for
from zenfront.pipeline.stages.search.stage import search
from zenfront.pipeline.stages.select import find_front, select

World = Any
SIZES = round_sizes(12, 3)


def test_the_first_round_needs_three_networks() -> None:
    assert Select(k=5, rounds=3).rounds == 3
    assert Select(k=1).rounds == 1
    with pytest.raises(ValueError, match=r"`rounds <= k - 2` must hold, .* but got \(rounds=5, k=6\)"):
        Select(k=6, rounds=5)


def test_one_round_is_the_run_of_before(world: World, tmp_path: Path) -> None:
    front, trained = world.run(world.experiment(rounds=1), tmp_path)
    assert {"others", "rounds"}.isdisjoint(json.loads((tmp_path / "front.json").read_text()))
    assert set(json.loads((tmp_path / "trained.json").read_text())) == {"trials", "front"}
    assert not (tmp_path / "rounds").exists()
    assert set(front.selected) <= {member.id for member in front.members}
    assert len(world.scored) == 32
    assert trained.rounds == ()


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_the_first_part_is_by_rule_and_at_random(world: World, tmp_path: Path, share: float) -> None:
    front, _ = world.run(world.experiment(random_share=share), tmp_path)
    first, at_random = front.rounds[0], round(share * SIZES[0])
    by_rule = SIZES[0] - at_random
    assert Counter(network.by for network in first.networks) == Counter({"front": by_rule, "random": at_random})
    alone = find_front(
        world.experiment(k=max(by_rule, 1), rounds=1), read_values(tmp_path / "scores.jsonl", Scores.from_row)
    )
    assert first.ids[:by_rule] == alone.selected[:by_rule]
    drawn = {row["id"] for row in read_ledger(tmp_path / "rounds/1/scores.jsonl")[0]}
    assert set(first.ids[by_rule:]) <= drawn
    costs = [front.by_id[name].values["flops"] for name in first.ids[by_rule:]]
    assert costs == sorted(costs)  # from even steps of the cost, the cheapest first


def test_every_round_chooses_new_networks_and_nothing_is_scored_twice(world: World, tmp_path: Path) -> None:
    front, trained = world.run(world.experiment(), tmp_path)
    assert [len(each.networks) for each in front.rounds] == SIZES
    assert [each.rule for each in front.rounds] == ["stratified", "learned", "learned"]
    assert len(set(front.selected)) == 12
    assert {run.architecture for run in trained.trials} == set(front.selected)
    assert len(set(world.scored)) == len(world.scored)
    assert 32 < len(world.scored) <= 32 + 32 + 2 * 16  # the search, the samples, and the searches of two rounds


def test_learned_is_a_score_in_the_ledger_of_its_round(world: World, tmp_path: Path) -> None:
    front, _ = world.run(world.experiment(), tmp_path)
    found = 0
    for each in front.rounds[1:]:
        rows = {row["id"]: row["values"] for row in read_ledger(tmp_path / f"rounds/{each.number}/scores.jsonl")[0]}
        assert len(rows) == 16
        assert all(set(values) == {"flops", "zen", "learned"} for values in rows.values())
        asked = [network for network in each.networks if network.architecture in rows]
        found += len(asked)
        for network in asked:
            assert network.predicted == pytest.approx(rows[network.architecture]["learned"], abs=1e-9)
    assert found  # what the searches find is chosen
    assert all("learned" not in member.values for member in front.networks)


def test_what_came_out_stands_beside_what_was_predicted(world: World, tmp_path: Path) -> None:
    front, trained = world.run(world.experiment(), tmp_path)
    runs = {run.architecture: run for run in trained.trials if run.seed == 0}
    for chosen, told in zip(front.rounds, trained.rounds, strict=True):
        assert told.choice == chosen
        for network in told.networks:
            assert network.accuracy == runs[network.architecture].val_accuracy
            assert network.epochs == runs[network.architecture].epochs
    second = trained.rounds[1]
    assert second.agreement
    expected = kendalltau(
        [network.predicted for network in second.networks],
        [world.accuracy(front.by_id[network.architecture].architecture) for network in second.networks],
    )
    assert second.agreement.tau == pytest.approx(expected.statistic)
    assert (second.agreement.networks, second.agreement.epoch) == (SIZES[1], 1)
    assert trained.rounds[0].agreement is None
    assert second.regret is not None
    assert second.regret >= 0
    assert RunRecord.read(RunFolder(tmp_path)).rounds == trained.rounds


def test_rounds_find_what_the_wrong_proxy_hides(world: World, tmp_path: Path) -> None:
    """The proxy likes what does harm: selected by it alone, the networks are worse than those of the later rounds."""
    front, _ = world.run(world.experiment(k=24, rounds=4), tmp_path / "rounds")
    alone, _ = world.run(world.experiment(k=24, rounds=1), tmp_path / "alone")
    best = {
        name: max(world.accuracy(m.architecture) for m in each.chosen) for name, each in (("r", front), ("a", alone))
    }
    assert best["r"] > best["a"] + 0.05


@pytest.mark.parametrize("workers", [2, 8])
def test_the_number_of_workers_changes_nothing(world: World, tmp_path: Path, workers: int) -> None:
    expected = world.run(world.experiment(), tmp_path / "one")
    world.workers = workers
    assert world.run(world.experiment(), tmp_path / "many") == expected


def test_a_selection_again_keeps_the_rounds(world: World, tmp_path: Path) -> None:
    front, _ = world.run(world.experiment(), tmp_path)
    assert select(world.experiment(), RunFolder(tmp_path)) == front
    (tmp_path / "front.json").unlink()
    assert select(world.experiment(), RunFolder(tmp_path)).rounds == front.rounds[:1]


def test_a_lost_selection_is_found_again_from_the_record(world: World, tmp_path: Path) -> None:
    expected = world.run(world.experiment(), tmp_path)
    (tmp_path / "front.json").unlink()
    (tmp_path / "trained.json").unlink()
    scored = len(world.scored)
    assert world.run(world.experiment(), tmp_path) == expected
    assert len(world.scored) == scored


def test_where_every_run_diverges_the_rule_goes_on(world: World, tmp_path: Path) -> None:
    world.accuracy = lambda architecture: None
    front, trained = world.run(world.experiment(), tmp_path)
    assert [each.rule for each in front.rounds] == ["stratified"] * 3
    assert front.rounds[1].reason == "too few networks have an accuracy that a model could learn from"
    assert len(set(front.selected)) == 12
    assert trained.front is None
    assert {run.status for run in trained.trials} == {"diverged"}


def test_a_round_that_diverges_is_learned_from(world: World, tmp_path: Path) -> None:
    first = set(world.run(world.experiment(), tmp_path / "first")[0].rounds[0].ids)
    world.accuracy = lambda a, accuracy=world.accuracy: accuracy(a) if a.id in first else None
    front, trained = world.run(world.experiment(), tmp_path / "second")
    assert [each.rule for each in front.rounds] == ["stratified", "learned", "learned"]
    assert trained.rounds[1].agreement is None
    assert len(front.selected) == 12


def test_a_model_that_does_not_predict_says_so_and_does_not_choose(world: World, tmp_path: Path) -> None:
    world.accuracy = lambda architecture: seed_for(0, architecture.id) / 2**63
    settings = {"search": {"population": 8, "evaluations": 64, "repeats": 1}}
    front, trained = world.run(world.experiment(settings, k=42, rounds=3, evaluations=16), tmp_path)
    judged = trained.rounds[1].judged
    assert judged
    assert judged.networks == round_sizes(42, 3)[1] >= 10
    assert judged.low is not None
    assert judged.low <= 0
    third = front.rounds[2]
    assert third.rule == "stratified"
    assert third.reason.startswith(f"the model does not predict what it has not seen: τ {judged.tau:.2f} [")
    half = round(len(third.networks) / 2)
    assert Counter(network.by for network in third.networks) == {"front": len(third.networks) - half, "random": half}
    assert all(network.predicted is not None for network in third.networks)  # so that it is judged again
    assert any(third.reason in line for line in world.view.said)


def test_a_space_that_is_exhausted_ends_the_rounds(world: World, tmp_path: Path) -> None:
    settings = {"constraints": [{"score": "flops", "at_most": 4000}]}
    experiment = world.experiment(settings, k=30, rounds=3, random_share=0.0, evaluations=0)
    front, _ = world.run(experiment, tmp_path)
    scored = [s.architecture for s in read_values(tmp_path / "scores.jsonl", Scores.from_row)]
    feasible = {a.id for a in scored if world.flops(a) <= 4000}
    assert 10 < len(feasible) < 30
    assert set(front.selected) == feasible
    assert sum(len(each.networks) for each in front.rounds) == len(feasible)
    assert str(replace(front.rounds[-1], networks=(), reason="")) == "no architecture is left"


def test_without_a_cost_the_model_looks_for_accuracy_alone(world: World, tmp_path: Path) -> None:
    settings = {
        "objectives": [{"score": "zen", "direction": "maximise"}],
        "search": {"population": 8, "repeats": 1, "evaluations": 40},
    }
    front, trained = world.run(world.experiment(settings, k=30, rounds=3), tmp_path)
    assert [each.rule for each in front.rounds] == ["crowding", "learned", "learned"]
    assert trained.front
    assert trained.front.costs == ()


@pytest.mark.parametrize("algorithm", ["zennas", "regularized_evolution", "random", "nsga3", "optuna_tpe"])
def test_the_search_of_a_round_is_by_the_experiments_own_algorithm(
    world: World, tmp_path: Path, algorithm: str
) -> None:
    one = algorithm in ("zennas", "regularized_evolution")
    settings: dict[str, Any] = {"search": {"population": 8, "repeats": 1, "evaluations": 32, "algorithm": algorithm}}
    if one:
        settings["objectives"] = [{"score": "zen", "direction": "maximise"}]
        settings["train"] = {"epochs": 2, "data": {"limit": 200}, "recipe": {"warmup_epochs": 1}}
    front, _ = world.run(world.experiment(settings, k=6, rounds=2), tmp_path)
    assert len(front.selected) == 6


def test_stopped_architectures_of_a_round_are_those_of_asha_too(world: World, tmp_path: Path) -> None:
    settings = {"train": world.experiment().train.model_dump() | {"scheduler": {"name": "asha"}}}
    front, trained = world.run(world.experiment(settings), tmp_path)
    assert len(front.selected) == 12
    assert {run.status for run in trained.trials} == {"finished", "stopped"}


def test_a_stored_run_without_the_keys_goes_on(world: World, tmp_path: Path) -> None:
    experiment: Experiment = world.experiment(rounds=1)
    expected = world.run(experiment, tmp_path)
    stored = json.loads((tmp_path / "experiment.json").read_text())
    for key in ("rounds", "random_share", "evaluations"):
        del stored["experiment"]["select"][key]
    (tmp_path / "experiment.json").write_text(json.dumps(stored))
    assert world.run(experiment, tmp_path) == expected


@pytest.mark.parametrize("key", ["select.k=14", "search.evaluations=64", "select.rounds=4", "select.random_share=0.2"])
def test_rounds_stay_as_they_were_chosen_once_networks_are_trained(world: World, tmp_path: Path, key: str) -> None:
    world.run(world.experiment(), tmp_path)
    changed = with_overrides(world.experiment(), [key])
    with pytest.raises(UserError, match=rf"{key.partition('=')[0]}: .* \((the rounds|the networks in training)"):
        world.run(changed, tmp_path)


def test_a_seed_is_added_to_all_rounds(world: World, tmp_path: Path) -> None:
    front, before = world.run(world.experiment(), tmp_path)
    grown, after = world.run(with_overrides(world.experiment(), ["train.seeds=[0, 1, 2]"]), tmp_path)
    assert grown == front
    assert after.rounds == before.rounds
    finished = {run.architecture for run in before.trials if run.status == "finished"}
    assert {run.architecture for run in after.trials if run.seed == 2} == finished


def test_the_samples_are_drawn_anew_if_the_selection_changes_before_the_training(world: World, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    for experiment in (world.experiment(), world.experiment(k=5, random_share=0.4)):
        with folder.driving(experiment):
            search(experiment, folder, world.view, "serial")
            front = select(experiment, folder)
    alone, _ = world.run(world.experiment(k=5, random_share=0.4), tmp_path.parent / "alone")
    assert front.rounds == alone.rounds[:1]
