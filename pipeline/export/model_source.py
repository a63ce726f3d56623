"""A network as a torch module that stands alone: the text of `model.py`, and its weights."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.export.layer_names import Unit, layer_names, units
from zenfront.pipeline.export.layer_text import constructor
from zenfront.pipeline.export.statements import lines
from zenfront.pipeline.export.subject import Subject
from zenfront.pipeline.export.tracing import calls
from zenfront.pipeline.seeds import torch_generator
from zenfront.pipeline.wording import clean

WEIGHTS = "model.safetensors"
"""File beside `model.py` from which its `load` takes the weights."""
WIDEST = 120
_MODULE = '''"""{title}

{description}
"""

from pathlib import Path

{imports}


class Network(nn.Module):
    """Map images {image} to {outputs}."""

    def __init__(self) -> None:
        super().__init__()
{layers}

    def forward(self, x: Tensor) -> Tensor:
{forward}


def load(folder: str | Path = Path(__file__).parent) -> Network:
    """Return the network with the weights in a folder, in evaluation mode."""
    from safetensors.torch import load_file

    network = Network()
    network.load_state_dict(load_file(Path(folder) / "{weights}"))
    return network.eval()
'''


@dataclass(frozen=True)
class ModelSource:
    """A module that stands alone.

    Attributes:
        text: Content of `model.py`. It imports torch alone, and safetensors to load the weights.
        weights: Its weights by name, contiguous.
    """

    text: str
    weights: Mapping[str, Tensor]

    def network(self) -> nn.Module:
        """Return the network that the text defines, with the weights, in evaluation mode."""
        names: dict[str, Any] = {"__name__": "model", "__file__": "model.py"}
        exec(compile(self.text, "model.py", "exec", dont_inherit=True), names)
        with torch.device("meta"):  # no time for weights that are replaced
            network: nn.Module = names["Network"]()
        network.load_state_dict({name: value.clone() for name, value in self.weights.items()}, assign=True)
        return network.eval()


def model_source(subject: Subject) -> ModelSource:
    """Return a network as a module that stands alone; its logits are the same bits.

    Raises:
        UserError: The network cannot be written down: a module of the user's own does what torch.fx cannot record.
    """
    network, recorded = subject.network, calls(subject.network, subject.task)
    parts = units(network, recorded)
    names = layer_names(network, parts)
    body = list(lines(parts, names, recorded[0].node.graph))
    text = _MODULE.format(
        title=_title(subject),
        description=_description(subject),
        image=f"(N, {subject.task.channels}, {subject.task.height}, {subject.task.width})",
        outputs=f"{'logits' if subject.task.classes else 'outputs'} (N, {subject.task.out_features})",
        imports="\n".join(_imports([line for _, line in body])),
        layers="\n".join(_layers(network, parts, names)),
        forward="\n".join(_forward(parts, body)),
        weights=WEIGHTS,
    )
    source = ModelSource(text, dict(_weights(network, names)))
    _require_same(source, subject)
    return source


def _title(subject: Subject) -> str:
    where = f"run {subject.facts.run}" if subject.facts.run else f"the search space {subject.space}"
    return _quotable(f"Network {subject.id} of {where}, written by Zenfront as a torch module that stands alone.")


def _description(subject: Subject) -> str:
    text = _quotable(f"Architecture in the notation of {subject.space}: {subject.notation}")
    return textwrap.fill(text, WIDEST, break_on_hyphens=False)


def _quotable(text: str) -> str:
    """Return a text that cannot end the docstring that it stands in."""
    return clean(text).replace("\\", "\\\\").replace('"""', "'''")


def _imports(body: Sequence[str]) -> Iterator[str]:
    if any("torch." in line for line in body):
        yield "import torch"
    if any("F." in line for line in body):
        yield "import torch.nn.functional as F"
    yield "from torch import Tensor, nn"


def _layers(network: nn.Module, parts: Sequence[Unit], names: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines that make the layers, with a comment for each unit."""
    made: set[str] = set()
    for unit in parts:
        texts = []
        for call in unit.calls:
            path = str(call.node.target)
            if call.node.op in ("call_module", "get_attr") and path in names and path not in made:
                made.add(path)
                texts += _indented(_maker(network, path, names[path]), 8)
        if texts:
            yield f"        # {unit.title}: {_shape(unit)}"
            yield from texts


def _maker(network: nn.Module, path: str, name: str) -> str:
    holder, _, attribute = path.rpartition(".")
    owner = network.get_submodule(holder)
    if attribute in owner._parameters:
        return f"self.{name} = nn.Parameter({_empty(owner._parameters[attribute])})"
    if attribute in owner._buffers:
        return f'self.register_buffer("{name}", {_empty(owner._buffers[attribute])})'
    return f"self.{name} = {constructor(network.get_submodule(path))}"


def _empty(tensor: Tensor | None) -> str:
    assert tensor is not None
    return f"torch.empty({tuple(tensor.shape)}, dtype={tensor.dtype})"


def _forward(parts: Sequence[Unit], body: Sequence[tuple[int, str]]) -> Iterator[str]:
    for index, group in groupby(body, lambda line: line[0]):
        yield f"        # {parts[index].title}"
        for _, line in group:
            yield from _indented(line, 8)


def _indented(line: str, indent: int) -> list[str]:
    """Return a line of code, on several if it is too long."""
    if indent + len(line) <= WIDEST or "(" not in line:
        return [" " * indent + line]
    head, _, rest = line.partition("(")
    inner, _, tail = rest.rpartition(")")
    folded = textwrap.wrap(inner, WIDEST - indent - 4, break_long_words=False, break_on_hyphens=False)
    return [f"{' ' * indent}{head}(", *(" " * (indent + 4) + part for part in folded), f"{' ' * indent}){tail}"]


def _shape(unit: Unit) -> str:
    return f"({', '.join(map(str, unit.shape))})" if len(unit.shape) != 1 else f"{unit.shape[0]} numbers"


def _weights(network: nn.Module, names: Mapping[str, str]) -> Iterator[tuple[str, Tensor]]:
    """Yield the weights under their new names."""
    for path, value in network.state_dict().items():
        owner, _, attribute = path.rpartition(".")
        if path in names:
            yield names[path], value.contiguous()
        elif owner in names:
            yield f"{names[owner]}.{attribute}", value.contiguous()


def _require_same(source: ModelSource, subject: Subject) -> None:
    """Check that the module computes the same logits.

    Raises:
        UserError: It does not.
    """
    task = subject.task
    images = torch.randn((2, task.channels, task.height, task.width), generator=torch_generator(0, "export"))
    with torch.inference_mode():
        same = torch.equal(source.network()(images), subject.network(images))
    if not same:
        raise UserError(
            f"{subject.id}: the network cannot be written as a module of its own, since the logits would not be the "
            "same. Does a layer of the space compute something else in each call?"
        )
