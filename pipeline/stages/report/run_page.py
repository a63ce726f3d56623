"""Report page of one run: settings, front, training and files."""

import math
import statistics
from collections.abc import Sequence

import plotly.graph_objects as go

from zenfront.pipeline.analysis.learned import CostError
from zenfront.pipeline.analysis.noise import noise_groups
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.plots import html
from zenfront.pipeline.plots.interactive import hypervolume_figure, training_figure
from zenfront.pipeline.plots.series import unit
from zenfront.pipeline.record.commands import command
from zenfront.pipeline.record.data_file import read_overview
from zenfront.pipeline.record.files.json_file import read_json
from zenfront.pipeline.record.pilot import SIZE, read_reliabilities, warning
from zenfront.pipeline.record.provenance import Origin, read_origin
from zenfront.pipeline.record.run_record import RunRecord
from zenfront.pipeline.results.front import Front, Member
from zenfront.pipeline.stages.report.rounds_blocks import rounds_blocks
from zenfront.pipeline.stages.report.trained_blocks import TRAINED_PICTURE, drawable, trained_blocks
from zenfront.pipeline.user_code import UserCode
from zenfront.pipeline.wording import duration, number

STUDY = "study.journal"
NOISE_UNKNOWN = (
    "Every architecture was trained with one seed, so the noise between seeds is unknown: do not read an order into "
    "small differences."
)
CIFAR = " On CIFAR-10, the author of ZenNAS calls less than 2 percentage points no difference."
NOISE_KNOWN = (
    "Architectures with the same letter do not differ within the noise between seeds from the best of their letter "
    "(Tukey-Kramer test at 95 %, spread pooled over all architectures)."
)

RELIABILITY = (
    f"Reliability: the share of a score's variance among architectures of equal FLOPs that is not due to the random "
    f"weights, measured on up to {SIZE} architectures of the first generation."
)


def report_page(record: RunRecord, front: go.Figure) -> str:
    """Return the markup of index.html.

    Args:
        record: Record of the run.
        front: Figure of the front.

    Raises:
        UserError: The run has no front yet.
    """
    found = record.front
    if found is None:
        raise UserError(
            f"{record.folder.front} is missing: there is no front to report. "
            f"Run {command('select', record.folder.path)} first."
        )
    parts = [
        html.heading(record.experiment.name, 1),
        html.paragraph(_summary(record, found)),
        html.facts(_facts(record, found)),
        *trained_blocks(record),
        html.heading("Settings"),
        html.table((), _settings(record, found)),
        html.heading("Front"),
        html.figure(front, "front"),
        _front(found, record.experiment.code),
        html.heading("Search"),
        html.figure(hypervolume_figure(record), "hypervolume"),
        html.paragraph(
            "Hypervolume in units of the first front that extends in every objective (from 0 at its best to 1 at its "
            "worst value of each), below the reference point 1.1.",
            soft=True,
        ),
        *_reliability(record),
        *_predicted(record),
        _failures(found),
        *_training(record),
        *rounds_blocks(record),
        html.heading("Files"),
        html.links(_places(record)),
    ]
    return html.page(f"{record.experiment.name}: report", parts)


def _summary(record: RunRecord, front: Front) -> str:
    scored = f"{front.evaluations:,} of {front.space_size:,} architectures of {front.space} were scored"
    preferences = ", ".join(f"{o.direction} {o.score}" for o in front.objectives)
    trained = len({run.architecture for run in record.trained})
    origin = f"in {len(record.rounds)} rounds" if record.rounds else "of the front"
    then = f" Then {trained} {origin} were trained." if trained else ""
    return f"{scored} without training, to {preferences}.{then}"


def _facts(record: RunRecord, front: Front) -> list[tuple[str, str]]:
    means = [statistics.fmean(tested) for m in front.networks if (tested := record.test_accuracies(m.id))]
    facts = [
        ("architectures scored", number(front.evaluations)),
        ("members of the front", number(len(front.members))),
        ("hypervolume", number(front.hypervolume)),
        ("excluded by constraints", number(front.infeasible)),
        ("failed", number(sum(front.failures.values()))),
    ]
    metric = record.experiment.train.tabled
    best = metric.shown(max(means, key=lambda value: metric.sign * value)) if means else ""
    return facts + ([(f"best mean {metric.tested}", best)] if means else [])


def _settings(record: RunRecord, front: Front) -> list[tuple[str, str]]:
    experiment, search, origin = record.experiment, record.experiment.search, read_origin(record.folder)
    task = experiment.task
    return [
        ("Space", f"{front.space}, {front.space_size:,} points"),
        ("Task", str(task)),
        *_data(record),
        ("Objectives", ", ".join(f"{o.direction} {o.score}" for o in front.objectives)),
        ("Constraints", ", ".join(map(str, front.constraints)) or "none"),
        ("Algorithm", f"{search.algorithm}, population {search.population}, seed {search.seed}"),
        ("Proxies", f"mini-batch of {search.batch} images, repeats: {search.repeats}"),
        ("Search time", duration(record.generations[-1].seconds) if record.generations else "-"),
        ("Selection", _selection(front)),
        ("Code", _code(origin)),
        ("Versions", ", ".join(f"{name} {version}" for name, version in origin.versions.items())),
    ]


def _selection(front: Front) -> str:
    if not front.rounds:
        return f"{len(front.selected)} by {front.rule}"
    return f"{len(front.selected)} in {len(front.rounds)} rounds, the first by {front.rule} and at random"


