"""Settings of a measurement, and which of them do not go together."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

import torch

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.formats import onnxruntime

Runtime = Literal["torch", "torch.compile", "onnxruntime", "command"]
Precision = Literal["float32", "bfloat16", "float16"]
FILES = ("onnx", "pt2")
"""Formats that a command can name: the exported file stands in place of the braces."""


@dataclass(frozen=True)
class Settings:
    """Settings of a measurement; `latency` describes them."""

    runtime: Runtime = "torch"
    batch: int = 1
    threads: int = 1
    precision: Precision = "float32"
    warm_up: int = 3
    repeats: int = 15
    command: str | None = None
    device: str | None = None
    pattern: str | None = None
    timeout: float = 120.0
    retries: int = 4
    pause: float = 2.0

    @property
    def dtype(self) -> torch.dtype:
        """The precision as torch's type."""
        return getattr(torch, self.precision)  # type: ignore[no-any-return]

    @property
    def words(self) -> list[str]:
        """The words of the command, as a shell would divide it."""
        return shlex.split(self.command or "")


def conflict(options: Mapping[str, Any]) -> str | None:
    """Return why options of `latency` do not go together, or cannot be used here; None if nothing is wrong."""
    images, batch = options.get("images"), options.get("batch")
    if images is not None and batch is not None and images != batch:
        return f"`batch` and its earlier name `images` must be the same number, but got {batch} and {images}"
    known = {each.name for each in fields(Settings)}
    settings = Settings(**{name: value for name, value in options.items() if name in known})
    if settings.runtime == "command":
        return _wrong_command(settings, options)
    own = [name for name in ("command", "device", "pattern") if options.get(name) is not None]
    if own:
        return f"`{own[0]}` needs `runtime: command`, but got `runtime: {settings.runtime}`"
    if settings.runtime == "onnxruntime":
        return _wrong_onnx(settings)
    return None


def _wrong_onnx(settings: Settings) -> str | None:
    if settings.precision == "bfloat16":
        return "onnxruntime computes in `float32` or `float16`, but got `precision: bfloat16`"
    try:
        onnxruntime()
    except UserError as error:
        return str(error).rstrip(".")
    return None


def _wrong_command(settings: Settings, options: Mapping[str, Any]) -> str | None:
    if settings.command is None or settings.device is None:
        missing = "command" if settings.command is None else "device"
        return f"`runtime: command` needs `{missing}`: {_NEEDED[missing]}"
    if options.get("statistic", "median") != "median":
        return "a command prints one duration, which has no `statistic: spread`"
    try:
        words = settings.words
    except ValueError as error:
        return f"`command` cannot be divided into words ({error}): {settings.command}"
    if not any(f"{{{name}}}" in word for word in words for name in FILES):
        return f"`command` must name the exported file, by {{onnx}} or {{pt2}}, but got {settings.command!r}"
    return _wrong_pattern(settings.pattern)


def _wrong_pattern(pattern: str | None) -> str | None:
    if pattern is None:
        return None
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        return f"`pattern` is no regular expression ({error}): {pattern}"
    return None if groups == 1 else f"`pattern` must have one group, the milliseconds, but has {groups}: {pattern}"


_NEEDED = {
    "command": "the program that measures, with {onnx} or {pt2} where the exported file stands",
    "device": "the name of the device that the command measures on, such as `device: phone`",
}
