"""Architectures in the spellings in which they are pasted: from logs, papers, Python and JSON."""

import ast
import json
import re
from collections.abc import Sequence
from typing import Any

from zenfront.pipeline.errors import UserError

_ASSIGNED = re.compile(r"[A-Za-z_][\w.]*=(?!=)")


def compact(text: str) -> str:
    """Return a text without blanks and line breaks, without a leading ``name =``, and without quotes around it."""
    bare = "".join(text.split())
    bare = bare[found.end() :] if (found := _ASSIGNED.match(bare)) else bare
    return bare[1:-1] if len(bare) > 1 and bare[0] == bare[-1] and bare[0] in "\"'`" else bare


def literal(text: str) -> Any:
    """Return the value of a text in JSON or in Python's spelling.

    Raises:
        ValueError: The text is neither.
    """
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
        raise ValueError(str(error)) from error


def call(text: str) -> tuple[str, list[ast.expr], dict[str, ast.expr]]:
    """Return the name, the positional and the named arguments of a call in Python's spelling; nothing is executed.

    Raises:
        ValueError: The text is not a call.
    """
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise ValueError(str(error)) from error
    if not isinstance(tree, ast.Call) or any(keyword.arg is None for keyword in tree.keywords):
        raise ValueError("not a call")
    name = ast.unparse(tree.func).rpartition(".")[2]
    return name, tree.args, {str(keyword.arg): keyword.value for keyword in tree.keywords}


def require_known(name: object, known: Sequence[str], place: str) -> str:
    """Return the name of an operation.

    Raises:
        UserError: It is none of the known ones; the message begins with the place.
    """
    if not isinstance(name, str) or name not in known:
        raise UserError(f"{place}: an operation must be one of {', '.join(known)}, but got {name!r}.")
    return name
