"""The model card of an exported network: what it is, how good, how to use it, how it was found."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence

from zenfront.pipeline.export.subject import Preprocessing, Subject
from zenfront.pipeline.wording import clean, number

_FRONT_MATTER = """---
library_name: pytorch
# license: choose one before you publish, such as mit or apache-2.0
tags:
- zenfront
- neural-architecture-search
---"""
_TAG = "pipeline_tag: image-classification"
LISTED = 50
"""Classes that the card lists; config.json has all."""


def model_card(subject: Subject, also: Mapping[str, str] | None = None) -> str:
    """Return the content of README.md.

    Args:
        subject: What is exported.
        also: Description by name of each further file of the folder.
    """
    sections = [
        _FRONT_MATTER.replace("pytorch\n", f"pytorch\n{_TAG}\n") if subject.task.classes else _FRONT_MATTER,
        f"# {subject.name}",
        _summary(subject),
        _usage(subject),
        _images(subject),
        _accuracy(subject),
        _scores(subject),
        _origin(subject),
        _files(also or {}),
    ]
    return "\n\n".join(filter(None, sections)) + "\n"


def _summary(subject: Subject) -> str:
    task, facts = subject.task, subject.facts
    weights = number(sum(value.numel() for value in subject.network.parameters()))
    kind = {1: "grey ", 3: "RGB "}.get(task.channels, "")
    images = f"{kind}images of {task.height} x {task.width} pixels"
    what = f"sorts {images} into {number(task.classes)} classes"
    if task.classes is None:
        what = f"computes {task.described_outputs} of {images}"
    if not subject.trained:
        what += ". Its weights are fresh, so it must be trained before it is of use"
    elif facts.test is not None:
        value, name = facts.metric.shown(facts.test), facts.metric.tested
        what += f", with {value} {name}" if facts.metric.is_accuracy else f"; the {name} is {value}"
    return textwrap.fill(
        f"A convolutional network with {weights} parameters that {what}. It was exported by Zenfront; `model.py` "
        "needs PyTorch alone.",
        120,
    )


def _usage(subject: Subject) -> str:
    found = subject.preprocessing
    shape = f"(N, {found.channels}, {found.height}, {found.width})"
    result, last = ("probabilities", ".softmax(1)") if subject.task.classes else ("outputs", "")
    if found.mean is None or found.std is None:
        lines = ["from model import load", f"{result} = load()(images){last}  # images: {shape}, float32"]
    else:
        lines = [
            "import torch",
            "from model import load",
            "",
            f"mean = torch.tensor({_listed(found.mean)}).view(-1, 1, 1)",
            f"std = torch.tensor({_listed(found.std)}).view(-1, 1, 1)",
            f"{result} = load()((images - mean) / std){last}  # images: {shape}, 8-bit pixel values",
        ]
    return "\n".join(["## Use", "", "```python", *lines, "```"])


def _listed(values: Sequence[float]) -> str:
    return f"[{', '.join(repr(value) for value in values)}]"


def _images(subject: Subject) -> str:
    found = subject.preprocessing
    rows = [
        ("mode", found.mode or f"{found.channels} channels"),
        ("size", _size(found)),
        ("mean", _channels(found.mean)),
        ("standard deviation", _channels(found.std)),
    ]
    note = "Mean and standard deviation are in units of the 8-bit pixel values, which are not rescaled, per channel."
    if found.mean is None:
        note = "The network was exported without data, so no mean and no standard deviation are known."
        if subject.trained:
            note = "A training function of the user's own has prepared the images: prepare them in the same way."
    classes = [clean(name).replace("<", "&lt;") for name in subject.classes[:LISTED]]
    more = f", and {len(subject.classes) - LISTED} more in `config.json`" if len(subject.classes) > LISTED else ""
    told = f"Classes, in the order of the logits: {', '.join(classes)}{more}." if classes else ""
    return "\n\n".join(
        filter(
            None,
            [
                "## Images and classes" if subject.task.classes else "## Images",
                _table(("image", "value"), rows),
                note,
                told,
            ],
        )
    )


def _size(found: Preprocessing) -> str:
    shape = f"{found.height} x {found.width}"
    if found.resize is None:
        return f"{shape}; images of other sizes were not used in training"
    if isinstance(found.resize.size, tuple):
        return f"resized to {shape}, bilinear with antialiasing"
    edge = f"the shorter side resized to {found.resize.size}, bilinear with antialiasing"
    return f"{edge}; the {shape} in the middle are kept"


def _channels(values: Sequence[float] | None) -> str:
    return ", ".join(f"{value:.2f}" for value in values) if values else "unknown"


def _accuracy(subject: Subject) -> str:
    if not subject.trained:
        return ""
    facts = subject.facts
    metric, rows = facts.metric, list[tuple[str, str]]()
    if facts.accuracy is not None and facts.seeds > 1:
        over = f"mean over {facts.seeds} training runs ± their standard deviation"
        rows.append((f"{metric.tested}, {over}", metric.shown(facts.accuracy, facts.error, 2)))
    error = (
        f" ± {metric.shown(facts.error, decimals=2)} (binomial error)"
        if facts.seeds == 1 and facts.error is not None
        else ""
    )
    if facts.test is not None:
        rows.append((f"{metric.tested} of these weights", f"{metric.shown(facts.test, decimals=2)}{error}"))
    compared = (
        f"{metric.validated} of these weights" if metric.is_accuracy else f"{metric.words}, as runs were compared"
    )
    rows.append((compared, metric.shown(facts.validation, decimals=2)))
    rows.append(("seed and epochs of these weights", f"seed {facts.seed}, {facts.epochs} epochs"))
    early = "" if facts.test is not None else "\n\nThe training was stopped early, so the network was never tested."
    heading = "Accuracy" if metric.is_accuracy else "Result"
    return f"## {heading}\n\n{_table(('measured', 'value'), rows)}{early}"


def _scores(subject: Subject) -> str:
    facts = subject.facts
    if not facts.scores:
        return ""
    rows = []
    for name, value in facts.scores.items():
        error = f" ± {number(facts.errors[name])}" if name in facts.errors else ""
        unit = facts.units.get(name, "")
        rows.append((name, f"{number(value)}{error}", "" if unit == "1" else unit))
    return f"## Costs and scores\n\n{_table(('score', 'value', 'unit'), rows)}"


def _origin(subject: Subject) -> str:
    facts = subject.facts
    told = [textwrap.fill(clean(sentence), 120) for sentence in facts.found]
    if facts.picks:
        picks = [f"* `{name}`: {clean(reason)}" for name, reason in facts.picks.items()]
        told.append("\n".join(["On the trained front of the run it is the pick", "", *picks]))
    notation = f"Architecture in the notation of the search space `{subject.space}`:"
    code = f"```text\n{clean(subject.notation)}\n```"
    return "\n\n".join(["## How it was found" if facts.found else "## Architecture", *told, notation, code])


def _files(also: Mapping[str, str]) -> str:
    rows = [
        ("`model.py`", "the network as a PyTorch module that stands alone. It is code: read it before you run it"),
        ("`model.safetensors`", "the weights, without any code"),
        ("`config.json`", "architecture, classes, accuracy and scores"),
        ("`preprocessor_config.json`", "size, mean and standard deviation of the images"),
        *((f"`{name}`", content) for name, content in also.items()),
    ]
    return f"## Files\n\n{_table(('file', 'content'), rows)}"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def lines() -> Iterator[str]:
        yield f"| {' | '.join(columns)} |"
        yield f"|{'---|' * len(columns)}"
        for row in rows:
            yield f"| {' | '.join(each.replace('|', chr(92) + '|') for each in row)} |"

    return "\n".join(lines())
