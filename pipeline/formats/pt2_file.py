"""Files of torch.export, which ExecuTorch and AOTInductor read."""

import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from zenfront.pipeline.formats.onnx_file import evaluated


def write_pt2(
    network: nn.Module,
    example: Tensor,
    path: Path,
    *,
    dynamic_batch: bool = True,
    inside: Mapping[str, str] | None = None,
) -> None:
    """Write a network as a file of torch.export, in eval mode; `torch.export.load` reads it.

    Args:
        network: Network (N, C, H, W) -> (N, K), on the device and in the precision of the example.
        example: Images (N, C, H, W) to trace the network with. A dynamic batch needs at least two.
        path: The file to write; its name ends in ``.pt2``.
        dynamic_batch: Whether the file takes any number of images, or only as many as the example has.
        inside: Texts by name, which become files of the archive, such as a description.

    Raises:
        Exception: torch cannot export the network.
    """
    shapes = ({0: torch.export.Dim("batch")},) if dynamic_batch else None
    with evaluated(network), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(
            torch.export.export(network, (example,), dynamic_shapes=shapes), path, extra_files=dict(inside or {})
        )
