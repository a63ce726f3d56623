"""Early stopping of training runs. A module without underscore is one way; it exports ``SCHEDULER``."""

from zenfront.pipeline.registry import Registry
from zenfront.pipeline.schedulers._scheduler import MakeScheduler, Scheduler, TrainingBudget

SCHEDULERS = Registry("zenfront.pipeline.schedulers", "SCHEDULER", "scheduler")


def names() -> list[str]:
    """The names of all schedulers."""
    return SCHEDULERS.names()


def load(name: str) -> MakeScheduler:
    """The scheduler of that name; `UserError` lists the known ones."""
    make: MakeScheduler = SCHEDULERS.load(name)
    return make


__all__ = ["SCHEDULERS", "MakeScheduler", "Scheduler", "TrainingBudget", "load", "names"]
