"""Conditions on architectures such as ``skip_connect >= 1 and not (none > 0)``: parsed, never executed.

A condition compares names, numbers and quoted texts (== != < <= > >=, also in chains), joined by and, or, not and
parentheses.
"""

import ast
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from zenfront.pipeline.errors import UserError
from zenfront.spaces import Architecture, Space

LONGEST = 500
Value = int | float | str
COMPARISONS: dict[type[ast.cmpop], Callable[[Value, Value], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
EXAMPLE = 'write it like "skip_connect >= 1 and params < 1e6", texts in quotes: "edge_0_1 == \'none\'"'


@dataclass(frozen=True)
class Condition:
    """A condition on the properties of an architecture.

    Attributes:
        text: The condition as the user wrote it.
    """

    text: str
    _tree: ast.expr
    _option: str

    @staticmethod
    def parse(text: str, option: str = "--where") -> "Condition":
        """Parse a condition.

        Args:
            text: The condition.
            option: The option that it is the value of, for messages.

        Raises:
            UserError: The text is not a condition.
        """
        if len(text) > LONGEST:
            raise UserError(f"{option}: a condition has at most {LONGEST} characters, but got {len(text)}.")
        try:
            tree = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
            raise UserError(f"{option}: {text!r} is not a condition: {EXAMPLE}.") from error
        _check(tree, text, option)
        return Condition(text, tree, option)

    def holds(self, properties: Mapping[str, Value]) -> bool:
        """Return whether an architecture with these properties fulfils the condition.

        Raises:
            UserError: The condition names an unknown property, or orders a text and a number.
        """
        return _evaluate(self._tree, properties, f"{self._option}: {self.text!r}")


def properties(space: Space, architecture: Architecture) -> dict[str, Value]:
    """Return the values that a condition can name: the genes, and how often each category occurs among the genes."""
    counts = dict.fromkeys(categories(space), 0)
    for _, value in architecture.genes:
        if isinstance(value, str):
            counts[value] += 1
    return counts | dict(architecture.genes)


def categories(space: Space) -> list[str]:
    """List the categories that genes of the space can take, in the order of the genes."""
    every: Iterable[Value] = (value for levels in space.levels.values() for value in levels.values)
    return list(dict.fromkeys(value for value in every if isinstance(value, str)))


def _check(node: ast.expr, text: str, option: str) -> None:
    match node:
        case ast.BoolOp(values=parts):
            for part in parts:
                _check(part, text, option)
        case ast.UnaryOp(op=ast.Not(), operand=part):
            _check(part, text, option)
        case ast.Compare(left=left, ops=ops, comparators=others) if all(type(op) in COMPARISONS for op in ops):
            for operand in (left, *others):
                _check_operand(operand, text, option)
        case _:
            raise UserError(f"{option}: {ast.unparse(node)!r} in {text!r} is not a comparison: {EXAMPLE}.")


def _check_operand(node: ast.expr, text: str, option: str) -> None:
    match node:
        case ast.Name():
            return
        case ast.Constant(value=value) if isinstance(value, int | float | str) and not isinstance(value, bool):
            return
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float())):
            return
    raise UserError(f"{option}: {ast.unparse(node)!r} in {text!r} is not a name, number or text: {EXAMPLE}.")


def _evaluate(node: ast.expr, properties: Mapping[str, Value], place: str) -> bool:
    match node:
        case ast.BoolOp(op=ast.And(), values=parts):
            return all(_evaluate(part, properties, place) for part in parts)
        case ast.BoolOp(values=parts):
            return any(_evaluate(part, properties, place) for part in parts)
        case ast.UnaryOp(operand=part):
            return not _evaluate(part, properties, place)
    assert isinstance(node, ast.Compare)
    return all(_compare(node, properties, place))


def _compare(node: ast.Compare, properties: Mapping[str, Value], place: str) -> Iterator[bool]:
    values = [_value(operand, properties, place) for operand in (node.left, *node.comparators)]
    for left, op, right in zip(values, node.ops, values[1:], strict=False):
        try:
            yield COMPARISONS[type(op)](left, right)
        except TypeError as error:
            raise UserError(f"{place} compares {left!r} with {right!r}, a text with a number.") from error


def _value(node: ast.expr, properties: Mapping[str, Value], place: str) -> Value:
    if isinstance(node, ast.Name):
        if node.id not in properties:
            raise UserError(f"{place}: there is no property {node.id!r}. Known properties: {', '.join(properties)}.")
        return properties[node.id]
    value: Value = ast.literal_eval(node)
    return value
