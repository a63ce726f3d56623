"""The page of one run: what was searched, what was found, what was trained, where everything is."""

import statistics
from typing import Any

import plotly.graph_objects as go

from zenfront.pipeline.analysis.noise import noise_groups
from zenfront.pipeline.objectives import Constraint
from zenfront.pipeline.plots import html
from zenfront.pipeline.plots.interactive import hypervolume_figure, training_figure
from zenfront.pipeline.plots.series import unit
from zenfront.pipeline.record.provenance import origin
from zenfront.pipeline.record.run_record import RunRecord
from zenfront.pipeline.tracking import shown_uri
from zenfront.pipeline.wording import duration, number

STUDY = "study.journal"
NOISE_UNKNOWN = (
    "Every architecture was trained with one seed, so the noise between seeds is unknown: do not read an order into "
    "small differences. On CIFAR-10, the author of ZenNAS calls less than 2 percentage points no difference."
)
NOISE_KNOWN = (
    "Architectures with the same letter do not differ within the noise between seeds from the best of their letter "
    "(Tukey-Kramer test at 95 %, spread pooled over all architectures)."
)


def report_page(record: RunRecord, front: go.Figure) -> str:
    """The markup of index.html.

    Args:
        record: With a front.
        front: The figure of the front.
    """
    document = record.front or {}
    parts = [
        html.heading(record.experiment.name, 1),
        html.paragraph(_summary(record, document)),
        html.facts(_facts(record, document)),
        html.heading("What was searched"),
        html.table((), _searched(record, document)),
        html.heading("Front"),
        html.figure(front, "front"),
        *_front(record, document),
        html.heading("Search"),
        html.figure(hypervolume_figure(record), "hypervolume"),
        html.paragraph(
            "Hypervolume in units of the first generation's front (from 0 at its best to 1 at its worst value of each "
            "objective), below the reference point 1.1.",
            soft=True,
        ),
        *_failures(document),
        *_training(record),
        html.heading("Where everything is"),
        html.links(_places(record)),
        html.paragraph(f"In MLflow: {shown_uri(record.experiment, record.folder.path.parent)}"),
    ]
    return html.page(f"{record.experiment.name}: report", parts)


def _summary(record: RunRecord, document: dict[str, Any]) -> str:
    scored = (
        f"{document['evaluations']:,} of {document['space_size']:,} architectures of {document['space']} were scored"
    )
    preferences = ", ".join(f"{o.direction} {o.score}" for o in record.experiment.objective_values())
    trained = len({trial["architecture"] for trial in record.trials})
    then = f" Then {trained} of the front were trained." if trained else ""
    return f"{scored} without training, to {preferences}.{then}"


def _facts(record: RunRecord, document: dict[str, Any]) -> list[tuple[str, str]]:
    means = [statistics.fmean(tested) for m in record.members if (tested := record.test_accuracies(m["id"]))]
    facts = [
        ("architectures scored", number(document["evaluations"])),
        ("members of the front", number(len(document["front"]))),
        ("hypervolume", number(document["hypervolume"])),
        ("excluded by constraints", number(document["infeasible"])),
        ("failed", number(sum(document["failures"].values()))),
    ]
    return facts + ([("best mean test accuracy", f"{100 * max(means):.1f} %")] if means else [])


def _searched(record: RunRecord, document: dict[str, Any]) -> list[tuple[str, str]]:
    experiment, search, come_from = record.experiment, record.experiment.search, origin(record.folder)
    task, git = experiment.task, come_from["git"]
    constraints = [str(Constraint(**constraint)) for constraint in document["constraints"]]
    return [
        ("Space", f"{document['space']}, {document['space_size']:,} points"),
        ("Task", f"{task.channels} × {task.height} × {task.width} images, {task.classes} classes"),
        ("Objectives", ", ".join(f"{o['direction']} {o['score']}" for o in document["objectives"])),
        ("Constraints", ", ".join(constraints) or "none"),
        ("Algorithm", f"{search.algorithm}, population {search.population}, seed {search.seed}"),
        ("Proxies", f"mini-batch of {search.batch} images, {search.repeats} × each"),
        ("Search time", duration(record.generations[-1]["seconds"]) if record.generations else "-"),
        ("Selection", f"{len(document['selected'])} by {document['rule']}"),
        ("Code", f"{git['commit'][:12]}{' with changes' if git['dirty'] else ''}" if git else "not from a repository"),
        ("Versions", ", ".join(f"{name} {version}" for name, version in come_from["versions"].items())),
    ]


