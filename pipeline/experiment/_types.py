"""Strict types of the keys of an experiment: unknown keys are errors, and numbers are finite."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=0, le=1_000_000)]
Positive = Annotated[int, Field(ge=1, le=1_000_000)]
"""A whole number up to a million. Whatever is larger is a slip, which would be noticed as a lack of memory or time."""
Several = Annotated[int, Field(ge=2, le=100_000)]
Pixels = Annotated[int, Field(ge=1, le=32_768)]
Rate = Annotated[float, Field(ge=0, le=1000)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
LONGEST = 10_000_000.0
"""The longest time limit in seconds, some 116 days: timers of the operating system overflow at larger numbers."""
TimeLimit = Annotated[float, Field(ge=0.01, le=LONGEST)]
Word = Annotated[str, Field(max_length=200)]
"""A name of a proxy, a column, an algorithm."""
Path = Annotated[str, Field(max_length=4000)]
Option = bool | Annotated[int, Field(ge=-(2**63), lt=2**63)] | float | Annotated[str, Field(max_length=10_000)]
MEMBERS = ("<name>", "<mapping>")
"""Members of a union in pydantic's places: which one it is follows from the type of the value."""
STORE, ARTIFACTS = "mlflow.db", "mlartifacts"
"""Entries of the runs folder beside the run folders: MLflow's database (SQLite adds -wal and -journal), its files."""


def _free(name: str) -> str:
    if name.casefold() == ARTIFACTS or name.casefold().startswith(STORE):
        raise ValueError(f"must not be the name of MLflow's store in the runs folder, but got {name!r}. Choose another")
    return name


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100), AfterValidator(_free)]


class Strict(BaseModel):
    """Base of every section of an experiment."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)
