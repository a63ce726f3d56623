"""Gain of the found networks over known ones at equal cost."""

import math
from collections.abc import Iterable, Iterator, Sequence

from zenfront.pipeline.results.baselines import TrainedBaseline
from zenfront.pipeline.results.trained_networks import TrainedFront, TrainedNetwork


def gain_sentence(front: TrainedFront | None, baselines: Sequence[TrainedBaseline]) -> str:
    """Return what was gained over the baselines in one sentence; empty if there are none.

    The gain over a named network is the best test accuracy of a found network at most at its first cost, minus its own,
    with the standard error of the difference. The random ones are compared as a whole: at most at the cost of each, the
    best found minus the best random one, in the mean.
    """
    if not baselines:
        return ""
    if front is None:
        return "No found network was trained to the end, so there is nothing to compare with the known ones."
    at = f" at no more than their {front.costs[0]}" if front.costs else ""
    return f"Gain of the found networks over known ones{at}: {'; '.join(_gains(front, baselines))}."


def gain(front: TrainedFront, other: TrainedNetwork, rivals: Iterable[TrainedNetwork] = ()) -> float | None:
    """Return the best accuracy found at most at the first cost of another network, minus its own.

    Of a metric of which less is better, it is the value of the other one minus the best, so that more is a gain.

    Args:
        front: The found networks.
        other: A network that was trained to the end.
        rivals: Networks beside the other one; of these, those at most at its cost count for it.

    Returns:
        The difference of two fractions; None if no network that was found is as cheap.
    """
    found = best_at(front.finished, other, front)
    own = best_at([other, *rivals], other, front)
    if found is None or own is None:
        return None
    return front.metric.sign * ((found.accuracy or 0.0) - (own.accuracy or 0.0))


def best_at(networks: Iterable[TrainedNetwork], other: TrainedNetwork, front: TrainedFront) -> TrainedNetwork | None:
    """Return the most accurate of the networks at most at the first cost of another one; None if none is as cheap."""
    cheap = (each for each in networks if all(each.costs[name] <= other.costs[name] for name in front.costs[:1]))
    return max(cheap, key=lambda each: front.metric.sign * (each.accuracy or 0.0), default=None)


def _gains(front: TrainedFront, baselines: Sequence[TrainedBaseline]) -> Iterator[str]:
    finished = [each for each in baselines if each.network.status == "finished"]
    for each in finished:
        if not each.drawn:
            yield _over(front, each)
    drawn = [each.network for each in finished if each.drawn]
    gains = [value for network in drawn if (value := gain(front, network, drawn)) is not None]
    if gains:
        mean = front.metric.difference(sum(gains) / len(gains))
        yield f"{mean} over {len(drawn)} random ones, in the mean over their costs"
    elif drawn:
        yield "no found network is as cheap as the random ones"
    if ended := [each.name for each in baselines if each.network.status != "finished"]:
        yield f"{', '.join(ended)} did not finish the training"


def _over(front: TrainedFront, baseline: TrainedBaseline) -> str:
    value, own = gain(front, baseline.network), baseline.network
    if value is None:
        return f"no found network is as cheap as {baseline.name}"
    best = best_at(front.finished, own, front)
    errors = (best.error if best else None, own.error)
    spread = math.hypot(*errors) if None not in errors else None  # type: ignore[arg-type]
    return f"{front.metric.difference(value, spread)} over {baseline.name}"
