"""The folder of a RegNet that `timm.create_model("local-dir:FOLDER", pretrained=True)` reads."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.export.model_source import WEIGHTS
from zenfront.pipeline.export.subject import Subject
from zenfront.pipeline.export.target import CONFIG
from zenfront.pipeline.record.files.json_file import write_json

STAGES, SMALLEST = 4, 64
"""Stages that timm's RegNet has, and side in pixels from which on a RegNet has the stem that timm builds."""
BRANCH = ("conv1.conv", "conv1.bn", "conv2.conv", "conv2.bn")


def write_timm_folder(subject: Subject, folder: Path) -> None:
    """Write configuration and weights under timm's names. The logits are the same bits (timm 1.0.31, torch 2.13).

    Args:
        subject: What is exported: an architecture of the space ``regnet``.
        folder: Empty folder.

    Raises:
        UserError: timm has no such network.
        OSError: A file cannot be written.
    """
    require_in_timm(subject)
    names = [name for layer, parts in _layers(subject) for name in (f"{layer}.{part}" for part in parts)]
    values = subject.network.state_dict().values()
    weights = {name: value.contiguous() for name, value in zip(names, values, strict=True)}
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
    write_json(folder / CONFIG, _config(subject))


def require_in_timm(subject: Subject) -> None:
    """Check that timm has exactly this network.

    Raises:
        UserError: It has not; the message says why.
    """
    if subject.space != "regnet":
        raise UserError(
            f"--timm: timm has no network of the space {subject.space}. Of the spaces of Zenfront it has regnet; its "
            "ResNets begin with a 7 x 7 convolution and a pooling, which those of Zenfront do not have. Leave it out."
        )
    if min(subject.task.height, subject.task.width) < SMALLEST:
        raise UserError(
            f"--timm: timm's RegNet halves the images in its first layer, as Zenfront's does from {SMALLEST} pixels "
            f"on, but the task has {subject.task.height} x {subject.task.width}. Leave it out."
        )
    widths, found = _widths(subject.architecture.mapping), _depths(subject)
    if len(found) != STAGES or sorted(map(widths.count, set(widths))) != sorted(found):
        raise UserError(
            f"--timm: timm's RegNet has {STAGES} stages, but {subject.notation} has {len(found)}. Leave it out."
        )


def _widths(genes: Mapping[str, Any]) -> list[int]:
    """Return the width of each block as timm computes it, in float32: it may round to another one than float64."""
    w_0, w_a, w_m = int(genes["w_0"]), float(genes["w_a"]), float(genes["w_m"])
    u = torch.arange(int(genes["d"]), dtype=torch.float32) * w_a + w_0
    exponents = torch.round(torch.log(u / w_0) / math.log(w_m))
    return [int(w) for w in torch.round(w_0 * torch.pow(w_m, exponents) / 8) * 8]


def _depths(subject: Subject) -> list[int]:
    """Return the number of blocks of each stage: a stage begins with a block that changes the shape."""
    depths: list[int] = []
    for block in list(subject.network.get_submodule("features").children())[1:]:
        first = any(True for _ in block.get_submodule("0.shortcut").parameters())
        if first:
            depths.append(0)
        depths[-1] += 1
    return depths


def _layers(subject: Subject) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield timm's names of the layers with weights, in the order of Zenfront's, with the names of their tensors."""
    weight, both = ("weight",), ("weight", "bias")
    norm = (*both, "running_mean", "running_var", "num_batches_tracked")
    yield from (("stem.conv", weight), ("stem.bn", norm))
    squeezed = bool(subject.architecture.mapping["se"])
    for stage, depth in enumerate(_depths(subject), start=1):
        for position in range(1, depth + 1):
            block = f"s{stage}.b{position}"
            yield from ((f"{block}.{name}", weight if name.endswith("conv") else norm) for name in BRANCH)
            if squeezed:
                yield from ((f"{block}.se.fc1", both), (f"{block}.se.fc2", both))
            yield from ((f"{block}.conv3.conv", weight), (f"{block}.conv3.bn", norm))
            if position == 1:
                yield from ((f"{block}.downsample.conv", weight), (f"{block}.downsample.bn", norm))
    yield ("head.fc", both)


def _config(subject: Subject) -> dict[str, Any]:
    genes, task, images = subject.architecture.mapping, subject.task, subject.preprocessing
    known = images.mean is not None and images.std is not None
    return {
        "architecture": "regnetx_002",  # a RegNet that the arguments turn into another
        "num_classes": task.out_features,
        "model_args": {
            "depth": genes["d"],
            "w0": genes["w_0"],
            "wa": genes["w_a"],
            "wm": genes["w_m"],
            "group_size": genes["g"],
            "bottle_ratio": 1 / int(genes["b"]),
            "se_ratio": genes["se"],
            "in_chans": task.channels,
        },
        "label_names": list(subject.classes) or None,
        "pretrained_cfg": {
            "architecture": "regnetx_002",
            "num_classes": task.out_features,
            "input_size": [task.channels, task.height, task.width],
            "fixed_input_size": False,
            "interpolation": "bilinear",
            "crop_pct": 1.0,
            "mean": [value / 255 for value in images.mean or ()] if known else [0.0] * task.channels,
            "std": [value / 255 for value in images.std or ()] if known else [1.0] * task.channels,
            "first_conv": "stem.conv",
            "classifier": "head.fc",
        },
    }
