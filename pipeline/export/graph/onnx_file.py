"""A network as an ONNX file that was run and compared with the network."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.export.graph.agreement import check_agreement
from zenfront.pipeline.export.graph.description import describe
from zenfront.pipeline.export.graph.module import exported_module, random_images
from zenfront.pipeline.export.quiet import first_line, quiet
from zenfront.pipeline.export.subject import Subject
from zenfront.pipeline.formats import onnxruntime, write_onnx

LARGEST = 2**31 - 2**20
"""Bytes of weights that one file can hold."""
INSTEAD = "Leave out --onnx: the folder with model.py needs no such operators."


def export_onnx(subject: Subject, path: Path, *, takes_pixels: bool = False) -> float:
    """Write a network as an ONNX file: ``images`` (N, C, H, W) float32 to ``logits`` (N, K), for any N.

    The metadata of the file have the description of the network, each value in JSON.

    Args:
        subject: What is exported.
        path: File to write.
        takes_pixels: Put the normalisation into the graph: the images then are pixel values, 0 .. 255.

    Returns:
        The largest difference between the logits of onnxruntime and torch, relative to the largest logit.

    Raises:
        UserError: A package is missing, the network cannot be expressed in ONNX, or onnxruntime computes something
            else.
        OSError: The file cannot be written.
    """
    module = exported_module(subject, takes_pixels)
    if sum(tensor.nbytes for tensor in module.state_dict().values()) > LARGEST:
        raise UserError(f"the weights need more than 2 GiB, which one ONNX file cannot hold. {INSTEAD}")
    onnxruntime()  # not after a minute of work
    example = random_images(subject, takes_pixels, 2)
    stated = describe(subject, takes_pixels=takes_pixels)
    facts = {name: json.dumps(value, ensure_ascii=False) for name, value in stated.items()}
    try:
        with quiet():
            write_onnx(module, example, path, metadata=facts)
    except (OSError, UserError):
        raise
    except Exception as error:  # the code of the network may raise anything
        raise UserError(_reason(error, module, example)) from error
    return check_agreement(subject, module, takes_pixels, _runner(path), "the ONNX file")


def _runner(path: Path) -> Callable[[Tensor], Tensor]:
    try:
        return onnx_session(path)[0]
    except Exception as error:  # onnxruntime has a type for each reason
        raise UserError(f"onnxruntime cannot run the ONNX file ({first_line(error)}). {INSTEAD}") from error


def onnx_session(path: Path) -> tuple[Callable[[Tensor], Tensor], dict[str, str]]:
    """Return a function that runs an ONNX file on the CPU, images to logits, and the metadata of the file.

    Raises:
        UserError: onnxruntime is not installed.
        Exception: onnxruntime cannot read the file.
    """
    runtime = onnxruntime()
    options = runtime.SessionOptions()
    options.log_severity_level = 3  # errors
    options.intra_op_num_threads = torch.get_num_threads()
    session = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run(images: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {name: images.numpy()})[0])

    return run, session.get_modelmeta().custom_metadata_map


def _reason(error: BaseException, module: nn.Module, example: Tensor) -> str:
    """Return why a network cannot be expressed in ONNX: the operator and who calls it, if they are known."""
    texts = [str(each) for each in _chain(error)]
    found = re.search(r"No ONNX function found for <OpOverload\(op='([^']+)'", "\n".join(texts))
    if found is None:
        return f"the network cannot be expressed in ONNX ({first_line(error)}). {INSTEAD}"
    where = _caller(found[1], module, example)
    return f"ONNX has no operator for {found[1]}{f', which {where} calls' if where else ''}. Replace it. {INSTEAD}"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error:
        yield error
        error = error.__cause__


def _caller(operator: str, module: nn.Module, example: Tensor) -> str | None:
    """Return path and type of the innermost module that calls an operator."""
    with quiet():
        graph = torch.export.export(module, (example,)).run_decompositions().graph
    for node in graph.nodes:
        stack = list(node.meta.get("nn_module_stack", {}).values())
        if stack and str(node.target).startswith(f"{operator}."):
            path, kind = stack[-1]
            return f"{path} ({str(kind).rpartition('.')[2]})"
    return None
