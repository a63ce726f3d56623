"""Strict types of the keys of an experiment: unknown keys are errors, and numbers are finite."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
LONGEST = 10_000_000.0
"""The longest time limit in seconds, some 116 days: timers of the operating system overflow at larger numbers."""
TimeLimit = Annotated[float, Field(ge=0.01, le=LONGEST)]
Option = bool | int | float | str
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]


class Strict(BaseModel):
    """Base of every section of an experiment."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)
