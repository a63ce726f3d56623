"""The learned model where little is to be learned: few networks, ties, constants, undefined scores, wrong signs."""

from collections.abc import Mapping

import numpy as np
import pytest

from zenfront.pipeline.analysis.learned import (
    Choice,
    Encoder,
    Observations,
    Population,
    agreement,
    choose,
    first_part,
    fit,
    learned_rule,
    predicts,
    round_sizes,
)
from zenfront.pipeline.analysis.regret import measure_regret, stratified_rule
from zenfront.pipeline.seeds import numpy_generator

N = 30
RNG = np.random.default_rng(0)
SCORES = {"a": RNG.normal(size=N), "b": np.where(np.arange(N) % 3, RNG.normal(size=N), np.nan)}
COST = RNG.uniform(1, 2, N)
GENES = {"genes": RNG.integers(0, 3, (N, 4)).astype(float)}
ACCURACY = RNG.uniform(0.5, 0.9, 6)
PLAIN = Population(SCORES, COST, GENES, ("a", "b"))
ROWS = np.arange(6)
WHOLE = np.ones(6)


def _chosen(population: Population, observations: Observations, count: int = 4) -> Choice:
    candidates = Encoder.of(population).encode(population)
    return choose(fit(candidates, observations), candidates, count, observations.index)


CASES: Mapping[str, tuple[Population, Observations]] = {
    "six networks": (PLAIN, Observations(ROWS, ACCURACY, WHOLE)),
    "one network": (PLAIN, Observations(ROWS[:1], ACCURACY[:1], WHOLE[:1])),
    "the same network several times": (PLAIN, Observations(np.array([0, 0, 0, 1, 1, 1]), ACCURACY, WHOLE)),
    "equal accuracies": (PLAIN, Observations(ROWS, np.full(6, 0.7), WHOLE)),
    "a network that did not learn": (PLAIN, Observations(ROWS, np.array([93.0, 93.1, 93.2, 10.0, 92.9, 93.0]), WHOLE)),
    "equal costs": (Population(SCORES, np.ones(N), GENES, ("a",)), Observations(ROWS, ACCURACY, WHOLE)),
    "a constant feature": (Population(SCORES, COST, {"g": np.ones((N, 2))}), Observations(ROWS, ACCURACY, WHOLE)),
    "counts that are not known": (
        Population(SCORES, COST, {"g": np.where(GENES["genes"] == 0, np.nan, GENES["genes"])}),
        Observations(ROWS, ACCURACY, WHOLE),
    ),
    "a score that is nowhere defined": (
        Population({"a": np.full(N, np.nan)}, COST, {}, ("a",)),
        Observations(ROWS, ACCURACY, WHOLE),
    ),
    "an infinite score": (
        Population({"a": np.where(np.arange(N) % 2, np.inf, -np.inf)}, COST, {}, ("a",)),
        Observations(ROWS, ACCURACY, WHOLE),
    ),
    "nothing known but the cost": (Population({}, COST), Observations(ROWS, ACCURACY, WHOLE)),
    "no run trained to the end": (PLAIN, Observations(ROWS, ACCURACY, np.full(6, 0.1))),
    "one run trained to the end": (PLAIN, Observations(ROWS, ACCURACY, np.array([0.1, 0.1, 0.1, 0.3, 0.3, 1.0]))),
}


@pytest.mark.parametrize("name", CASES)
def test_a_choice_is_finite_and_new(name: str) -> None:
    population, observations = CASES[name]
    choice = _chosen(population, observations)
    assert len(set(choice.picked.tolist()) - set(observations.index.tolist())) == 4
    assert np.isfinite([choice.accuracy, choice.low, choice.high]).all()
    assert (choice.low <= choice.accuracy).all()
    assert (choice.accuracy <= choice.high).all()
    assert choice.regret >= 0


def test_no_more_are_chosen_than_there_are() -> None:
    assert len(_chosen(PLAIN, CASES["six networks"][1], 100).picked) == N - 6


def test_the_unit_of_the_accuracy_does_not_matter() -> None:
    shares, percents = (_chosen(PLAIN, Observations(ROWS, unit * ACCURACY, WHOLE)) for unit in (1.0, 100.0))
    assert shares.picked.tolist() == percents.picked.tolist()
    np.testing.assert_allclose(100 * shares.accuracy, percents.accuracy)


