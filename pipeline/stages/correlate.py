"""Evidence: does a score tell the accuracy on this space?"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.analysis.conditions import Condition
from pipeline.analysis.evidence import LEAST, Ceiling, Evidence, assess, noise_ceiling
from pipeline.analysis.resampling import Estimate
from pipeline.analysis.strata import cost_strata
from pipeline.errors import UserError
from pipeline.run_folder import write_json
from pipeline.stages._evidence_page import evidence_page, save_figure
from pipeline.stages._sample import BASELINES, Sample, oriented


@dataclass(frozen=True, eq=False)
class Part:
    """The evidence on a part of the sample.

    Attributes:
        where: The condition that the part fulfils; empty: all.
        n: Architectures.
        strata: Cost levels or quantiles within which architectures are called equally expensive.
        exact: Whether they are levels.
        ceiling: Seed against seed; None: unknown.
        scores: By name, the highest tau first.
        skipped: Why there is nothing on a score, by name.
        sample: The architectures themselves.
    """

    where: str
    n: int
    strata: int
    exact: bool
    ceiling: Ceiling | None
    scores: Mapping[str, Evidence]
    skipped: Mapping[str, str]
    sample: Sample


def correlate(sample: Sample, conditions: Sequence[Condition], seed: int) -> list[Part]:
    """The evidence on the whole sample, and on both parts into which each condition splits it.

    Raises:
        UserError: There are too few architectures, or a condition speaks of what is not known.
    """
    parts = [_part(sample, "", seed)]
    for condition in conditions:
        holds = sample.holds(condition)
        if holds.sum() < LEAST:
            n = len(holds)
            raise UserError(f"--where: {condition.text!r} holds for {holds.sum()} of {n}; at least {LEAST} are needed.")
        parts.append(_part(sample.only(holds), condition.text, seed))
        if (~holds).sum() >= LEAST:
            parts.append(_part(sample.only(~holds), f"not ({condition.text})", seed))
    return parts


def _part(sample: Sample, where: str, seed: int) -> Part:
    truth = sample.truth(seed)
    strata, exact = cost_strata(truth.cost)
    found: dict[str, Evidence] = {}
    skipped: dict[str, str] = {}
    for name, values in sample.scores.items():
        try:
            found[name] = assess(oriented(name, values), truth)
        except ValueError as reason:
            skipped[name] = str(reason)
    order = sorted(found, key=lambda name: -np.nan_to_num(found[name].kendall.value or -2.0))
    return Part(
        where=where,
        n=len(truth.accuracy),
        strata=len(np.unique(strata)),
        exact=exact,
        ceiling=noise_ceiling(truth),
        scores={name: found[name] for name in order},
        skipped=skipped,
        sample=sample,
    )


COLUMNS = ("score", "n", "τ", "ρ", "weighted τ", "τ at equal FLOPs", "τ, best 10 %", "overlap, best 10 %", "verdict")


def rows(part: Part) -> list[tuple[object, ...]]:
    """The evidence as a table with `COLUMNS`; the last row is what one training run tells of another one."""
    table: list[tuple[object, ...]] = [
        (
            name,
            e.n,
            *map(str, (e.kendall, e.spearman, e.weighted, e.equal_cost, e.top)),
            f"{100 * e.overlap:.0f} %",
            "a free score" if name in BASELINES else e.verdict,
        )
        for name, e in part.scores.items()
    ]
    if part.ceiling:
        c = part.ceiling
        overall, equal, top = (str(Estimate(value)) for value in (c.overall, c.equal_cost, c.top))
        values = (overall, "-", "-", equal, top)
        table.append(("noise ceiling", part.n, *values, "-", "one training seed against another"))
    return table


def title(part: Part) -> str:
    """What the table is about."""
    strata = f"{part.strata} FLOPs levels" if part.exact else f"{part.strata} quantiles of FLOPs"
    where = f" with {part.where}" if part.where else ""
    return f"{part.n} architectures of {part.sample.space.name}{where}; {strata}; {part.sample.known.source}"


def write(parts: Sequence[Part], folder: Path, seed: int) -> Path:
    """Writes correlation.html, correlation.png, correlation.csv and correlation.json; returns the path of the first.

    Raises:
        UserError: The folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write_csv(folder / "correlation.csv", parts)
        save_figure(parts[0].scores, title(parts[0]), folder / "correlation.png")
        tables = [(title(part), COLUMNS, rows(part)) for part in parts]
        (folder / "correlation.html").write_text(evidence_page(parts, tables), encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror}.") from error
    write_json(folder / "correlation.json", {"seed": seed, "parts": [_document(part) for part in parts]})
    return folder / "correlation.html"


def _document(part: Part) -> dict[str, Any]:
    scores = {name: asdict(e) | {"verdict": e.verdict} for name, e in part.scores.items()}
    return {
        "space": part.sample.space.name,
        "accuracy": part.sample.known.source,
        "where": part.where,
        "n": part.n,
        "strata": part.strata,
        "strata_exact": part.exact,
        "ceiling": part.ceiling and asdict(part.ceiling),
        "scores": scores,
        "skipped": dict(part.skipped),
    }


def _write_csv(path: Path, parts: Sequence[Part]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        estimates = ("tau", "rho", "weighted_tau", "tau_equal_flops", "tau_top", "difference")
        bounds = [f"{name}{end}" for name in estimates for end in ("", "_low", "_high")]
        writer.writerow(["where", "score", "n", "undefined", *bounds, "overlap_top", "baseline", "verdict"])
        for part in parts:
            for name, e in part.scores.items():
                found = (e.kendall, e.spearman, e.weighted, e.equal_cost, e.top, e.difference)
                ends = [value for estimate in found for value in _ends(estimate)]
                row = [part.where, name, e.n, e.undefined, *ends, f"{e.overlap:.4f}", e.baseline, e.verdict]
                writer.writerow(row)


def _ends(estimate: Estimate) -> list[str]:
    return ["" if v is None else f"{v:.4f}" for v in (estimate.value, estimate.low, estimate.high)]
