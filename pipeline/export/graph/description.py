"""The description that a file of a network carries, so that it can be used without the run."""

from typing import Any

from zenfront.pipeline.export.hub_folder import config, preprocessor_config
from zenfront.pipeline.export.subject import Subject

PIXELS, NORMALISED = "pixel values 0 .. 255", "normalised images"


def describe(subject: Subject, *, takes_pixels: bool = False) -> dict[str, Any]:
    """Return the description of a network as JSON values by name.

    It has what config.json has; ``preprocessor``, the content of preprocessor_config.json; ``classes``, the names in
    the order of the logits, none for a task with outputs; and ``input``, which is `PIXELS` if the file normalises the
    images itself, else `NORMALISED`.

    Args:
        subject: What is exported.
        takes_pixels: Whether the file normalises the images itself.
    """
    stated = config(subject)
    return stated | {
        "classes": list(stated.get("id2label", {}).values()),
        "input": PIXELS if takes_pixels else NORMALISED,
        "preprocessor": preprocessor_config(subject.preprocessing),
    }
