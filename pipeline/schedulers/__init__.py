"""Early stopping of training runs. Each module without underscore is one scheduler; it exports ``SCHEDULER``."""

from zenfront.pipeline.registry import Registry
from zenfront.pipeline.schedulers._rungs import milestones
from zenfront.pipeline.schedulers._scheduler import MakeScheduler, Scheduler, TrainingBudget

SCHEDULERS = Registry("zenfront.pipeline.schedulers", "SCHEDULER", "scheduler")


def names() -> list[str]:
    """Return the names of all schedulers."""
    return SCHEDULERS.names()


def load(name: str) -> MakeScheduler:
    """Return the scheduler of that name; the `UserError` of a wrong name lists the known ones."""
    make: MakeScheduler = SCHEDULERS.load(name)
    return make


__all__ = ["SCHEDULERS", "MakeScheduler", "Scheduler", "TrainingBudget", "load", "milestones", "names"]
