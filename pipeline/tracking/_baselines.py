"""Known networks that are trained beside the found ones, as MLflow runs."""

from collections.abc import Iterator

from zenfront.pipeline.record.provenance import Origin
from zenfront.pipeline.record.run_record import RunRecord
from zenfront.pipeline.results.baselines import Baseline
from zenfront.pipeline.results.gain import gain
from zenfront.pipeline.tracking._entries import Entry, child_status, curves_of, training_state
from zenfront.pipeline.tracking._limits import cut, flat
from zenfront.pipeline.tracking._trained import network_metrics

SHOWN = 60


def baseline_entries(record: RunRecord, origin: Origin) -> Iterator[Entry]:
    """Yield a run for each baseline, with the tag ``zenfront.baseline``, its name.

    The metrics have the names of those of the found networks; ``gain`` is the best test accuracy of a found network at
    most at its first cost, minus its own. A baseline that is a member of the front has the run of that member.
    """
    found = record.front.by_id if record.front else {}
    for baseline in record.baselines.networks:
        if baseline.member.id not in found:
            yield _entry(record, origin, baseline)


def _entry(record: RunRecord, origin: Origin, baseline: Baseline) -> Entry:
    member = baseline.member
    points = curves_of(record, [member.id]).get(member.id, [])
    state = training_state(record, member.id, bool(points))
    return Entry(
        key=member.id,
        name=f"baseline {baseline.name} · {cut(member.notation, SHOWN)}",
        start=points[0].time if points else origin.time,
        end=points[-1].time if points else origin.time,
        status=child_status(state),
        params=flat(member.architecture.mapping),
        metrics={**member.values, **network_metrics(record, member.id), **_gain(record, baseline)},
        points=points,
        tags={
            "zenfront.space": member.architecture.space,
            "zenfront.notation": member.notation,
            "zenfront.baseline": baseline.name,
            "zenfront.training": state,
        },
        note=f"Known network **{baseline.name}**, trained to the end with the recipe of the found ones, but not found.",
    )


def _gain(record: RunRecord, baseline: Baseline) -> dict[str, float]:
    front = record.trained_front
    trained = next((each.network for each in record.trained_baselines if each.name == baseline.name), None)
    if front is None or trained is None or trained.status != "finished":
        return {}
    value = gain(front, trained)
    return {} if value is None else {"gain": value}
