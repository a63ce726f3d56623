"""Read an exported network of any format as a classifier."""

import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zenfront import spaces
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.export.graph.description import PIXELS
from zenfront.pipeline.export.graph.onnx_file import onnx_session
from zenfront.pipeline.export.graph.pt2_file import DESCRIPTION
from zenfront.pipeline.export.hub_folder import PREPROCESSOR, preprocessing_of
from zenfront.pipeline.export.model_source import WEIGHTS, ModelSource, model_source
from zenfront.pipeline.export.prediction.classifier import Classifier
from zenfront.pipeline.export.quiet import first_line, quiet
from zenfront.pipeline.export.subject import Preprocessing, fresh_subject
from zenfront.pipeline.export.target import CONFIG
from zenfront.pipeline.record.files.json_file import read_json
from zenfront.spaces import Task

NAME_ONE = "Name a folder or a file that `zenfront export` wrote."
LARGEST = 10_000_000
"""Bytes of a description that are read."""
Run = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Stated:
    """The description that an export carries.

    Attributes:
        task: Shape of the images and number of classes.
        preprocessing: What is done to an image before the network.
        classes: Names of the classes in the order of the logits.
        takes_pixels: Whether the network normalises the images itself.
    """

    task: Task
    preprocessing: Preprocessing
    classes: tuple[str, ...]
    takes_pixels: bool

    @staticmethod
    def of(row: Mapping[str, Any]) -> "Stated":
        """Return what `description.describe` was made of.

        Raises:
            ValueError: It is something else.
            UserError: The network does not classify.
        """
        if isinstance(row.get("outputs"), int):
            raise UserError("the network was trained for outputs, not for classes: there is nothing to classify.")
        try:
            image, names = row["image"], row["id2label"]
            task = Task(image["channels"], image["height"], image["width"], len(names))
            classes = tuple(str(names[str(index)]) for index in range(len(names)))
            found = preprocessing_of(row["preprocessor"], task.channels)
            if (found.height, found.width) != (task.height, task.width):
                raise ValueError(f"preprocessor and image state two sizes: {found} and {task}")
            if found.mode == "" or any(len(moments) != task.channels for moments in (found.mean, found.std) if moments):
                raise ValueError(f"mean and deviation must be those of {task.channels} channels")
            return Stated(task, found, classes, row.get("input") == PIXELS)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from error


def open_export(path: Path, allow_code: bool = False) -> Classifier:
    """Return the classifier of a folder, an .onnx file or a .pt2 file.

    An .onnx file is data. So are the weights and the architecture of a folder whose search space Zenfront has: it
    builds the network, and does not run the folder's model.py. Reading a .pt2 file can run code that it holds, and the
    network of a user's own space is code: both need `allow_code`.

    Args:
        path: The folder or file.
        allow_code: Whether code of the export may be run.

    Raises:
        UserError: It is no export, it is damaged, or it needs code that is not allowed.
    """
    if not path.exists():
        raise UserError(f"{path}: there is no such file or folder. {NAME_ONE}")
    suffix = "" if path.is_dir() else path.suffix.lower()
    readers = {"": _folder, ".onnx": _onnx, ".pt2": _pt2}
    if suffix not in readers or (suffix == "" and not path.is_dir()):
        raise UserError(f"{path} is no export: neither a folder nor an .onnx or .pt2 file. {NAME_ONE}")
    try:
        stated, run = readers[suffix](path, allow_code)
    except ValueError as error:
        raise UserError(f"{path} is no export of Zenfront, or it is damaged ({error}). {NAME_ONE}") from error
    return Classifier(str(path), stated.preprocessing, stated.classes, stated.takes_pixels, run)


def _onnx(path: Path, allow_code: bool) -> tuple[Stated, Run]:
    try:
        with quiet():
            run, metadata = onnx_session(path)
    except UserError:
        raise
    except Exception as error:  # onnxruntime has a type for each reason
        raise ValueError(f"onnxruntime cannot read it: {first_line(error)}") from error
    return Stated.of({name: json.loads(text) for name, text in metadata.items()}), run


def _pt2(path: Path, allow_code: bool) -> tuple[Stated, Run]:
    stated = Stated.of(packed_description(path))
    if not allow_code:
        raise UserError(
            f"{path}: reading a .pt2 file can run code that it holds, with all your rights. If you trust the file, add "
            "--allow-code; the folder of an export and an .onnx file need no such trust."
        )
    try:
        with quiet():
            module = torch.export.load(path).module()
    except Exception as error:  # of torch, of its archive, of what it holds
        raise ValueError(f"torch.export cannot load it: {first_line(error)}") from error
    return stated, torch.inference_mode()(module)


def packed_description(path: Path) -> Any:
    """Return the description in a .pt2 file, which is a zip archive, without loading the rest.

    Raises:
        ValueError: The file holds none.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith(f"extra/{DESCRIPTION}")]
            with archive.open(names[0]) as file:
                return json.loads(file.read(LARGEST))
    except (OSError, IndexError, zipfile.BadZipFile) as error:
        raise ValueError(f"it holds no {DESCRIPTION}") from error


def _folder(path: Path, allow_code: bool) -> tuple[Stated, Run]:
    missing = [name for name in (CONFIG, PREPROCESSOR, WEIGHTS) if not (path / name).is_file()]
    if missing:
        raise ValueError(f"it has no {missing[0]}")
    row = read_json(path / CONFIG)
    stated = Stated.of(row | {"preprocessor": read_json(path / PREPROCESSOR)})
    return stated, torch.inference_mode()(_network(path, row, stated.task, allow_code))


def _network(path: Path, row: Mapping[str, Any], task: Task, allow_code: bool) -> nn.Module:
    """Return the network of a folder: built by its space, or by its model.py where the space is a user's own.

    Raises:
        UserError: Its code is needed, and not allowed.
        ValueError: The folder is damaged.
    """
    if allow_code:
        text = (path / "model.py").read_text(encoding="utf-8")
    elif row.get("space") in spaces.names():
        text = _rebuilt(row, task)
    else:
        raise UserError(
            f"{path}: the network of the space {row.get('space')!r}, which Zenfront does not have, is code: model.py. "
            "Read it; if you trust it, add --allow-code."
        )
    try:
        from safetensors.torch import load_file

        return ModelSource(text, load_file(path / WEIGHTS)).network()
    except (Exception, SystemExit) as error:  # of safetensors, of the weights, of the code
        trusted = "" if allow_code else " An export of an earlier version is read with its own code: --allow-code"
        raise ValueError(f"the weights are not those of the network: {first_line(error)}.{trusted}") from error


def _rebuilt(row: Mapping[str, Any], task: Task) -> str:
    """Return the module that Zenfront writes for an architecture now."""
    space = spaces.load(str(row["space"]))
    try:
        architecture = space.architecture(row["genes"])
        return model_source(fresh_subject(space, architecture, task)).text
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"config.json: {first_line(error)}") from error