def test_the_same_observations_give_the_same_bytes() -> None:
    found = [_chosen(PLAIN, CASES["one run trained to the end"][1]) for _ in range(2)]
    for name in ("picked", "accuracy", "low", "high"):
        assert getattr(found[0], name).tobytes() == getattr(found[1], name).tobytes()
    assert found[0].regret == found[1].regret


def test_what_stopped_runs_say_is_learned() -> None:
    """What decides is seen after a tenth of the training, on 15 networks; 3 of them were trained to the end."""
    x = np.linspace(0, 1, 60)
    early, late = 40 + 30 * np.sin(5 * x), 80 + 10 * np.sin(5 * x)
    population = Population({}, np.ones(60), {"x": x[:, None]})
    candidates, rows, whole = Encoder.of(population).encode(population), np.arange(0, 60, 4), np.array([0, 28, 56])
    index, fidelity = np.append(rows, whole), np.append(np.full(15, 0.1), np.ones(3))
    both = fit(candidates, Observations(index, np.append(early[rows], late[whole]), fidelity)).predict(candidates)
    alone = fit(candidates, Observations.complete(whole, late[whole])).predict(candidates)
    rest = np.setdiff1d(np.arange(60), index)
    agreed = [agreement(found.accuracy()[rest], late[rest]).value or 0.0 for found in (both, alone)]
    assert agreed[0] > 0.9
    assert agreed[0] > agreed[1] + 0.2


def test_a_score_of_the_wrong_sign_is_found_out() -> None:
    """Random networks over the costs lose more, although the model begins with the belief that the score is right."""
    rng = numpy_generator(0, "wrong sign")
    cost, quality = np.repeat(np.arange(10.0), 20), rng.normal(size=200)
    accuracy = 80 + cost + 2 * quality
    wrong = Population({"wrong": -quality}, cost, {}, ("wrong",))
    learned = learned_rule(Encoder.of(wrong).encode(wrong), accuracy)
    lost = [
        np.mean([measure_regret(rule(28, numpy_generator(seed, "rule")), accuracy, cost).mean for seed in range(3)])
        for rule in (learned, stratified_rule(None, cost))
    ]
    assert lost[0] < 0.5 * lost[1]


def test_no_accuracy_is_looked_at_that_was_not_trained() -> None:
    """One of 200 networks is better. Ten of them include it in one of twenty cases, if nothing tells it apart."""
    candidates = Encoder.of(Population({}, np.ones(200))).encode(Population({}, np.ones(200)))
    rules = (learned_rule(candidates, (np.arange(200) == best).astype(float)) for best in range(0, 200, 17))
    found = sum(
        best in rule(10, numpy_generator(0, "rule")) for best, rule in zip(range(0, 200, 17), rules, strict=True)
    )
    assert found <= 3  # 0.6 are expected; more than 3 would have a probability below 0.01


def test_the_first_part_covers_the_costs_half_by_the_prior_and_half_at_random() -> None:
    cost, quality = np.repeat(np.arange(7.0), 50), np.tile(np.arange(50.0), 7)
    population = Population({"q": quality}, cost, {}, ("q",))
    picked = first_part(Encoder.of(population).encode(population), 7, numpy_generator(0, "first"))
    assert cost[picked].tolist() == list(range(7))
    assert quality[picked[::2]].tolist() == [49.0] * 4
    assert (quality[picked[1::2]] < 49).all()  # the chance that one of three is the best is 6 %; the seed is fixed


@pytest.mark.parametrize("count", [1, 2, 3, 4, 10, 28, 112])
@pytest.mark.parametrize("rounds", [1, 2, 6])
def test_the_rounds_train_what_was_asked_for(count: int, rounds: int) -> None:
    sizes = round_sizes(count, rounds)
    assert sum(sizes) == count
    assert min(sizes) > 0
    assert len(sizes) <= rounds
    assert sizes[0] == max(sizes) or count < 10


def test_a_model_predicts_if_the_whole_interval_is_above_zero() -> None:
    rng = np.random.default_rng(1)
    truth = rng.normal(size=12)
    assert predicts(agreement(truth + 0.1 * rng.normal(size=12), truth))
    assert not predicts(agreement(rng.normal(size=12), truth))
    assert not predicts(agreement(-truth, truth))
    assert not predicts(agreement(truth[:2], truth[:2]))
