"""Content of MLflow's runs, as a function of the record alone."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from zenfront import spaces
from zenfront.pipeline.experiment.train_config import Train
from zenfront.pipeline.record.changes import GROWING, Grown
from zenfront.pipeline.record.data_file import read_overview
from zenfront.pipeline.record.provenance import Origin
from zenfront.pipeline.record.run_record import RunRecord
from zenfront.pipeline.results.front import Member
from zenfront.pipeline.results.stage_rows import Generation, trial_name
from zenfront.pipeline.results.trained_networks import TrainedFront
from zenfront.pipeline.tracking._limits import cut, finite, flat
from zenfront.pipeline.tracking._notes import child_note, parent_note, ranks
from zenfront.pipeline.tracking._trained import front_metrics, network_metrics, round_metrics, seed_suffix

Status = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]
OTHERS = 200
"""Members of the front that have a run without being selected or trained: thousands would take MLflow minutes."""
SHOWN = 90
"""Characters of a notation in the name of a child."""


class Point(NamedTuple):
    """Value of a metric at a step."""

    name: str
    value: float
    time: float
    """Seconds since the Unix epoch."""
    step: int


@dataclass(frozen=True)
class Entry:
    """One MLflow run.

    Attributes:
        key: Id of the architecture, by which the entry is found again; empty for the parent.
        name: Name that is shown.
        start: Seconds since the Unix epoch.
        end: Seconds since the Unix epoch of the last event that is known.
        status: MLflow's status.
        params: Params by name.
        metrics: Values without steps, by name.
        points: Values with steps; only appended to.
        tags: Tags by name.
        files: Files that become artifacts; none while the work goes on and they may change.
        note: Text in Markdown that is shown above the run; it can show the parent's artifact `_notes.PICTURE`.
    """

    key: str
    name: str
    start: float
    end: float
    status: Status
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    points: list[Point] = field(default_factory=list)
    tags: Mapping[str, str] = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    note: str = ""


def parent(record: RunRecord, origin: Origin, status: Status) -> Entry:
    """Return the run of the whole experiment.

    Params are the config without what may differ between calls (resources, tracking, cluster), and without `select` and
    `train` as long as no network is trained: they can change, and MLflow does not change params. The metrics have the
    same names in every experiment: hypervolume, front_size, evaluations, infeasible, failures, rate, seconds and
    best_<score> per generation; those of `round_metrics` per round; test_accuracy_best (of a training function,
    <metric>_best) and those of `front_metrics` at the end.
    """
    experiment = record.experiment
    commit, dirty = (origin.git.commit, str(origin.git.dirty)) if origin.git else ("unknown", "unknown")
    params = flat(_settled(record))
    params |= {
        "objectives": ", ".join(f"{o.direction} {o.score}" for o in experiment.objectives),
        "constraints": ", ".join(str(c) for c in experiment.constraints) or "none",
        "space_size": str(spaces.load(experiment.space, experiment.code).size),
        "git.commit": commit,
        "git.dirty": dirty,
    }
    params |= {f"version.{name}": version for name, version in origin.versions.items()}
    means = [statistics.fmean(tested) for m in record.shown if (tested := record.test_accuracies(m.id))]
    tabled = experiment.train.tabled
    best = {_best_name(experiment.train): max(means, key=lambda value: tabled.sign * value)} if means else {}
    ends = [origin.time] + [g.time for g in record.generations[-1:]] + [e.time for e in record.epochs[-1:]]
    return Entry(
        key="",
        name=experiment.name,
        start=origin.time,
        end=max(ends),
        status=status,
        params=params,
        metrics=best | front_metrics(record.trained_front),
        points=[*(point for row in record.generations for point in _generation(row)), *_rounds(record)],
        tags={
            "zenfront.folder": str(record.folder.path.resolve()),
            "zenfront.host": origin.host,
            "zenfront.space": experiment.space,
            **_data_tags(record),
            "zenfront.objectives": params["objectives"],
            "mlflow.source.name": "zenfront",
            "mlflow.source.git.commit": commit,
            **_cost_tag(record.trained_front),
            **_grown(record),
        },
        files=tuple(path for path in _files(record) if path.exists()) if status != "RUNNING" else (),
        note=parent_note(record),
    )


def _best_name(train: Train) -> str:
    return f"{train.compared.name}_best" if train.function else "test_accuracy_best"


def _settled(record: RunRecord) -> dict[str, Any]:
    """Return the part of the experiment that cannot change any more, but for keys that can grow."""
    identity = record.experiment.identity()
    later = () if record.epochs or record.trained else ("select", "train")
    return {key: value for key, value in identity.items() if key not in later}


def _grown(record: RunRecord) -> dict[str, str]:
    """Return the keys that can grow as tags, if the run was given more: its params have what it began with."""
    if record.folder.grown() == Grown():
        return {}
    every = flat(record.experiment.identity())
    return {key: every[key] for key in GROWING}


def children(record: RunRecord, origin: Origin) -> Iterator[Entry]:
    """Yield a run for each network that is selected, by a round too, or trained, and for `OTHERS` others of the front.

    A run is named by its rank and its notation.

    Genes are params; scores are metrics (their standard errors <score>_error), the epochs' metrics are metrics with
    steps. Those of the first seed have their plain names, those of a further seed s end in _seed<s>;
    test_accuracy_mean and test_accuracy_std (of the sample), or those of the metric of a training function, are
    computed over the finished seeds. A network that was
    selected for the finished training has the metric on_trained_front, 1 or 0, and the tag pick.
    """
    names = ranks(record.front) if record.front else {}
    curves = curves_of(record, [member.id for member in record.shown])
    last = record.generations[-1].time if record.generations else origin.time
    for member in _mirrored(record, names):
        architecture = member.id
        points = curves.get(architecture, [])
        state = training_state(record, architecture, bool(points))
        yield Entry(
            key=architecture,
            name=f"{names[architecture]} · {cut(member.notation, SHOWN)}",
            start=points[0].time if points else last,
            end=points[-1].time if points else last,
            status=child_status(state),
            params=flat(member.architecture.mapping),
            metrics={
                **member.values,
                **{f"{name}_error": value for name, value in member.errors.items()},
                **network_metrics(record, architecture),
            },
            points=points,
            tags={
                "zenfront.space": record.experiment.space,
                "zenfront.notation": member.notation,
                "zenfront.selected": str(record.front is not None and architecture in record.front.selected),
                "zenfront.training": state,
                **_pick_tag(record.trained_front, architecture),
                **_round_tags(record, architecture),
            },
            note=child_note(record, member, names),
        )


def _mirrored(record: RunRecord, ranks_by_id: Mapping[str, str]) -> list[Member]:
    """Return the members that have a run of their own, in the order of their ranks."""
    trained = {run.architecture for run in record.trained}
    ranked = sorted(record.shown, key=lambda member: ranks_by_id[member.id])
    wanted = trained | set(record.front.selected if record.front else ())
    others = [member.id for member in ranked if member.id not in wanted][:OTHERS]
    shown = wanted.union(others)
    return [member for member in ranked if member.id in shown]


def resting_status(record: RunRecord) -> Status:
    """Return the status of a run without a driver: ``KILLED`` if its last stage did not finish."""
    searched = record.front is not None or (
        bool(record.generations) and record.generations[-1].evaluations >= record.experiment.search.evaluations
    )
    return "FINISHED" if record.trained or (searched and not record.epochs) else "KILLED"


def _generation(row: Generation) -> Iterator[Point]:
    metrics: dict[str, float] = {"front_size": row.front} | {f"best_{name}": value for name, value in row.best.items()}
    if row.hypervolume is not None:
        metrics["hypervolume"] = row.hypervolume
    metrics |= {"evaluations": row.evaluations, "infeasible": row.infeasible, "failures": row.failures}
    metrics |= {"rate": row.rate, "seconds": row.seconds}
    for name, value in finite(metrics).items():
        yield Point(name, value, row.time, row.generation)


def _rounds(record: RunRecord) -> Iterator[Point]:
    """Yield the metrics of the rounds whose training is over, at the time of their last epoch."""
    seed = record.experiment.train.seeds[0]
    for each in record.rounds if record.trained else record.rounds[:-1]:
        runs = {trial_name(name, seed) for name in each.ids}
        ends = [epoch.time for epoch in record.epochs if epoch.trial in runs]
        for name, value in round_metrics(each, record.experiment.train.compared).items() if ends else ():
            yield Point(name, value, max(ends), each.number)


def _round_tags(record: RunRecord, architecture: str) -> dict[str, str]:
    """Return the round that chose a network, and by what, in runs with several rounds."""
    if (each := record.round_of(architecture)) is None:
        return {}
    return {"zenfront.round": str(each.number), "zenfront.chosen_by": each.networks[each.ids.index(architecture)].by}


def curves_of(record: RunRecord, architectures: Sequence[str]) -> dict[str, list[Point]]:
    """Return the metrics of the epochs of some architectures, given by their ids."""
    curves: dict[str, list[Point]] = {}
    for run, epoch in record.iterate_epochs(architectures):
        for name, value in finite(epoch.metrics).items():
            point = Point(name + seed_suffix(record, run.seed), value, epoch.time, epoch.epoch)
            curves.setdefault(run.architecture, []).append(point)
    return curves


def training_state(record: RunRecord, architecture: str, begun: bool) -> str:
    """Return the outcome of the first seed's training, ``training`` while it goes on, or ``none``."""
    runs = record.runs_of(architecture)
    if runs:
        return runs[0].status
    return "training" if begun and not record.trained else "none"


