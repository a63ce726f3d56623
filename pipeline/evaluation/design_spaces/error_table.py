"""Samples of models from tables of the user (parquet or CSV), and from the JSON files of the original sweeps."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from zenfront.pipeline.analysis.conditions import Condition, Value, properties
from zenfront.pipeline.errors import UserError, shortened
from zenfront.pipeline.evaluation.design_spaces.model_sample import ModelSample
from zenfront.pipeline.evaluation.truth_table import load_table
from zenfront.pipeline.wording import suggestion
from zenfront.spaces import Space

ERRORS = ("test_error", "error", "top1_error", "min_test_top1")
ACCURACIES = ("test_accuracy", "accuracy", "top1_accuracy", "validation_accuracy")
UNITS = {"percent": 100.0, "fraction": 1.0}
"""Largest value of an error or an accuracy, by unit."""


@dataclass(frozen=True)
class Columns:
    """Columns of a table, by their meaning.

    Attributes:
        error: Column of the error; None: a known name.
        accuracy: Column of the accuracy, instead of an error.
        unit: ``percent`` or ``fraction``.
        by: Column, or condition, by which the table is split into samples; None: it is one sample.
        only: Values of the column `by` to compare; empty: all.
        ranges: Columns of hyper-parameters whose best range is sought.
    """

    error: str | None = None
    accuracy: str | None = None
    unit: str = "percent"
    by: str | None = None
    only: Sequence[str] = ()
    ranges: Sequence[str] = ()

    def first_given(self) -> str | None:
        """Return the first option of the command line that differs from its default, or None."""
        for field in fields(self):
            if getattr(self, field.name) != field.default:
                return f"--{field.name.removesuffix('s')}"
        return None


def read_samples(path: Path, columns: Columns, space: Space | None = None) -> list[ModelSample]:
    """Read the samples of a table.

    Every other column of numbers is a complexity by which the models can be compared.

    Args:
        path: Parquet file, or CSV file with a head.
        columns: Names of the columns.
        space: Space of a column ``architecture``, whose genes and operations a condition may then name.

    Raises:
        UserError: The file or a column is missing; an error is not a number, negative, or above its unit.
    """
    table: dict[str, list[Any]] = load_table(path).to_pydict()
    column = _error_column(table, columns, path)
    errors = _errors(table[column], column, columns, path)
    names = _group(table, columns, space, path)
    numbers = {name: _numbers(values) for name, values in table.items() if _are_numbers(values) and name != column}
    groups = list(columns.only) or list(dict.fromkeys(name for name in names if name is not None))
    if wrong := [name for name in columns.ranges if name not in numbers]:
        raise UserError(f"--range: {path} has no column of numbers {wrong[0]!r}.{suggestion(wrong[0], list(numbers))}")
    if missing := [name for name in columns.only if name not in names]:
        known = sorted({name for name in names if name})
        raise UserError(f"{path}: no model has {columns.by} = {missing[0]!r}.{suggestion(missing[0], known)}")
    samples = []
    for group in groups:
        here = np.array([name == group for name in names])
        found = {name: values[here] for name, values in numbers.items()}
        samples.append(ModelSample(group, errors[here], found, {name: found[name] for name in columns.ranges}))
    return samples


def read_sweep(path: Path) -> ModelSample:
    """Read a sweep of the original study: a list of jobs with ``params``, ``flops``, ``min_test_top1``, ``net``.

    Hyper-parameters are ``base_lr`` and ``wd`` of ``optim``, and the numbers of ``net``.

    Raises:
        UserError: The file is no such list, or a job lacks a key; the file and the job are named.

    Source: facebookresearch/nds, the files of its README.
    """
    jobs = _jobs(path)
    rows = [_job(job, path, number) for number, job in enumerate(jobs, start=1)]
    errors = np.array([row["error"] for row in rows])
    costs = {name: np.array([row[name] for row in rows]) for name in ("params", "flops")}
    names = dict.fromkeys(name for row in rows for name in row if name not in ("error", "params", "flops"))
    numbers = {name: np.array([row.get(name, np.nan) for row in rows]) for name in names}
    complete = {name: values for name, values in numbers.items() if np.isfinite(values).all()}
    _check_range(errors, "percent", f"{path}, min_test_top1", accuracy=False)
    return ModelSample(path.stem, errors, costs, complete)


def _error_column(table: Mapping[str, list[Any]], columns: Columns, path: Path) -> str:
    """Return the name of the column of the error or the accuracy."""
    if columns.error and columns.accuracy:
        raise UserError("give either --error or --accuracy, not both.")
    for option, given, others in (("error", columns.error, ACCURACIES), ("accuracy", columns.accuracy, ERRORS)):
        if given in others:
            other = "accuracy" if option == "error" else "error"
            raise UserError(
                f"--{option} {given}: this is the name of an {other}. Give --{other} {given}, or rename it."
            )
    name = columns.error or columns.accuracy or next((n for n in (*ERRORS, *ACCURACIES) if n in table), None)
    if name is None:
        raise UserError(
            f"{path} has no column with a known name of an error or an accuracy. "
            f"Give --error COLUMN or --accuracy COLUMN; its columns are: {', '.join(table)}."
        )
    if name not in table:
        raise UserError(f"{path} has no column {name!r}.{suggestion(name, list(table))}")
    if not table[name]:
        raise UserError(f"{path} has no rows.")
    return name


def _errors(found: Sequence[Any], name: str, columns: Columns, path: Path) -> np.ndarray:
    """Return the errors (n,) in percent."""
    if columns.unit not in UNITS:
        raise UserError(f"--unit: percent or fraction is needed, but got {columns.unit!r}.")
    if not _are_numbers(found):
        wrong = next(value for value in found if not (value is None or _is_number(value)))
        raise UserError(f"{path}, column {name!r}: numbers are needed, but got {wrong!r}.")
    values, top = _numbers(found), UNITS[columns.unit]
    accuracy = columns.accuracy is not None or (columns.error is None and name in ACCURACIES)
    _check_range(values, columns.unit, f"{path}, column {name!r}", accuracy)
    return np.asarray((top - values if accuracy else values) * (100 / top))


def _check_range(values: np.ndarray, unit: str, place: str, accuracy: bool) -> None:
    """Check that errors or accuracies lie within their unit, and use its range."""
    top, what = UNITS[unit], "an accuracy" if accuracy else "an error"
    here = np.flatnonzero((values < 0) | (values > top))
    if len(here):
        hint = " Give --unit percent if they are in percent." if unit == "fraction" else ""
        raise UserError(
            f"{place}, row {here[0] + 1}: {what} in {unit} lies from 0 to {top:g}, but got {values[here[0]]:g}.{hint}"
        )
    known = values[np.isfinite(values)]
    if unit == "percent" and len(known) and known.max() <= 1 and known.max() > 0:
        raise UserError(
            f"{place}: no value is above 1 (largest: {known.max():g}), which is no range of percents. "
            "Errors of tables that are fractions need --unit fraction."
        )


def _group(table: Mapping[str, list[Any]], columns: Columns, space: Space | None, path: Path) -> list[str | None]:
    """Return the name of the sample of each row; None for a row that belongs to none."""
    rows = len(next(iter(table.values()), []))
    if columns.by is None:
        return [path.stem] * rows
    if columns.by in table:
        return [None if value is None else str(value) for value in table[columns.by]]
    if columns.by.isidentifier():
        raise UserError(f"--by: {path} has no column {columns.by!r}.{suggestion(columns.by, list(table))}")
    condition = Condition.parse(columns.by, "--by")
    return [columns.by if condition.holds(row) else f"not ({columns.by})" for row in _properties(table, space, path)]


def _properties(table: Mapping[str, list[Any]], space: Space | None, path: Path) -> Iterable[Mapping[str, Value]]:
    for index in range(len(next(iter(table.values()), []))):
        row = {name: values[index] for name, values in table.items()}
        if space is None:
            yield row
            continue
        if "architecture" not in row:
            raise UserError(f"{path} has no column 'architecture', which a condition on a space needs.")
        try:
            architecture = space.architecture(space.parse(str(row["architecture"])))
        except UserError as error:
            raise UserError(f"{path}, row {index + 1}: {error}") from error
        yield row | properties(space, architecture)


def _are_numbers(values: Sequence[Any]) -> bool:
    return all(value is None or _is_number(value) for value in values)


def _is_number(value: object) -> TypeGuard[float]:
    """Return whether a value is a number, of the size of a float; true and false are none."""
    if isinstance(value, int):
        return not isinstance(value, bool) and abs(value) <= sys.float_info.max
    return isinstance(value, float)


def _numbers(values: Sequence[Any]) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _jobs(path: Path) -> list[Any]:
    try:
        jobs = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"cannot read {path} as a sweep in JSON: {error}.") from error
    if not isinstance(jobs, list) or not jobs:
        got = "an empty list" if jobs == [] else type(jobs).__name__
        raise UserError(f"{path}: a sweep is a list of jobs, but got {got}.")
    return jobs


def _job(job: Any, path: Path, number: int) -> dict[str, float]:
    """Return the numbers of a job by name."""
    needed = {"params": "params", "flops": "flops", "min_test_top1": "error"}
    row: dict[str, float] = {}
    for key, name in needed.items():
        value = job.get(key) if isinstance(job, Mapping) else None
        if not _is_number(value):
            raise UserError(f"{path}, job {number}: a number is needed in {key!r}, but got {shortened(repr(value))}.")
        row[name] = float(value)
    optim, net = (job.get(key) if isinstance(job.get(key), Mapping) else {} for key in ("optim", "net"))
    for key, value in [*optim.items(), *net.items()]:
        if _is_number(value):
            row[key] = float(value)
        elif isinstance(value, list) and all(map(_is_number, value)):
            row |= {f"{key}{position}": float(v) for position, v in enumerate(value, start=1)}
    return row
