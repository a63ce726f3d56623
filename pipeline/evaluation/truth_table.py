"""Tables of the user, parquet or CSV: accuracies and scores of architectures."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from zenfront.pipeline.errors import UserError
from zenfront.spaces import Architecture, Space

ARCHITECTURE = "architecture"
UNCHANGED: Mapping[str, str] = MappingProxyType({})
ACCURACIES = ("test_accuracy", "test_accuracy_mean", "accuracy", "accuracy_mean", "validation_accuracy")
LISTED = 20
"""Columns that a message lists."""


@dataclass(frozen=True, eq=False)
class TruthTable:
    """Architectures whose accuracy is known.

    Attributes:
        architectures: Canonical, each once; rows that build the same network are merged and have their mean accuracy.
        accuracy: (n,).
        seeds: (n, s) accuracies of single training runs, NaN where there is none; s may be 0.
        source: Column or training that the accuracy is from.
    """

    architectures: Sequence[Architecture]
    accuracy: np.ndarray
    seeds: np.ndarray
    source: str

    def select(self, rows: np.ndarray) -> "TruthTable":
        """Return the table of these rows, given as indices or as (n,) bool."""
        chosen = [self.architectures[i] for i in np.arange(len(self.architectures))[rows]]
        return TruthTable(chosen, self.accuracy[rows], self.seeds[rows], self.source)


def read_truth(
    path: Path, space: Space, column: str | None, columns: Mapping[str, str] = UNCHANGED, *, positive: bool = False
) -> TruthTable:
    """Read accuracies: a column ``architecture`` in the space's notation, an accuracy, and optionally one per seed.

    In place of ``architecture`` there can be a column for each gene.

    Args:
        path: Path of the table, CSV if it ends in .csv, else parquet.
        space: Space of the architectures.
        column: Column of the accuracy; None: the first of `ACCURACIES` that exists. Columns ``<column>_seed<i>`` hold
            single training runs.
        columns: Columns of the table, by the names that they have here.
        positive: Leave out the architectures whose value is not positive: tables of latencies have 0 or -1 where a
            network did not run.

    Raises:
        UserError: The file or a column is missing, a row is not an architecture of the space, or an accuracy is not a
            number.
    """
    table = _read(path, space, columns)
    column = column or next((name for name in ACCURACIES if name in table), ACCURACIES[0])
    accuracy = _numbers(table, column, path)
    seeds = [_numbers(table, name, path) for name in table if name.startswith(f"{column}_seed")]
    runs = np.array(seeds).T if seeds else np.empty((len(accuracy), 0))
    architectures = _architectures(table, space, path)
    rows: dict[Architecture, list[int]] = {}
    for index in np.flatnonzero(np.isfinite(accuracy) & (accuracy > 0 if positive else True)):
        rows.setdefault(architectures[index], []).append(int(index))
    means = np.array([accuracy[same].mean() for same in rows.values()])
    return TruthTable(list(rows), means, np.array([runs[same].mean(0) for same in rows.values()]), column)


def read_scores(path: Path, space: Space, columns: Mapping[str, str] = UNCHANGED) -> dict[str, Mapping[str, float]]:
    """Read scores: architectures as for `read_truth`, and one column per score, where an empty cell means undefined.

    Args:
        path: Path of the table, CSV if it ends in .csv, else parquet.
        space: Space of the architectures.
        columns: Columns of the table, by the names that they have here.

    Returns:
        The scores by name, by id of the architecture.

    Raises:
        UserError: The file or the column is missing, or a row is not an architecture of the space.
    """
    table = _read(path, space, columns)
    names = [name for name, values in table.items() if all(isinstance(v, int | float | None) for v in values)]
    rows = ({name: table[name][i] for name in names if table[name][i] is not None} for i in range(_length(table)))
    return {a.id: row for a, row in zip(_architectures(table, space, path), rows, strict=True)}


def check_columns(columns: Mapping[str, str], paths: Sequence[Path]) -> None:
    """Check that every column that is to be renamed is in one of the tables.

    Raises:
        UserError: A table cannot be read, or a column is in none of them.
    """
    known = list(dict.fromkeys(name for path in paths for name in (load_table(path).column_names if columns else ())))
    if missing := [name for name in columns.values() if name not in known]:
        tables = " nor ".join(map(str, paths))
        raise UserError(f"--column: there is no column {missing[0]!r} in {tables}. There are: {', '.join(known)}.")


def _read(path: Path, space: Space, columns: Mapping[str, str]) -> dict[str, list[Any]]:
    """Return the columns of a table by name; ``architecture`` has texts, or the genes by name."""
    table = load_table(path, columns.get(ARCHITECTURE, ARCHITECTURE))
    names = table.column_names
    found: dict[str, list[Any]] = table.to_pydict()
    found |= {ours: found[theirs] for ours, theirs in columns.items() if theirs in names}
    if ARCHITECTURE not in found and space.levels.keys() <= found.keys():
        genes = zip(*(found[name] for name in space.levels), strict=True)
        found[ARCHITECTURE] = [dict(zip(space.levels, values, strict=True)) for values in genes]
    if ARCHITECTURE not in found:
        raise _missing(path, ARCHITECTURE, names, ", nor one for each gene")
    return found


def load_table(path: Path, text: str | None = None) -> Any:
    """Return the Arrow table of a file, CSV if it ends in .csv, else parquet.

    Args:
        path: Path of the file.
        text: Column of a CSV file that holds text, even where it looks like numbers: 0012 is not 12.

    Raises:
        UserError: The file cannot be read, or two columns have one name.
    """
    import pyarrow as pa
    from pyarrow import csv, parquet

    is_csv = path.suffix.lower() == ".csv"
    types = csv.ConvertOptions(column_types={text: pa.string()} if text else None, strings_can_be_null=False)
    try:
        table = csv.read_csv(path, convert_options=types) if is_csv else parquet.read_table(path)
    except (OSError, pa.ArrowException) as error:
        kind = "CSV" if is_csv else "parquet"
        hint = "" if path.suffix.lower() in (".csv", ".parquet") else " A CSV file must have a name that ends in .csv."
        raise UserError(f"cannot read {path} as {kind}: {str(error).splitlines()[0]}{hint}") from error
    names = table.column_names
    if twice := [name for name in names if names.count(name) > 1]:
        raise UserError(f"{path} has two columns {twice[0]!r}; a name must be that of one column.")
    if coded := [field.name for field in table.schema if is_csv and pa.types.is_binary(field.type)]:
        raise UserError(f"{path}, column {coded[0]!r}: a CSV file must be in UTF-8. Save it in this encoding.")
    return table


def _length(table: Mapping[str, Sequence[Any]]) -> int:
    return len(table[ARCHITECTURE])


def _missing(path: Path, column: str, known: Iterable[str], more: str = "") -> UserError:
    names = list(known)
    rest = f" and {len(names) - LISTED} more" if names[LISTED:] else ""
    return UserError(f"{path} has no column {column!r}{more}. It has: {', '.join(names[:LISTED])}{rest}.")


def _numbers(table: Mapping[str, list[Any]], column: str, path: Path) -> np.ndarray:
    if column not in table:
        raise _missing(path, column, table)
    values = table[column]
    if wrong := [v for v in values if not isinstance(v, int | float | None)]:
        raise UserError(f"{path}, column {column!r}: an accuracy must be a number, but got {wrong[0]!r}.")
    return np.array([np.nan if v is None else v for v in values], dtype=np.float64)


def _architectures(table: Mapping[str, list[Any]], space: Space, path: Path) -> list[Architecture]:
    found = []
    for number, text in enumerate(table[ARCHITECTURE], start=1):
        if not isinstance(text, str | dict):
            rule = "an architecture must be a text (a number has no leading zeros)"
            raise UserError(f"{path}, row {number}: {rule}, but got {text!r}.")
        try:
            found.append(space.architecture(space.parse(text) if isinstance(text, str) else text))
        except UserError as error:
            raise UserError(f"{path}, row {number}: {text!r} is not in space {space.name!r}: {error}") from error
    return found
