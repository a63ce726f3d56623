"""The calls of a network as lines of Python: short calls are nested, and names of results are used again."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, count
from typing import Any

from torch import fx, nn

from zenfront.pipeline.export.layer_names import Unit
from zenfront.pipeline.export.layer_text import INFIX, call_text, function_call, has_weights, joined, value_text
from zenfront.pipeline.export.tracing import Call

WIDEST = 100
"""Characters up to which calls are nested."""
_VALUE = re.compile(r"<(\w+)(!?)>")


@dataclass(frozen=True)
class Statement:
    """An assignment of one result.

    Attributes:
        result: Name of the node that it computes.
        text: Right side, in which ``<node>`` stands for an earlier result, and ``<node!>`` for one that must be put in
            parentheses if it is a sum or a product.
        unit: Index of the unit that it belongs to.
        heavy: Number of convolutions and linear layers in it.
        infix: Whether it is a sum or a product.
    """

    result: str
    text: str
    unit: int
    heavy: int = 0
    infix: bool = False

    @property
    def reads(self) -> list[str]:
        """Names of the nodes that it reads, in the order of evaluation."""
        return [name for name, _ in _VALUE.findall(self.text)]


def lines(units: Sequence[Unit], names: Mapping[str, str], graph: fx.Graph) -> list[tuple[int, str]]:
    """Return the lines of `forward`, which computes its result from ``x``, each with the index of its unit.

    Args:
        units: Units of the network.
        names: Names of layers by path.
        graph: The graph of the calls.

    Raises:
        UserError: A function is not PyTorch's.
    """
    source = next(node for node in graph.nodes if node.op == "placeholder")
    result = next(node for node in graph.nodes if node.op == "output").args[0]
    return list(_with_variables(_nested(units, names), units, source.name, result.name))


def _nested(units: Sequence[Unit], names: Mapping[str, str]) -> list[Statement]:
    """Return the statements; a result that one later call reads is nested into it if the order of the calls stays."""
    done: list[Statement] = []
    for index, unit in enumerate(units):
        waiting: list[Statement] = []
        for call in unit.calls:
            statement = _statement(call, names, index)
            inner = _nestable(statement, waiting)
            while inner and not _is_short(_nest(statement, inner)):
                inner.pop(0)
                done += waiting[: len(waiting) - len(inner)]
                waiting = inner[:]
            waiting = [*waiting[: len(waiting) - len(inner)], _nest(statement, inner)]
            if len(call.node.users) != 1:
                done += waiting
                waiting = []
        done += waiting
    return done


def _nestable(statement: Statement, waiting: Sequence[Statement]) -> list[Statement]:
    """Return the last of the waiting statements if these are, in this order, all that a statement reads of them."""
    by_name = {each.result: each for each in waiting}
    wanted = [by_name[name] for name in statement.reads if name in by_name]
    return wanted if wanted == list(waiting[len(waiting) - len(wanted) :]) else []


def _nest(statement: Statement, inner: Sequence[Statement]) -> Statement:
    by_name = {each.result: each for each in inner}

    def put(found: re.Match[str]) -> str:
        name, is_operand = found.groups()
        if name not in by_name:
            return found[0]
        text = by_name[name].text
        return f"({text})" if is_operand and by_name[name].infix else text

    heavy = statement.heavy + sum(each.heavy for each in inner)
    return replace(statement, text=_VALUE.sub(put, statement.text), heavy=heavy)


def _is_short(statement: Statement) -> bool:
    return statement.heavy <= 1 and len(_VALUE.sub("x", statement.text)) <= WIDEST


def _statement(call: Call, names: Mapping[str, str], unit: int) -> Statement:
    node = call.node
    args, kwargs = [_text(each) for each in node.args], {name: _text(value) for name, value in node.kwargs.items()}
    if call.layer is not None:
        if not has_weights(call.layer):
            x = _operand(args[0]) if isinstance(call.layer, nn.Flatten) else args[0]
            return Statement(node.name, function_call(call.layer, x), unit)
        heavy = any(value.ndim > 1 for value in call.layer.parameters())
        return Statement(node.name, f"self.{names[str(node.target)]}({joined(args, kwargs)})", unit, int(heavy))
    if node.op == "get_attr":
        return Statement(node.name, f"self.{names[str(node.target)]}", unit)
    if node.op == "call_method":
        return Statement(node.name, f"{_operand(args[0])}.{node.target}({joined(args[1:], kwargs)})", unit)
    infix = node.target in INFIX
    if infix or args[0].endswith(">"):
        args = [args[0] if infix and INFIX[node.target] == "+" else _operand(args[0]), *map(_operand, args[1:])]
    return Statement(node.name, call_text(node.target, args, kwargs), unit, infix=infix)


def _operand(text: str) -> str:
    return f"{text[:-1]}!>" if re.fullmatch(r"<\w+>", text) else text


def _text(value: Any) -> str:
    """Return an argument as text."""
    match value:
        case fx.Node():
            return f"<{value.name}>"
        case slice():
            ends = ["" if end is None else _text(end) for end in (value.start, value.stop)]
            return ":".join([*ends, *([] if value.step in (None, 1) else [_text(value.step)])])
        case tuple() if value and any(isinstance(each, slice) for each in value):
            return ", ".join(map(_text, value))
        case tuple():
            return f"({', '.join(map(_text, value))}{',' if len(value) == 1 else ''})"
        case list():
            return f"[{', '.join(map(_text, value))}]"
    return value_text(value)


def _with_variables(
    statements: Sequence[Statement], units: Sequence[Unit], source: str, result: str
) -> Iterator[tuple[int, str]]:
    """Yield the lines: the result of a unit is ``x``, or is named after the unit if later ones read it, too."""
    last = {name: place for place, each in enumerate(statements) for name in each.reads} | {result: len(statements)}
    unit_of_last = {name: statements[place].unit for name, place in last.items() if place < len(statements)}
    variables = {source: "x"}
    for place, each in enumerate(statements):
        text = _filled(each.text, variables)
        variables = {name: variable for name, variable in variables.items() if last.get(name, -1) > place}
        taken = set(variables.values())
        is_output = place + 1 == len(statements) or statements[place + 1].unit > each.unit
        is_read_later = is_output and unit_of_last.get(each.result, 0) > each.unit + 1
        names = chain([units[each.unit].name] if is_read_later else [], _free_names())
        name = next(name for name in names if name not in taken)
        variables[each.result] = name
        if each.result == result:
            yield each.unit, f"return {text}"
        elif text != name:
            yield each.unit, f"{name} = {text}"


def _filled(text: str, variables: Mapping[str, str]) -> str:
    return _VALUE.sub(lambda found: variables[found[1]], text)


def _free_names() -> Iterator[str]:
    return chain("xyzuvw", (f"t{number}" for number in count(1)))
