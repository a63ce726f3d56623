"""Types of values that are read from JSON, and the function that reads them: nothing is converted in silence."""

from typing import Annotated, TypeVar

from pydantic import ConfigDict, Field, Strict, TypeAdapter, ValidationError

Value = TypeVar("Value")
SCHEMA = 1
"""Version of the files of a run folder."""
Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]
"""A finite number."""
Share = Annotated[float, Strict(), Field(ge=0, le=1)]
"""A number from 0 to 1."""
Seconds = Annotated[float, Strict(), Field(ge=0, le=1e11)]
"""A time since the Unix epoch or a duration, which calendars can show: less than 3,200 years."""
Count = Annotated[int, Strict(), Field(ge=0, lt=2**63)]
"""A whole number, 0 or more."""
Positive = Annotated[int, Strict(), Field(ge=1, lt=2**63)]
"""A whole number, 1 or more."""
Text = Annotated[str, Strict()]
CLOSED = ConfigDict(extra="forbid", use_attribute_docstrings=True)
"""Configuration of a dataclass that is read from a JSON object: unknown keys are an error."""
_UNKNOWN = "unexpected_keyword_argument"
_RULES = {
    "missing": "the key is missing",
    _UNKNOWN: "unknown key",
    "dataclass_type": "must be an object",
    "dict_type": "must be an object",
    "finite_number": "must be a finite number",
}


def read_row(adapter: TypeAdapter[Value], row: object) -> Value:
    """Return the value that plain data stand for.

    Args:
        adapter: For a dataclass with `CLOSED` as ``__pydantic_config__``, say.
        row: As `json.loads` returns it.

    Raises:
        ValueError: A key is missing or unknown, or a value has the wrong type or is not finite. The message names the
            place inside the row, the rule and the value.
    """
    try:
        return adapter.validate_python(row)
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        place = ".".join(map(str, detail["loc"]))
        rule = _RULES.get(detail["type"]) or _rule(detail["msg"])
        got = "" if detail["type"] in ("missing", _UNKNOWN, "value_error") else f", but got {_shown(detail['input'])}"
        raise ValueError(f"{place}: {rule}{got}" if place else f"{rule}{got}") from error


def _rule(message: str) -> str:
    return message.removeprefix("Value error, ").replace("Input should", "must")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
