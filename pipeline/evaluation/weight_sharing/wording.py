"""Tables and sentences of a study of weight sharing."""

from collections.abc import Iterator, Sequence

from zenfront.pipeline.analysis.weight_sharing.instances import Spread
from zenfront.pipeline.evaluation.weight_sharing.instances import Arm
from zenfront.pipeline.evaluation.weight_sharing.measures import FIRST, Bias, Measures
from zenfront.pipeline.wording import duration

Table = tuple[list[str], list[list[object]]]
READING = (
    "S-Tau: mean Kendall τ-b between the rankings of two instances. GT-Tau: τ-b with the ground truth. TnR: the best "
    "true rank among the n that are ranked first. [low, high]: 95 % interval of a bootstrap over instances; (min, "
    "max): over instances, or over their pairs for S-Tau. GT-Tau-Mean-k and -Std-k: over the rankings after each "
    "of the last k steps. Row `each of last k`: means over these rankings, and S-Tau is the agreement of steps of one "
    "instance. Cost: training and evaluation of one instance, or the score of all architectures."
)
NO_TRUTH = "GT-Tau, TnR and the bias need a ground truth: give --truth TABLE"


def measure_table(measures: Sequence[Measures], k: int) -> Table:
    """Return the table of all measures: settings by weights, limits, and what costs less."""
    columns = ["ranking", "weights", "S-Tau", "GT-Tau", *(f"T{n}R" for n in FIRST), "cost"]
    columns += ["τ of best tenth", f"GT-Tau-Mean-{k} ± Std"]
    rows: list[list[object]] = []
    for each in measures:
        agreement = (spread(each.s_tau), spread(each.gt_tau), *(_mean(each.ranks.get(n), 1) for n in FIRST))
        last = (_mean(each.top_tau, 2), f"{_mean(each.last_mean, 3)} ± {_mean(each.last_sd, 3)}".replace("- ± -", "-"))
        cost = "-" if each.seconds is None else duration(each.seconds)
        rows.append([each.name, each.weights or "-", *agreement, cost, *last])
    return columns, rows


def value_table(measures: Sequence[Measures]) -> Table:
    """Return the measures as numbers, for a file; durations, which differ from run to run, are left out."""
    columns, ends = ["ranking", "weights"], ("", "_low", "_high", "_min", "_max")
    parts = ("s_tau", "gt_tau", *(f"t{n}r" for n in FIRST), "top_tau", "gt_tau_mean_k", "gt_tau_std_k")
    columns += [part + end for part in parts for end in ends]
    rows: list[list[object]] = []
    for each in measures:
        found = (each.s_tau, each.gt_tau, *(each.ranks.get(n) for n in FIRST))
        spreads = (*found, each.top_tau, each.last_mean, each.last_sd)
        rows.append([each.name, each.weights, *(value for one in spreads for value in _numbers(one))])
    return columns, rows


def _numbers(found: Spread | None) -> list[float | None]:
    if found is None:
        return [None] * 5
    values = (found.mean.value, found.mean.low, found.mean.high, found.least, found.most)
    return [None if value is None else round(value, 6) for value in values]


def spread(found: Spread | None) -> str:
    """Return a value with its interval, and its extremes if there are several instances."""
    if found is None or found.mean.value is None:
        return "-"
    interval = "" if found.mean.low is None else f" [{found.mean.low:.2f}, {found.mean.high:.2f}]"
    extremes = "" if found.least == found.most else f" ({found.least:.2f}, {found.most:.2f})"
    return f"{found.mean.value:.3f}{interval}{extremes}"


def _mean(found: Spread | None, digits: int) -> str:
    return "-" if found is None or found.mean.value is None else f"{found.mean.value:.{digits}f}"


def bias_table(biases: Sequence[Bias]) -> Table:
    """Return τ of each property with the ranking, with the truth, and with the rank error, for each setting."""
    rows: list[list[object]] = [
        [each.name, name, bias.ranking, bias.truth, bias.error]
        for each in biases
        for name, bias in each.properties.items()
    ]
    return ["setting", "property", "τ with ranking", "τ with truth", "τ with rank error"], rows


def operation_table(biases: Sequence[Bias]) -> Table:
    """Return the share of each operation among the best tenth, for each setting."""
    rows: list[list[object]] = [
        [each.name, name, share.ranked, share.truth, share.everywhere]
        for each in biases
        for name, share in each.operations.items()
    ]
    return ["setting", "operation", "best by ranking", "best by truth", "everywhere"], rows


def notes(arms: Sequence[Arm], has_truth: bool, missing: Sequence[str]) -> Iterator[str]:
    """Yield a sentence for whatever is missing."""
    for arm in arms:
        for number, reason in arm.failures.items():
            yield f"setting {arm.name}, instance {number} is left out: {reason}"
        if arm.unfinished:
            yield f"setting {arm.name}: {arm.unfinished} instances are not finished"
        if len(arm.instances) == 1:
            yield f"setting {arm.name} has one instance: S-Tau compares two or more"
    for name in missing:
        yield f"score {name} is left out: it is undefined or not recorded for some architectures"
    if not has_truth:
        yield NO_TRUTH