def _data(record: RunRecord) -> list[tuple[str, str]]:
    """Return what is kept of the data; a run of an earlier version has nothing."""
    found = read_overview(record.folder)
    if found is None:
        return []
    parts = ", ".join(f"{part.images:,} {part.role}" for part in found.parts)
    return [
        ("Data", f"{record.experiment.train.data.source}: {parts} images"),
        ("Classes", found.listed()),
        *([("Notes on the data", "; ".join(found.notes))] if found.notes else []),
    ]


def _code(origin: Origin) -> str:
    if origin.git is None:
        return "not from a repository"
    return f"{origin.git.commit[:12]}{' with changes' if origin.git.dirty else ''}"


def _front(front: Front, code: Sequence[UserCode]) -> html.Block:
    rank = {name: position for position, name in enumerate(front.selected, start=1)}
    first = [objective.score for objective in front.objectives]
    scores = list(dict.fromkeys(first + [name for member in front.members for name in member.values]))
    units = {name: unit(name, code) for name in scores}
    columns = ("architecture", "selected", *(f"{n} [{u}]" if u else n for n, u in units.items()), "genes")
    rows = [(m.id, rank.get(m.id), *(_format_score(m, name) for name in scores), m.notation) for m in front.members]
    return html.table(columns, rows, identified=True)


def _format_score(member: Member, score: str) -> object:
    value, error = member.values.get(score), member.errors.get(score)
    return value if value is None or error is None else f"{number(value)} ± {number(error)}"


def _reliability(record: RunRecord) -> list[html.Block]:
    found = read_reliabilities(record.experiment, record.folder)
    if not found:
        return []
    columns = ("score", "times taken", "reliability of one sample", "reliability of their mean")
    shown = {name: [value and f"{value:.2f}" for value in (each.single, each.mean)] for name, each in found.items()}
    rows = [(name, found[name].repeats, *(value or "unknown" for value in values)) for name, values in shown.items()]
    return [html.table(columns, rows), html.paragraph(f"{RELIABILITY} {warning(found) or ''}".strip(), soft=True)]


def _predicted(record: RunRecord) -> list[html.Block]:
    """Return the errors of the models of costs that were measured on some architectures only."""
    errors = {path.parent.name: CostError(**read_json(path)) for path in record.folder.devices.glob("*/model.json")}
    return [html.paragraph(f"{name} is predicted {error}.") for name, error in sorted(errors.items())]


def _failures(front: Front) -> html.Block:
    if not front.failures:
        return html.paragraph("No architecture failed.")
    rows = sorted(front.failures.items(), key=lambda item: (-item[1], item[0]))
    return html.table(("architectures that failed, by reason", "number"), rows)


def _training(record: RunRecord) -> list[html.Block]:
    parts = [html.heading("Training")]
    if record.epochs:
        parts.append(html.figure(training_figure(record), "training"))
    if not record.trained:
        return [*parts, html.paragraph("Nothing has been trained to its end yet.")]
    tested = {m.id: accuracies for m in record.shown if (accuracies := record.test_accuracies(m.id))}
    metric = record.experiment.train.tabled
    noise = noise_groups([[metric.sign * value for value in values] for values in tested.values()])
    letters = {name: _letter(group) for name, group in zip(tested, noise, strict=True)} if noise else {}
    columns = (
        "architecture",
        "training",
        "epochs",
        f"last {metric.validated}",
        metric.tested,
        "seeds",
        "noise",
        "genes",
    )
    means = {name: metric.sign * statistics.fmean(accuracies) for name, accuracies in tested.items()}
    trained = [m for m in record.shown if record.runs_of(m.id)]
    trained.sort(key=lambda m: (-means.get(m.id, -math.inf), -_epochs(record, m.id)))
    rows = [_trained_row(record, member, tested, letters) for member in trained]
    return [
        *parts,
        html.table(columns, rows, identified=True),
        html.paragraph(NOISE_KNOWN if noise else NOISE_UNKNOWN + CIFAR * metric.is_accuracy),
    ]


def _epochs(record: RunRecord, architecture: str) -> int:
    return max(run.epochs for run in record.runs_of(architecture))


def _letter(group: int) -> str:
    return chr(ord("a") + group) if group < 26 else str(group)


def _trained_row(
    record: RunRecord, member: Member, tested: dict[str, list[float]], letters: dict[str, str]
) -> tuple[object, ...]:
    runs, accuracies = record.runs_of(member.id), tested.get(member.id, [])
    ended = dict.fromkeys(run.status + (f": {run.failure}" if run.failure else "") for run in runs)
    metric = record.experiment.train.tabled
    validated = [value for run in runs if (value := run.validation(metric.name)) is not None]
    return (
        member.id,
        "; ".join(ended),
        _epochs(record, member.id),
        metric.shown_mean(validated),
        metric.shown_mean(accuracies),
        len(accuracies),
        letters.get(member.id, ""),
        member.notation,
    )


def _places(record: RunRecord) -> list[tuple[str, str, str]]:
    folder = record.folder
    places = [
        ("experiment", folder.config),
        ("what the data hold", folder.data),
        ("scores of all architectures", folder.scores),
        ("generations", folder.generations),
        ("front and selection", folder.front),
        ("epochs", folder.epochs),
        ("test results", folder.trained),
        ("checkpoints", folder.checkpoints),
    ]
    found = [(what, f"../{path.name}", f"{folder.path.name}/{path.name}") for what, path in places if path.exists()]
    names = (
        *((("trained front, picture", TRAINED_PICTURE),) if drawable(record) else ()),
        ("front, interactive", "front.html"),
        ("front, picture", "front.png"),
        ("front, table", "front.csv"),
        ("search as an Optuna study", STUDY),
    )
    return found + [(what, name, f"{folder.path.name}/{folder.report.name}/{name}") for what, name in names]
