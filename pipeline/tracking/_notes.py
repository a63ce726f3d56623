"""Notes in Markdown that MLflow shows above a run, so that its page can be read without the report."""

from collections.abc import Iterator, Mapping
from typing import Any

from zenfront.pipeline.record.run_record import RunRecord
from zenfront.pipeline.results.front import Front, Member
from zenfront.pipeline.results.gain import gain_sentence
from zenfront.pipeline.results.trained_networks import TrainedFront, TrainedNetwork
from zenfront.pipeline.tracking._limits import cut
from zenfront.pipeline.wording import number

PICTURE = "trained_small.png"
IMAGE = f"![Metric against cost of the trained networks]({PICTURE})"
ROWS = 20
"""Rows of a table in a note."""
NAME = 200
"""Characters of a notation in a note."""


def drawn(record: RunRecord) -> TrainedFront | None:
    """Return the trained front if there is a picture of it, for which it needs a cost."""
    return record.trained_front if record.trained_front and record.trained_front.costs else None


def ranks(front: Front) -> dict[str, str]:
    """Return the rank of each member by id: the selected first, in the order of choice, then in that of front.json."""
    ordered = list(dict.fromkeys([*front.selected, *front.by_id]))
    width = len(str(len(ordered)))
    return {name: f"{rank:0{width}}" for rank, name in enumerate(ordered, start=1)}


def parent_note(record: RunRecord) -> str:
    """Return the note of the whole experiment: what it is, the trained front and its picks, how to read the metrics."""
    experiment = record.experiment
    wishes = ", ".join(f"{o.direction} {o.score}" for o in experiment.objectives)
    parts = [f"Search of {_code(experiment.space)} without training, to {wishes}.{_trained_sentence(record)}"]
    if record.front and (front := record.trained_front):
        names = ranks(record.front)
        parts = [_result(front), *parts, *_picture(front)]
        parts += ["## Trained front", *_trained_table(front, names), *_pick_list(front, names)]
        parts += filter(None, [gain_sentence(front, record.trained_baselines)])
    parts.append(
        "**How to read this run.** Metrics with steps are of the generations of the search. Each child is a member of "
        "the front of the search, named by its rank: the networks selected for training first, in the order of "
        f"choice. {_code(f'zenfront report {experiment.name}')} writes the full report."
    )
    return "\n\n".join(parts)


def child_note(record: RunRecord, member: Member, names: Mapping[str, str]) -> str:
    """Return the note of one network: what it is, how its training ended, and its place on the trained front.

    Args:
        record: Record of the run.
        member: The network.
        names: Rank by id.
    """
    chosen = record.front is not None and member.id in record.front.selected
    choice = "selected for training" if chosen else "not selected for training"
    scores = ", ".join(f"{o.score} {number(member.values[o.score])}" for o in record.experiment.objectives)
    where = "of the front of the search" if member in record.members else "beside the front of the search"
    chosen_by = f" in round {each.number}" if (each := record.round_of(member.id)) else ""
    parts = [
        f"Network {names[member.id]} {where} {_code(record.experiment.name)}, {choice}{chosen_by}: {scores}.",
        _code(member.notation),
    ]
    front = record.trained_front
    if front and (network := front.by_id.get(member.id)):
        parts += [*_outcome(network, front, names), *_picture(front)]
        seeds = "SEED" if network.seeds > 1 else str(record.experiment.train.seeds[0])
        parts.append(f"Weights: {_code(f'{record.folder.checkpoints.name}/{member.id}-{seeds}')} of the run folder.")
    return "\n\n".join(parts)


def comparison_note(measured: Mapping[str, Any]) -> str:
    """Return the note of a comparison of several runs: hypervolumes and differences of their trained fronts.

    Args:
        measured: Content of comparison.json.
    """
    names = ", ".join(map(_code, measured["runs"]))
    parts = [f"Comparison of the fronts of {names}. The artifact index.html is the whole page."]
    if trained := measured.get("trained"):
        volumes = (f"{_code(name)} {value:.4g}" for name, value in trained["hypervolume"].items())
        parts.append(f"Hypervolume of the trained fronts in one box, higher is better: {', '.join(volumes)}.")
        parts += ["\n".join(f"* {line}" for line in _differences(trained["difference"])), IMAGE]
    return "\n\n".join(parts)


def _differences(difference: Mapping[str, Mapping[str, Mapping[str, float | None]]]) -> Iterator[str]:
    for name, others in difference.items():
        for other, found in others.items():
            ends = f" [{number(found['low'])}, {number(found['high'])}]" if found["low"] is not None else ""
            yield f"{_code(name)} minus {_code(other)}: {number(found['value'])}{ends}"


