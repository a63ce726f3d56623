"""The trained front on the page of a run: figure, picks with their architectures, and how to get them out."""

from zenfront.pipeline.plots import html
from zenfront.pipeline.plots.trained import trained_figure
from zenfront.pipeline.record.run_record import RunRecord
from zenfront.pipeline.results.baselines import TrainedBaseline
from zenfront.pipeline.results.gain import gain_sentence
from zenfront.pipeline.results.trained_networks import TrainedFront, TrainedNetwork
from zenfront.pipeline.wording import number, percent

TRAINED_PICTURE = "trained.png"


def drawable(record: RunRecord) -> TrainedFront | None:
    """Return the trained front if it can be drawn: something was trained, and the search has a cost."""
    front = record.trained_front
    return front if front and front.costs and front.finished else None


def trained_blocks(record: RunRecord) -> list[html.Block]:
    """Return the blocks that open the page of a run with a trained front; none without one."""
    front = drawable(record)
    if front is None:
        return []
    return [
        html.heading("Trained front"),
        html.figure(trained_figure(front, record.trained_baselines), "trained"),
        html.paragraph(_reading(record, front), soft=True),
        html.heading("Picks"),
        html.table(("pick", front.metric.tested, *front.costs, "architecture", "id", "reason"), _picks(front)),
        html.paragraph(_export(record)),
        *_baselines(record, front),
    ]


def _reading(record: RunRecord, front: TrainedFront) -> str:
    seeds = len(record.experiment.train.seeds)
    with_one = (
        "the binomial error of the test set" if known_noise(record) else "nothing: the noise of one seed is unknown"
    )
    bars = "the standard deviation over the seeds" if seeds > 1 else with_one
    box = front.reference
    axes = ", ".join(f"{name} from {number(a.lowest)} to {number(a.reference)}" for name, a in box.axes.items())
    ends = f"from chance level ({percent(box.chance)}) to 100 %"
    if not front.metric.is_accuracy:
        ends = f"from {front.metric.words} {number(box.chance)} to {number(box.ideal)}"
    name = front.metric.tested
    return (
        f"{name[:1].upper()}{name[1:]} against cost; the line is the best at most at each cost. Bars show {bars}. "
        f"Hollow points are runs that ended early, at their last {front.metric.validated}. The front dominates "
        f"{percent(front.hypervolume)} of the box {ends}, {axes} (its hypervolume)."
    )


def known_noise(record: RunRecord) -> bool:
    """Return whether the noise of a single seed is known, which is that of an accuracy on a number of images."""
    return record.experiment.train.function is None


def _picks(front: TrainedFront) -> list[tuple[object, ...]]:
    return [_pick(front.by_id[pick.architecture], front.pick_words(pick), pick.reason, front) for pick in front.picks]


def _pick(network: TrainedNetwork, words: str, reason: str, front: TrainedFront) -> tuple[object, ...]:
    costs = (network.costs[name] for name in front.costs)
    return (
        words,
        front.metric.shown(network.accuracy, network.error),
        *costs,
        network.notation,
        network.architecture,
        reason,
    )


def _baselines(record: RunRecord, front: TrainedFront) -> list[html.Block]:
    """Return the table of the known networks and what was gained over them; nothing if there are none."""
    known = record.trained_baselines
    if not known:
        return []
    columns = ("network", front.metric.words, *front.costs, "outcome", "architecture", "id")
    return [
        html.heading("Known networks"),
        html.paragraph(gain_sentence(front, known)),
        html.table(columns, [_known(each, front) for each in known]),
        html.paragraph(
            "They were trained to the end as the found ones were. The scheduler did not compare them, and they count "
            "neither as found nor for the front.",
            soft=True,
        ),
    ]


def _known(baseline: TrainedBaseline, front: TrainedFront) -> tuple[object, ...]:
    network = baseline.network
    costs = (network.costs[name] for name in front.costs)
    accuracy = front.metric.shown(network.accuracy, network.error)
    return (baseline.name, accuracy, *costs, network.status, network.notation, network.architecture)


def _export(record: RunRecord) -> str:
    return (
        f"zenfront export {record.folder.path.name} ID writes a network as a PyTorch module that needs nothing else. "
        "The genes of every architecture are in front.csv."
    )
