"""The folder of an exported network, in the form of the Hugging Face Hub."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

import zenfront
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.train_config import Resize
from zenfront.pipeline.export.model_card import model_card
from zenfront.pipeline.export.model_source import WEIGHTS, model_source
from zenfront.pipeline.export.subject import Preprocessing, Subject
from zenfront.pipeline.export.target import CONFIG
from zenfront.pipeline.record.files.json_file import read_json, write_json

PREPROCESSOR = "preprocessor_config.json"
_BILINEAR = 2
"""Number of the filter in Pillow."""


def write_hub_folder(subject: Subject, folder: Path, also: Mapping[str, str] | None = None) -> None:
    """Write `model.py`, weights, configuration, preprocessing and model card of a network into an empty folder.

    Args:
        subject: What is exported.
        folder: The folder.
        also: Description by name of each further file that the folder gets, for the model card.

    Raises:
        UserError: The network cannot be written as a module of its own; a file cannot be written.
        OSError: A file cannot be written.
    """
    source = model_source(subject)
    (folder / "model.py").write_text(source.text, encoding="utf-8")
    save_file(dict(source.weights), folder / WEIGHTS, metadata={"format": "pt"})
    write_json(folder / CONFIG, config(subject))
    write_json(folder / PREPROCESSOR, preprocessor_config(subject.preprocessing))
    (folder / "README.md").write_text(model_card(subject, also), encoding="utf-8")


def config(subject: Subject) -> dict[str, Any]:
    """Return the content of config.json: what the network is, and what is known of it."""
    facts, task = subject.facts, subject.task
    names = subject.classes or [f"class {index}" for index in range(task.classes or 0)]
    labels = {"num_labels": task.classes, "id2label": {str(index): name for index, name in enumerate(names)}}
    weights = {"trained": subject.trained, "seed": facts.seed, "epochs": facts.epochs}
    measured = {"metric": facts.metric.name, "test": facts.test, "validation": facts.validation}
    over_seeds = {"mean": facts.accuracy, "error": facts.error, "seeds": facts.seeds}
    return {
        "zenfront": zenfront.__version__,
        "architectures": ["Network"],
        "space": subject.space,
        "id": subject.id,
        "genes": dict(subject.architecture.genes),
        "notation": subject.notation,
        "run": facts.run or None,
        "image": {"channels": task.channels, "height": task.height, "width": task.width},
        **(labels if task.classes else {"outputs": task.outputs}),
        "weights": weights,
        "accuracy" if facts.metric.is_accuracy else "measured": (
            {**measured, "over_seeds": over_seeds} if subject.trained else None
        ),
        "picks": dict(facts.picks),
        "scores": dict(facts.scores),
    }


def preprocessor_config(found: Preprocessing) -> dict[str, Any]:
    """Return the content of preprocessor_config.json, in the words of image processors on the hub.

    Mean and deviation are in units of the 8-bit pixel values, so that nothing is rescaled and the numbers are those of
    the training.
    """
    shape = {"height": found.height, "width": found.width}
    size, crop = shape, None
    if found.resize and isinstance(found.resize.size, int):
        size, crop = {"shortest_edge": found.resize.size}, shape
    return {
        "mode": found.mode,
        "do_resize": found.resize is not None,
        "size": size,
        "resample": _BILINEAR,
        "do_center_crop": crop is not None,
        "crop_size": crop,
        "do_rescale": False,
        "do_normalize": found.mean is not None,
        "image_mean": found.mean,
        "image_std": found.std,
        "rules": found.rules,
    }


def read_preprocessing(folder: Path, channels: int) -> Preprocessing:
    """Return what the file of `preprocessor_config` says.

    Args:
        folder: Folder of an export.
        channels: Number of channels of its images.

    Raises:
        UserError: The file is missing or damaged.
    """
    path = folder / PREPROCESSOR
    try:
        return preprocessing_of(read_json(path), channels)
    except ValueError as error:
        raise UserError(f"{path} is not what an export holds ({error}). Export the network again.") from error


def preprocessing_of(row: Any, channels: int) -> Preprocessing:
    """Return what `preprocessor_config` was made of.

    Args:
        row: Its result, as `json.loads` returns it.
        channels: Number of channels of the images.

    Raises:
        ValueError: It is something else.
    """
    try:
        shape: Mapping[str, int] = row["crop_size"] or row["size"]
        size = row["size"].get("shortest_edge", (shape["height"], shape["width"]))
        crop = shape["height"] if "shortest_edge" in row["size"] else None
        return Preprocessing(
            channels=channels,
            height=int(shape["height"]),
            width=int(shape["width"]),
            mean=tuple(map(float, row["image_mean"])) if row["do_normalize"] else None,
            std=tuple(map(float, row["image_std"])) if row["do_normalize"] else None,
            resize=Resize(size=size, crop=crop) if row["do_resize"] else None,
            rules=int(row["rules"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(repr(error)) from error
