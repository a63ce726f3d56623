"""Comparison of design spaces by the distributions of their errors, from Python."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.evaluation.design_spaces import wording
from zenfront.pipeline.evaluation.design_spaces.comparison import Comparison, compare
from zenfront.pipeline.evaluation.design_spaces.figures import interactive, plots
from zenfront.pipeline.evaluation.design_spaces.model_sample import ModelSample
from zenfront.pipeline.evaluation.design_spaces.report import Study, metrics, write_report
from zenfront.pipeline.evaluation.design_spaces.settings import Settings


@dataclass(frozen=True, eq=False)
class EdfResult:
    """Samples of models compared by the distributions of their errors.

    Attributes:
        comparison: All values: distribution functions, differences, random search, size of the samples.
    """

    comparison: Comparison

    @property
    def verdicts(self) -> list[str]:
        """A sentence for each two samples, and one for whatever was left out."""
        return list(wording.summary(self.comparison))

    def samples(self) -> pd.DataFrame:
        """Return the samples: models, lowest error, quartiles, highest error, areas, as in the report."""
        columns, rows = wording.sample_table(self.comparison)
        return pd.DataFrame(rows, columns=columns).set_index("sample")

    def differences(self) -> pd.DataFrame:
        """Return D and p-values of each two samples.

        Returns:
            A row for each pair ``first``, ``second``. ``d``, ``d_low``, ``d_high``: the Kolmogorov-Smirnov statistic
            with its 95 % interval. ``p``: of the permutation test; ``p_asymptotic``: by the limit distribution.
            ``d_equal``, ``d_equal_low``, ``d_equal_high``, ``p_equal``: the same at equal complexity, missing without
            complexities. ``better``: the sample at lower errors, missing if neither is.
        """
        rows: list[dict[str, Any]] = []
        for pair in self.comparison.pairs:
            row: dict[str, Any] = {"first": pair.first, "second": pair.second}
            for test, suffix in ((pair.plain, ""), (pair.normalised, "_equal")):
                found = (test.interval.value, test.interval.low, test.interval.high, test.p) if test else (np.nan,) * 4
                row |= dict(zip((f"d{suffix}", f"d{suffix}_low", f"d{suffix}_high", f"p{suffix}"), found, strict=True))
            rows.append(row | {"p_asymptotic": pair.plain.asymptotic_p, "better": pair.better})
        return pd.DataFrame(rows).set_index(["first", "second"])

    def figures(self) -> dict[str, go.Figure]:
        """Return the interactive figures of the report, by name."""
        return {plot.key: interactive(plot) for plot in plots(self.comparison)}

    def metrics(self) -> dict[str, float | None]:
        """Return D, p-values and areas by name, as they are tracked in MLflow."""
        return metrics(Study(self.comparison))

    def save(self, folder: str | PathLike[str]) -> Path:
        """Write page, figures and tables of `zenfront edf` to a folder; return the path of the page.

        Raises:
            UserError: The folder cannot be written.
        """
        return write_report(Study(self.comparison), Path(folder))

    def __repr__(self) -> str:
        return "\n".join(self.verdicts)


def edf(
    samples: Mapping[str, Any],
    *,
    complexities: Sequence[str] = (),
    limits: Mapping[str, tuple[float, float]] | None = None,
    bins: int | None = None,
    epsilon: float | None = None,
    resamples: int = 1000,
    seed: int = 0,
    error: str = "error",
) -> EdfResult:
    """Compare two or more samples of models by the distributions of their errors, as `zenfront edf` does.

    Args:
        samples: By name, the errors of the models (n,), lower is better, or a data frame or mapping of columns (n,)
            with the errors and the complexities. NaN: the model has no error and is left out.
        complexities: One or two columns at which the samples are made comparable.
        limits: (low, high) by column, strict; models outside are left out.
        bins: Bins of each complexity; as many as the samples allow if not given, at most 40.
        epsilon: Largest error that counts for the area; the largest of all if not given.
        resamples: Resamples of the bootstrap, and permutations of the tests.
        seed: Seed of everything random.
        error: Column of the errors.

    Raises:
        UserError: A column is missing; a sample has fewer than 10 models, or equal errors only; the samples do not
            overlap in complexity.

    Source: Radosavovic et al., "On network design spaces for visual recognition", ICCV 2019, arXiv:1905.13214.
    """
    settings = Settings(complexities, limits or {}, bins, epsilon, resamples, seed)
    return EdfResult(compare([_sample(name, given, error) for name, given in samples.items()], settings, error))


def _sample(name: str, given: Any, error: str) -> ModelSample:
    if not isinstance(given, Mapping | pd.DataFrame):
        return ModelSample(name, _numbers(given, f"sample {name!r}"))
    columns = {str(key): np.asarray(given[key]) for key in given}
    if error not in columns:
        raise UserError(f"sample {name!r} has no column {error!r}. It has: {', '.join(columns)}.")
    errors = _numbers(columns[error], f"sample {name!r}, column {error!r}")
    numbers = {key: np.asarray(values, np.float64) for key, values in columns.items() if values.dtype.kind in "iuf"}
    for key, values in numbers.items():
        if values.shape != errors.shape:
            raise UserError(
                f"sample {name!r}: all columns must have one length, but {error!r} has the shape {errors.shape} and "
                f"{key!r} {values.shape}."
            )
    return ModelSample(name, errors, numbers)


def _numbers(values: Any, place: str) -> np.ndarray:
    """Return errors as (n,) float64."""
    try:
        errors = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as reason:
        raise UserError(f"{place}: numbers are needed, but got {str(values)[:60]}.") from reason
    if errors.ndim != 1:
        raise UserError(f"{place}: one error for each model is needed, but got the shape {errors.shape}.")
    return errors