def _data_tags(record: RunRecord) -> dict[str, str]:
    """Return what is kept of the data."""
    found = read_overview(record.folder)
    return {"zenfront.classes": ", ".join(found.classes)} if found else {}


def child_status(state: str) -> Status:
    """Return MLflow's status of a network by the state of its training."""
    return {"training": "RUNNING", "diverged": "FAILED", "failed": "FAILED"}.get(state, "FINISHED")  # type: ignore[return-value]


def _cost_tag(front: TrainedFront | None) -> dict[str, str]:
    """Return the name of the cost to which cost_at_<quartile> and accuracy_at_cost_<quartile> refer."""
    return {"zenfront.cost": front.costs[0]} if front and front.costs else {}


def _pick_tag(front: TrainedFront | None, architecture: str) -> dict[str, str]:
    """Return the names of a network that was selected for training; ``none`` replaces a name that it had before."""
    if front is None or architecture not in front.by_id:
        return {}
    return {"pick": ", ".join(pick.name for pick in front.picks_of(architecture)) or "none"}


def _files(record: RunRecord) -> tuple[Path, ...]:
    folder = record.folder
    names = ("index.html", "front.html", "front.png", "front.csv", "trained.png")
    config = () if folder.keeps_places() else (folder.config,)  # of an earlier version, until it is driven again
    return (*config, folder.front, folder.trained, *(folder.report / name for name in names))
