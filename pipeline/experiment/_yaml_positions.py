"""Parser of YAML 1.2 that keeps the place in the text of every value.

PyYAML reads YAML 1.1, where ``no`` is a truth value, ``1e6`` a string, ``010`` eight and ``1:30`` ninety. Scalars are
resolved by the core schema of YAML 1.2 instead, as editors do. Only plain data is read: no objects, no aliases.
"""

import math
import re
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.composer import ComposerError

from zenfront.pipeline.errors import UserError

Place = tuple[str | int, ...]
MAX_DEPTH = 20
_REMEDIES = {
    "\\t": " Indent with spaces, not with tabs.",
    "escape": " In double quotes a backslash begins an escape: put the text in single quotes.",
}
MAX_DIGITS = 400
"""Digits of a whole number; the largest floating-point number has 309."""
_TAG = "tag:yaml.org,2002:"
# YAML 1.2, section 10.3.2: tag, pattern, possible first characters.
_CORE_SCHEMA = (
    ("null", r"null|Null|NULL|~|", [*"nN~", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", [*"tTfF"]),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", [*"-+0123456789"]),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", [*"-+.0123456789"]),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", [*"-+."]),
)


@dataclass(frozen=True)
class SourcePlace:
    """Place of a value, such as ``file.yaml, line 3``, and its text if it is a scalar."""

    where: str
    text: str | None = None


@dataclass(frozen=True)
class Document:
    """Plain data, and the source of every value in it by its place (keys and indices from the top)."""

    value: Any
    origins: dict[Place, SourcePlace] = field(default_factory=dict)


class _Loader(yaml.SafeLoader):
    """Loader that refuses aliases and deep nesting, which could exhaust the memory, while it composes the nodes."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's protocol
    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if getattr(event, "anchor", None) is not None:
            problem = "anchors and aliases (& and *) are not supported: write the value out"
            raise ComposerError(None, None, problem, event.start_mark)
        if self.depth > MAX_DEPTH:
            raise ComposerError(None, None, f"values are nested more than {MAX_DEPTH} levels deep", event.start_mark)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


class _Dumper(yaml.SafeDumper):
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's protocol

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


for _cls in (_Loader, _Dumper):
    for _name, _pattern, _first in _CORE_SCHEMA:
        _cls.add_implicit_resolver(_TAG + _name, re.compile(rf"^(?:{_pattern})$"), _first)


def written(place: Place) -> str:
    """Return a place as it is written in an override, such as ``objectives[1].score``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")


def dump(value: Any) -> str:
    """Return plain data as YAML, with keys in their order."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def parse(text: str, source: str, place: Place = ()) -> Document:
    """Read one YAML document.

    Args:
        text: The document.
        source: Name of the source for messages: a file's name, or an option as it was typed.
        place: Place of the document's top in the whole.

    Raises:
        UserError: The text is not YAML or not plain data, or has a key twice or a number that is not finite.
    """
    try:
        node = _Loader(text).get_single_node()
    except yaml.YAMLError as error:
        raise UserError(_explained(error, source)) from error
    document = Document(None, {})
    value = None if node is None else _Reader(source, document.origins).value(node, place)
    return Document(value, document.origins)


def _explained(error: yaml.YAMLError, source: str) -> str:
    mark = getattr(error, "problem_mark", None)
    if not isinstance(error, yaml.MarkedYAMLError) or mark is None:
        return f"{source} is not YAML text: {' '.join(str(error).split())}."
    problem = error.problem or error.context or "it is not YAML"
    hint = next((remedy for sign, remedy in _REMEDIES.items() if sign in problem), "")
    return f"{_where(source, mark.line)}: {problem}.{hint}"


def _where(source: str, line: int) -> str:
    return source if source.startswith("--") else f"{source}, line {line + 1}"


@dataclass(frozen=True)
class _Reader:
    source: str
    origins: dict[Place, SourcePlace]

    def value(self, node: yaml.Node, place: Place) -> Any:
        self.origins.setdefault(place, self._source_place(node, node))
        match node:
            case yaml.MappingNode(tag="tag:yaml.org,2002:map"):
                return self._mapping(node, place)
            case yaml.SequenceNode(tag="tag:yaml.org,2002:seq"):
                return [self.value(item, (*place, index)) for index, item in enumerate(node.value)]
            case yaml.ScalarNode():
                return self._scalar(node)
        raise self._refused(node, f"the tag {node.tag!r} is not supported, only plain values are")

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._scalar(key_node) if isinstance(key_node, yaml.ScalarNode) else None
            if not isinstance(key, str):
                digits = isinstance(key_node, yaml.ScalarNode) and key_node.value.isdigit()
                comma = ". In braces a comma begins a new key: write a number without commas" if digits else ""
                raise self._refused(key_node, f"a key must be text{comma}")
            if key in mapping:
                first = self.origins[*place, key].where
                raise self._refused(key_node, f"the key {key!r} is given twice (first: {first})")
            self.origins[*place, key] = self._source_place(key_node, value_node)
            mapping[key] = self.value(value_node, (*place, key))
        return mapping

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        text = node.value
        try:
            match node.tag.removeprefix(_TAG):
                case "str":
                    return text
                case "null":
                    return None
                case "bool":
                    return {"true": True, "false": False}[text.lower()]
                case "int" if len(text) > MAX_DIGITS:
                    raise self._refused(node, f"a number has at most {MAX_DIGITS} digits, but this one {len(text)}")
                case "int":
                    return int(text, 0 if text[:2] in ("0x", "0o") else 10)
                case "float":
                    return self._finite(node)
        except (ValueError, KeyError) as error:
            raise self._refused(node, f"{text[:60]!r} does not fit its tag {node.tag!r}") from error
        raise self._refused(node, f"the tag {node.tag!r} is not supported, only plain values are")

    def _finite(self, node: yaml.ScalarNode) -> int | float:
        """Return a finite number; a whole number is an int however it is written: 1e6, 64.0."""
        number = float(node.value.lower().replace(".inf", "inf").replace(".nan", "nan"))
        if not math.isfinite(number):
            raise self._refused(node, f"a number must be finite, but got {node.value}")
        return int(number) if number.is_integer() and abs(number) < 2**53 else number

    def _refused(self, node: yaml.Node, problem: str) -> UserError:
        return UserError(f"{_where(self.source, node.start_mark.line)}: {problem}.")

    def _source_place(self, marked: yaml.Node, node: yaml.Node) -> SourcePlace:
        text = node.value if isinstance(node, yaml.ScalarNode) else None
        return SourcePlace(_where(self.source, marked.start_mark.line), text)