def _front(record: RunRecord, document: dict[str, Any]) -> list[html.Block]:
    rank = {name: position for position, name in enumerate(document["selected"], start=1)}
    first = [objective["score"] for objective in document["objectives"]]
    scores = list(dict.fromkeys(first + [name for member in document["front"] for name in member["values"]]))
    units = {name: unit(name) for name in scores}
    columns = ("architecture", "selected", *(f"{n} [{u}]" if u else n for n, u in units.items()), "genes")
    rows = [
        (m["id"], rank.get(m["id"]), *(_measured(m, name) for name in scores), m["notation"]) for m in document["front"]
    ]
    return [html.table(columns, rows, identified=True)]


def _measured(member: dict[str, Any], score: str) -> object:
    value, error = member["values"].get(score), member["errors"].get(score)
    return value if value is None or error is None else f"{number(value)} ± {number(error)}"


def _failures(document: dict[str, Any]) -> list[html.Block]:
    if not document["failures"]:
        return [html.paragraph("No architecture failed.")]
    rows = sorted(document["failures"].items(), key=lambda item: (-item[1], item[0]))
    return [html.table(("architectures that failed, by reason", "number"), rows)]


def _training(record: RunRecord) -> list[html.Block]:
    parts = [html.heading("Training")]
    if record.epochs:
        parts.append(html.figure(training_figure(record), "training"))
    if not record.trials:
        return [*parts, html.paragraph("Nothing has been trained to its end yet.")]
    tested = {m["id"]: t for m in record.members if (t := record.test_accuracies(m["id"]))}
    noise = noise_groups(list(tested.values()))
    letters = {name: _letter(group) for name, group in zip(tested, noise, strict=True)} if noise else {}
    columns = ("architecture", "training", "epochs", "validation accuracy", "test accuracy", "seeds", "noise", "genes")
    means = {name: statistics.fmean(accuracies) for name, accuracies in tested.items()}
    trained = [m for m in record.members if record.trials_of(m["id"])]
    trained.sort(key=lambda m: (-means.get(m["id"], -1.0), -_epochs(record, m["id"])))
    rows = [_trained_row(record, member, tested, letters) for member in trained]
    return [
        *parts,
        html.table(columns, rows, identified=True),
        html.paragraph(NOISE_KNOWN if noise else NOISE_UNKNOWN),
    ]


def _epochs(record: RunRecord, architecture: str) -> int:
    return max(int(trial["epochs"]) for trial in record.trials_of(architecture))


def _letter(group: int) -> str:
    return chr(ord("a") + group) if group < 26 else str(group)


def _trained_row(
    record: RunRecord, member: dict[str, Any], tested: dict[str, list[float]], letters: dict[str, str]
) -> tuple[object, ...]:
    trials, accuracies = record.trials_of(member["id"]), tested.get(member["id"], [])
    ended = dict.fromkeys(t["status"] + (f": {t['failure']}" if t["failure"] else "") for t in trials)
    validated = [t["val_accuracy"] for t in trials if t["val_accuracy"] is not None]
    return (
        member["id"],
        "; ".join(ended),
        _epochs(record, member["id"]),
        _percent(validated),
        _percent(accuracies),
        len(accuracies),
        letters.get(member["id"], ""),
        member["notation"],
    )


def _percent(fractions: list[float]) -> str:
    """Mean and, of several, the standard deviation of the sample."""
    if not fractions:
        return "-"
    spread = f" ± {100 * statistics.stdev(fractions):.2f}" if len(fractions) > 1 else ""
    return f"{100 * statistics.fmean(fractions):.2f}{spread} %"


def _places(record: RunRecord) -> list[tuple[str, str, str]]:
    folder = record.folder
    places = [
        ("experiment", folder.config),
        ("scores of all architectures", folder.scores),
        ("generations", folder.generations),
        ("front and selection", folder.front),
        ("epochs", folder.epochs),
        ("test results", folder.trained),
        ("checkpoints", folder.checkpoints),
    ]
    found = [(what, f"../{path.name}", str(path.resolve())) for what, path in places if path.exists()]
    names = (
        ("front, interactive", "front.html"),
        ("front, picture", "front.png"),
        ("front, table", "front.csv"),
        ("search as an Optuna study", STUDY),
    )
    return found + [(what, name, str((folder.report / name).resolve())) for what, name in names]
