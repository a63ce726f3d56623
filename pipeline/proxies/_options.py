"""Options shared by several proxies."""

from collections.abc import Mapping
from typing import Literal, TypeVar

from zenfront.pipeline.errors import UserError

Mode = Literal["paper", "reference"]
Precision = Literal["float32", "float64"]
Value = TypeVar("Value")


def one_of(option: str, choice: str, table: Mapping[str, Value]) -> Value:
    """Return the table entry for the value of an option.

    Raises:
        UserError: The value is not in the table.
    """
    if choice not in table:
        raise UserError(f"proxy option `{option}` must be one of {', '.join(table)}, but got {choice!r}.")
    return table[choice]
