"""Summary of the trained networks: their table by cost, the picks, and the choice in one sentence."""

from collections.abc import Callable, Iterator, Sequence

from zenfront.pipeline import proxies
from zenfront.pipeline.cli.terminal.console import print_lines, print_table
from zenfront.pipeline.record.run_record import RunRecord
from zenfront.pipeline.results.baselines import TrainedBaseline
from zenfront.pipeline.results.gain import gain_sentence
from zenfront.pipeline.results.metric import Metric
from zenfront.pipeline.results.stage_rows import TrainedRun
from zenfront.pipeline.results.trained_networks import TrainedFront, TrainedNetwork
from zenfront.pipeline.wording import number, percent, quantity

ON_FRONT = "●"


def show_trained(record: RunRecord) -> None:
    """Print the trained networks, the cheapest first, with the picks and a sentence that says what to take."""
    if record.trained_front is None:
        _show_untested(record.trained, record.experiment.train.tabled)
        return
    front, unit = record.trained_front, _unit(record)
    several = len(record.experiment.train.seeds) > 1
    columns = ["", "id", *front.costs, front.metric.words, *(["seeds"] if several else [])]
    print_table(
        f"Trained: {len(front.networks)} architectures, {len(front.members)} on the trained front ({ON_FRONT}), "
        f"hypervolume {number(front.hypervolume)}",
        [*columns, "outcome", "epochs", "pick"],
        [_row(front, network, several) for network in front.networks],
    )
    print_lines([("", ""), *_described_picks(front), ("", ""), (sentence(front, unit), "")])
    _show_baselines(front, record.trained_baselines)


def _show_baselines(front: TrainedFront, baselines: Sequence[TrainedBaseline]) -> None:
    """Print the known networks, and what was gained over them."""
    if not baselines:
        return
    print_lines([("", "")])
    print_table(
        f"Known networks, trained to the end beside the found ones: {len(baselines)}",
        ["network", "id", *front.costs, front.metric.words, "outcome"],
        [
            [
                each.name,
                each.network.architecture,
                *each.network.costs.values(),
                _achieved(each.network, front),
                each.network.status,
            ]
            for each in baselines
        ],
    )
    print_lines([("", ""), (gain_sentence(front, baselines), "")])


def _show_untested(runs: list[TrainedRun], metric: Metric) -> None:
    rows = [[run.trial, run.status, run.epochs, metric.shown(run.validation(metric.name)), run.failure] for run in runs]
    title = f"Trained: none of {len(runs)} runs to the end"
    print_table(
        title,
        ["run", "outcome", "epochs", f"val. {metric.words}" if metric.is_accuracy else metric.words, "reason"],
        rows,
    )


def _row(front: TrainedFront, network: TrainedNetwork, several: bool) -> list[object]:
    val = "val. " if front.metric.is_accuracy else "then "
    accuracy = _achieved(network, front) if network.status == "finished" else val + front.metric.shown(network.accuracy)
    return [
        ON_FRONT if network.on_front else "",
        network.architecture,
        *network.costs.values(),
        accuracy,
        *([network.seeds] if several else []),
        network.status,
        network.epochs,
        ", ".join(front.pick_words(pick) for pick in front.picks_of(network.architecture)),
    ]


def _described_picks(front: TrainedFront) -> Iterator[tuple[str, str]]:
    for pick in front.picks:
        yield f"{front.pick_words(pick)}: ", f"{pick.architecture}, {pick.reason}"


def _achieved(network: TrainedNetwork, front: TrainedFront) -> str:
    return front.metric.shown(network.accuracy, network.error)


def _unit(record: RunRecord) -> Callable[[str], str]:
    return lambda cost: proxies.load(cost, record.experiment.own_code()).unit


def sentence(front: TrainedFront, unit: Callable[[str], str]) -> str:
    """Return what the front offers in one sentence: the knee, or else the cheapest pick, against the most accurate.

    Args:
        front: The trained front.
        unit: Returns the unit of a cost.
    """
    best, name = front.pick("most_accurate"), front.metric.best
    assert best
    reached = f"{front.metric.words} " if not front.metric.is_accuracy else ""
    cheaper = [front.pick(name) for name in ("knee", "cheapest_within_noise")]
    taken = next((network for network in cheaper if network and network is not best), None)
    if not front.costs:
        return f"{best.architecture} is the {name}: {reached}{_achieved(best, front)}."
    cost = front.costs[0]
    if taken is None:
        at = quantity(best.costs[cost], unit(cost))
        value = f"{reached}{_achieved(best, front)}"
        return f"{best.architecture} reaches {value} at {at}: the {name}, and no pick is cheaper."
    at = f"{quantity(taken.costs[cost], unit(cost))}, {_share(taken.costs[cost], best.costs[cost])}"
    return (
        f"{taken.architecture} reaches {reached}{_achieved(taken, front)} at {at} of the {name}, {best.architecture}, "
        f"which has {_achieved(best, front)}."
    )


def _share(cost: float, most: float) -> str:
    """Return a cost as a fraction of a higher one: ``one 50th``, ``half``, ``a third``, or in percent."""
    ratio = most / cost if cost > 0 else 0.0
    if ratio < 1.75:
        return percent(cost / most, 0) if most > 0 else "less than that"
    whole = round(ratio)
    if whole < 4:
        return {2: "half", 3: "a third"}[whole]
    ending = "th" if whole % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(whole % 10, "th")
    return f"one {whole:,}{ending}"
