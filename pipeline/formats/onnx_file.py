"""ONNX files, written by torch's exporter; the extra ``onnx`` installs what it needs."""

import importlib
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn

from zenfront.pipeline.errors import UserError

INPUT, OUTPUT = "images", "logits"
"""Names of the graph's input and output."""


def write_onnx(
    network: nn.Module,
    example: Tensor,
    path: Path,
    *,
    dynamic_batch: bool = True,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a network as one ONNX file whose input is ``images`` and whose output is ``logits``.

    The network is exported in eval mode and gets its mode back.

    Args:
        network: Network (N, C, H, W) -> (N, K), on the device and in the precision of the example.
        example: Images (N, C, H, W) to trace the network with. A dynamic batch needs at least two.
        path: The file to write.
        dynamic_batch: Whether the file takes any number of images, or only as many as the example has.
        metadata: Texts by name, which become metadata of the file.

    Raises:
        UserError: The extra ``onnx`` is not installed.
        Exception: torch cannot export the network, for instance because ONNX has no such operator.
    """
    require_onnx()
    with evaluated(network), _quiet():
        program = torch.onnx.export(
            network,
            (example,),
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamo=True,
            verbose=False,
            dynamic_shapes=({0: torch.export.Dim("batch")},) if dynamic_batch else None,
        )
        assert program  # so it is with `dynamo`
        program.model.metadata_props.update(metadata or {})
        program.save(path, external_data=False)


def require_onnx() -> None:
    """Check that the packages are there that write ONNX files.

    Raises:
        UserError: The extra ``onnx`` is not installed.
    """
    for package in ("onnx", "onnxscript"):
        _installed(package)


def onnxruntime() -> ModuleType:
    """Return the module ``onnxruntime``.

    Raises:
        UserError: The extra ``onnx`` is not installed.
    """
    return _installed("onnxruntime")


@contextmanager
def evaluated(network: nn.Module) -> Iterator[None]:
    """Put a network in eval mode, without gradients, for the duration of the context."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training


def _installed(package: str) -> ModuleType:
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise UserError(
            f"ONNX needs the package {package}, which cannot be imported here ({error}): "
            "install the extra `onnx` with pip install 'zenfront[onnx]'."
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter's warnings, which concern its own use of torch."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
