"""The reference of what has a name: the Python interface, scores, search spaces and search algorithms."""

import inspect
from collections.abc import Sequence
from types import ModuleType

import zenfront
from zenfront import spaces
from zenfront.pipeline import algorithms, proxies
from zenfront.pipeline.cli.terminal.space_list import shown_size


def python() -> str:
    """Return directives of mkdocstrings for all public names."""
    functions, classes = [], []
    for name in sorted(set(zenfront.__all__) - {"__version__"}):
        value = getattr(zenfront, name)
        if isinstance(value, ModuleType):
            continue
        directive = f"::: {value.__module__}.{value.__qualname__}\n    options:\n      heading: zenfront.{name}\n"
        (classes if isinstance(value, type) else functions).append(directive)
    return PYTHON + "## Functions\n\n" + "\n".join(functions) + "\n## Classes\n\n" + "\n".join(classes)


PYTHON = """# Python interface

`import zenfront as zf` gives these names; [Zenfront from Python](../python.md) shows them at work. `zf.spaces` and
`zf.proxies` list and load search spaces and scores: `names()` and `load(name)`.

"""


def scores() -> str:
    """Return the reference of the proxies: a table, and the definition of each."""
    lines = ["# Scores", "", "| score | unit | usually | needs | source |", "|---|---|---|---|---|"]
    definitions = list[str]()
    for name in proxies.names():
        proxy = proxies.load(name)
        needs = ", ".join(sorted(proxy.needs)) or "-"
        lines.append(f"| [`{name}`](#{name}) | {proxy.unit} | {proxy.direction} | {needs} | {_cell(proxy.source)} |")
        directive = f"::: {proxy.score.__module__}.{proxy.score.__name__}\n    options:\n      heading: {name}\n"
        definitions += [
            "",
            f"## {name} {{ #{name} }}",
            "",
            f"{directive}      show_root_heading: false\n      show_root_toc_entry: false",
            "",
        ]
    return "\n".join(lines + definitions) + "\n"


def search_spaces() -> str:
    """Return the reference of the search spaces: the genes of each."""
    lines = ["# Search spaces", "", "`zenfront spaces NAME --sample 3` draws architectures of a space.", ""]
    for name in spaces.names():
        space = spaces.load(name)
        rows = dict[str, list[str]]()
        for gene, levels in space.levels.items():
            rows.setdefault(_values(levels.values[: levels.drawn]), []).append(f"`{gene}`")
        table = [f"| {', '.join(genes)} | {values} |" for values, genes in rows.items()]
        about = f"{shown_size(space.size)} points. {space.source}"
        lines += [f"## {name}", "", about, "", "| genes | values |", "|---|---|", *table, ""]
    return "\n".join(lines) + "\n"


def _values(values: Sequence[object]) -> str:
    """Return the values of a gene; of many, the first ones and the last."""
    texts = [str(value) for value in values]
    return _cell(", ".join(texts if len(texts) <= 10 else [*texts[:3], "...", texts[-1]]))


def search_algorithms() -> str:
    """Return the reference of the search algorithms."""
    lines = ["# Search algorithms", "", "`search.algorithm` names one of these.", ""]
    for name in algorithms.names():
        spec = algorithms.load(name)
        text = inspect.getdoc(inspect.getmodule(spec.make)) or spec.source
        lines += [f"## {name}", "", f"Objectives: {spec.objectives}.", "", text, ""]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
