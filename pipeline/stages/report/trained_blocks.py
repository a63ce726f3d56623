"""The trained front on the page of a run: figure, picks with their architectures, and how to get them out."""

from zenfront.pipeline.plots import html
from zenfront.pipeline.plots.pick_labels import PICK_WORDS
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
        html.table(("pick", "test " + _metric(front), *front.costs, "architecture", "id", "reason"), _picks(front)),
        html.paragraph(_checkpoints(record)),
        *_baselines(record, front),
    ]


def _metric(front: TrainedFront) -> str:
    return front.metric.replace("_", " ")


def _reading(record: RunRecord, front: TrainedFront) -> str:
    seeds = len(record.experiment.train.seeds)
    bars = "the standard deviation over the seeds" if seeds > 1 else "the binomial error of the test set"
    box = front.reference
    axes = ", ".join(f"{name} from {number(a.lowest)} to {number(a.reference)}" for name, a in box.axes.items())
    return (
        f"Test {_metric(front)} against cost; the line is the best at most at each cost. Bars show {bars}. Hollow "
        f"points are runs that ended early, at their last validation {_metric(front)}. The front dominates "
        f"{percent(front.hypervolume)} of the box from chance level ({percent(box.chance)}) to 100 %, {axes} "
        "(its hypervolume)."
    )


def _picks(front: TrainedFront) -> list[tuple[object, ...]]:
    return [_pick(front.by_id[pick.architecture], PICK_WORDS[pick.name], pick.reason, front) for pick in front.picks]


def _pick(network: TrainedNetwork, words: str, reason: str, front: TrainedFront) -> tuple[object, ...]:
    error = "" if network.error is None else f" ± {percent(network.error)}"
    costs = (network.costs[name] for name in front.costs)
    return (words, f"{percent(network.accuracy)}{error}", *costs, network.notation, network.architecture, reason)


def _baselines(record: RunRecord, front: TrainedFront) -> list[html.Block]:
    """Return the table of the known networks and what was gained over them; nothing if there are none."""
    known = record.trained_baselines
    if not known:
        return []
    columns = ("network", _metric(front), *front.costs, "outcome", "architecture", "id")
    return [
        html.heading("Known networks"),
        html.paragraph(gain_sentence(front, known)),
        html.table(columns, [_known(each, front) for each in known]),
        html.paragraph(
            "They were trained to the end with the same recipe. The scheduler did not compare them, and they count "
            "neither as found nor for the front.",
            soft=True,
        ),
    ]


def _known(baseline: TrainedBaseline, front: TrainedFront) -> tuple[object, ...]:
    network = baseline.network
    error = "" if network.error is None else f" ± {percent(network.error)}"
    costs = (network.costs[name] for name in front.costs)
    accuracy = f"{percent(network.accuracy)}{error}"
    return (baseline.name, accuracy, *costs, network.status, network.notation, network.architecture)


def _checkpoints(record: RunRecord) -> str:
    return (
        f"The trained weights are in {record.folder.checkpoints.name}/ID-SEED of the run folder; "
        "the genes of every architecture are in front.csv."
    )
