"""Checks of an experiment before anything is computed: names, numbers, recipe, store, images, room on the disk."""

from zenfront.pipeline.checks.estimate import estimate
from zenfront.pipeline.checks.evidence import cautions
from zenfront.pipeline.checks.experiment import check, check_options, options
from zenfront.pipeline.checks.images import are_local, check_data, describe_data, read_task, reads_images, remarks
from zenfront.pipeline.checks.places import check_room, check_store

__all__ = [
    "are_local",
    "cautions",
    "check",
    "check_data",
    "check_options",
    "check_room",
    "check_store",
    "describe_data",
    "estimate",
    "options",
    "read_task",
    "reads_images",
    "remarks",
]
