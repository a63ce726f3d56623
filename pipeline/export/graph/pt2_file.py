"""A network as a .pt2 file, the archive of torch.export, that was run and compared with the network."""

import json
from pathlib import Path

import torch

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.export.graph.agreement import check_agreement
from zenfront.pipeline.export.graph.description import describe
from zenfront.pipeline.export.graph.module import exported_module, random_images
from zenfront.pipeline.export.quiet import first_line, quiet
from zenfront.pipeline.export.subject import Subject
from zenfront.pipeline.formats import write_pt2

DESCRIPTION = "zenfront.json"
"""Name of the description inside the archive."""


def export_pt2(subject: Subject, path: Path, *, takes_pixels: bool = False) -> float:
    """Write a network as a .pt2 file for any number of images, with its description as ``zenfront.json`` in it.

    Args:
        subject: What is exported.
        path: File to write; its name ends in ``.pt2``.
        takes_pixels: Put the normalisation into the graph: the images then are pixel values, 0 .. 255.

    Returns:
        The largest difference between the logits of the file and of the network, relative to the largest logit.

    Raises:
        UserError: The network cannot be traced, or the file computes something else.
        OSError: The file cannot be written.
    """
    module = exported_module(subject, takes_pixels)
    facts = json.dumps(describe(subject, takes_pixels=takes_pixels), ensure_ascii=False, indent=1)
    try:
        with quiet():
            write_pt2(module, random_images(subject, takes_pixels, 2), path, inside={DESCRIPTION: facts})
            written = torch.export.load(path).module()
    except OSError:
        raise
    except Exception as error:  # the code of the network may raise anything
        raise UserError(
            f"torch.export cannot trace the network ({first_line(error)}). What its layers do must not depend on the "
            "values of the images or on the size of the batch. Leave out --pt2: the folder with model.py needs none."
        ) from error
    return check_agreement(subject, module, takes_pixels, written, "the .pt2 file")
