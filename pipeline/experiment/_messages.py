"""Messages for a value that is wrong: the rule, the value and the likely intention."""

import re
from collections.abc import Sequence

from pydantic_core import ErrorDetails

from zenfront.pipeline.experiment import addresses
from zenfront.pipeline.wording import suggestion

# Rules that pydantic states with the names of JSON's and Python's types, in those of YAML.
_RULES = {
    "bool_type": "must be true or false",
    "dataclass_type": "must be a mapping",
    "dict_type": "must be a mapping",
    "float_type": "must be a number",
    "int_from_float": "must be a whole number",
    "int_type": "must be a whole number",
    "model_type": "must be a mapping",
    "string_type": "must be text",
    "tuple_type": "must be a list",
}


def unfit(details: Sequence[ErrorDetails]) -> str:
    """Return why a value does not fit its type; several details are those of a union's members."""
    detail = details[0]
    if detail["type"] == "value_error":
        return f"{detail['msg'].removeprefix('Value error, ')}."
    rules = [_RULES.get(each["type"]) or _rule(each["msg"]) for each in details]
    rule = " or ".join(dict.fromkeys(rules)).replace(" or must be", " or")
    expected = re.findall(r"'([^']+)'", str(detail.get("ctx", {}).get("expected", "")))
    number = isinstance(detail["input"], str) and re.fullmatch(r"\d[\d,_' ]*(\.\d+)?", detail["input"].strip())
    separators = " Write a number without separators." if number and "must be text" not in rule else ""
    quotes = " Put it in quotes to make it text." if detail["type"] == "string_type" else ""
    return f"{rule}, but got {shown(detail['input'])}.{suggestion(detail['input'], expected)}{separators}{quotes}"


def _rule(message: str) -> str:
    return re.sub(r" after validation, not \d+$", "", re.sub(r"^\w+ should ", "must ", message))


def shown(value: object) -> str:
    """Return a value as one short line for a message."""
    value = list(value) if isinstance(value, tuple) else value
    text = "nothing" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)
    text = addresses.shown(text)
    return text if len(text) <= 80 else f"{text[:77]}..."
