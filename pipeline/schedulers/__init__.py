"""Early stopping of training runs. A module without underscore is one way; it exports ``SCHEDULER``."""

from pipeline.registry import Registry
from pipeline.schedulers._scheduler import Budget, MakeScheduler, Scheduler

SCHEDULERS = Registry("pipeline.schedulers", "SCHEDULER", "scheduler")


def names() -> list[str]:
    """The names of all schedulers."""
    return SCHEDULERS.names()


def load(name: str) -> MakeScheduler:
    """The scheduler of that name; `UserError` lists the known ones."""
    make: MakeScheduler = SCHEDULERS.load(name)
    return make


__all__ = ["SCHEDULERS", "Budget", "MakeScheduler", "Scheduler", "load", "names"]