def _trained_sentence(record: RunRecord) -> str:
    front = record.trained_front
    if front is None:
        return " No network has been trained to the end." if record.trained else ""
    origin = f"in {len(record.rounds)} rounds" if record.rounds else "of the front"
    return (
        f" Then {len(front.networks)} networks {origin} were trained, at most {record.experiment.train.epochs} "
        f"epochs each; {len(front.finished)} of them to the end."
    )


def _result(front: TrainedFront) -> str:
    """Return accuracy and cost of the picked networks, which come first because MLflow folds a long note."""
    picked: dict[str, list[str]] = {}
    for pick in front.picks:
        picked.setdefault(pick.architecture, []).append(front.pick_words(pick))
    found = (f"{_figures(front.by_id[name], front)} ({', '.join(words)})" for name, words in picked.items())
    return f"{'; '.join(found)}."


def _figures(network: TrainedNetwork, front: TrainedFront) -> str:
    at = f" at {number(network.costs[front.costs[0]])} {front.costs[0]}" if front.costs else ""
    return f"**{_accuracy(network, front)}**{at}"


def _picture(front: TrainedFront) -> Iterator[str]:
    if front.costs:
        yield IMAGE


def _trained_table(front: TrainedFront, names: Mapping[str, str]) -> Iterator[str]:
    """Yield a table of the networks of the front, the cheapest first, and its hypervolume."""
    head = ("network", front.metric.tested, *front.costs, "picks")
    lines = [head, ["---"] * len(head)]
    for network in front.members[:ROWS]:
        picks = ", ".join(front.pick_words(pick) for pick in front.picks_of(network.architecture))
        costs = (number(network.costs[name]) for name in front.costs)
        lines.append([names[network.architecture], _accuracy(network, front), *costs, picks or "&nbsp;"])
    yield "\n".join(f"| {' | '.join(line)} |" for line in lines)
    more = f"The {ROWS} cheapest of {len(front.members)} are shown. " if len(front.members) > ROWS else ""
    several = max(network.seeds for network in front.finished) > 1
    spread = "± is the standard deviation over the seeds. " if several else ""
    if any(network.error is not None for network in front.finished) and not several:
        spread = "± is the binomial error of the test images. "
    box = f"{front.metric.words} {number(front.reference.chance)} to {number(front.reference.ideal)}"
    within = "chance level to accuracy 1" if front.metric.is_accuracy else box
    yield f"{more}{spread}Hypervolume: {front.hypervolume:.4g} of a box from {within}."


def _pick_list(front: TrainedFront, names: Mapping[str, str]) -> Iterator[str]:
    if front.picks:
        yield "## Picks"
        yield "\n".join(
            f"* **{front.pick_words(pick)}**, network {names[pick.architecture]}: {pick.reason}. "
            f"{_code(front.by_id[pick.architecture].notation)}"
            for pick in front.picks
        )


def _outcome(network: TrainedNetwork, front: TrainedFront, names: Mapping[str, str]) -> Iterator[str]:
    """Yield the result of a network and what it means, line by line."""
    costs = "".join(f", {name} {number(network.costs[name])}" for name in front.costs)
    part = front.metric.tested if network.status == "finished" else f"last {front.metric.validated}"
    reached = f"{part[:1].upper()}{part[1:]} {_accuracy(network, front)}"
    lines = [f"**{reached}**{costs}; {network.status}, {network.epochs} epochs."]
    lines += [f"Pick *{front.pick_words(pick)}*: {pick.reason}." for pick in front.picks_of(network.architecture)]
    if network.on_front:
        better = "more accurate" if front.metric.is_accuracy else f"better by {front.metric.words}"
        lines.append(f"On the trained front: no trained network is as cheap and {better}.")
    if network.dominated_by:
        lines.append(f"Dominated by network {', '.join(names[name] for name in network.dominated_by)}.")
    if network.indistinguishable:
        alike = ", ".join(names[name] for name in network.indistinguishable)
        lines.append(f"The noise cannot tell its {front.metric.words} from that of network {alike}.")
    yield "\n".join(f"* {line}" for line in lines)


def _accuracy(network: TrainedNetwork, front: TrainedFront) -> str:
    return front.metric.shown(network.accuracy, network.error)


def _code(text: str) -> str:
    """Return the text as code, in which Markdown interprets nothing."""
    return f"`{cut(text, NAME).replace('`', chr(39))}`"
