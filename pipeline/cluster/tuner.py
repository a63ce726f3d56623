"""Run Ray Tune. Tune executes; the record remembers, and nothing that Tune writes is ever read."""

import logging
import time
from collections.abc import Mapping
from typing import Any

from ray import tune
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from zenfront.pipeline.cluster import leftovers
from zenfront.pipeline.cluster.starts import WorkerStarts
from zenfront.pipeline.cluster.workers import WorkerPool, lost_machines

logging.getLogger("ray.tune").setLevel(logging.ERROR)  # inside a Ray job nothing else sets it
logging.getLogger("ray.tune.tune").setLevel(logging.CRITICAL)  # the stages report interruptions and failures

START = 60.0
"""Seconds for which a trial waits for a worker that starts, if another is idle."""


class NotPickled:
    """Pickle an object without its state: Tune pickles searchers and callbacks, and nothing reads the copies."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class ForgetfulSearcher(Searcher):  # type: ignore[misc]
    """Let Tune save and restore nothing of a searcher: its state is in the record."""

    def save(self, checkpoint_path: str) -> None:
        """Save nothing."""

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing."""


class ReleasingScheduler(NotPickled, FIFOScheduler):  # type: ignore[misc]
    """Schedule trials first in, first out; keep idle workers for the next trials, and release all at an interruption.

    Tune (2.60) keeps one idle worker and ends the others, which start anew for the next generation or rung. And it ends
    a worker that starts when another becomes idle, so that with short trials a second one is never ready.

    Args:
        starts: Told of failed trials before anything else is.

    Attributes:
        kept: Number of idle workers that are kept.
    """

    kept = 1
    _controller: Any = None
    _lost_machines = 0

    def __init__(self, starts: WorkerStarts) -> None:
        super().__init__()
        self._starts = starts
        self._starting: dict[str, float] = {}

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """Take note of a worker that did not start; Tune calls this before the searcher and the callbacks."""
        self._starts.failed(trial)

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """Keep the controller and idle workers, but none of a lost machine; Tune calls this first with every trial."""
        if self._controller is None:
            self._controller = controller = tune_controller._tune_controller  # as Tune has it, without its wrapper
            self._reuse = controller._maybe_reuse_cached_actor
            controller._maybe_reuse_cached_actor = self._reuse_unless_one_starts
            controller._actor_cache.increase_max(trial.placement_group_factory, by=self.kept)
        if (lost := lost_machines()) > self._lost_machines:
            self._lost_machines = lost
            self._controller._cleanup_cached_actors(force_all=True)

    def _reuse_unless_one_starts(self, trial: Any) -> bool:
        """Give a trial an idle worker, unless one starts for it that has its resources already."""
        actor = self._controller._trial_to_actor.get(trial)
        if actor and self._controller._actor_manager.is_actor_started(actor):  # Ray was asked to; it may not be ready
            began = self._starting.setdefault(trial.trial_id, time.monotonic())
            if time.monotonic() - began < START:
                return False
        return bool(self._reuse(trial))

    def release(self) -> None:
        """End all workers at once, in the middle of their step, and free their resources."""
        if self._controller:
            self._controller._actor_manager.cleanup()  # TuneController.cleanup waits for the steps


def run_tune(
    trainable: type[tune.Trainable],
    *,
    pool: WorkerPool,
    searcher: Searcher,
    callback: tune.Callback,
    stopper: tune.Stopper,
    scheduler: ReleasingScheduler,
    constants: Mapping[str, Any],
) -> None:
    """Run trials on reused workers until the searcher has no more. Prints nothing and keeps no files of Tune.

    Args:
        trainable: Class with `reset_config`, whose `setup` takes the constants as keyword arguments.
        pool: Workers that run at the same time.
        searcher: Suggests trials. The dashboard shows the ``name`` of their configuration, if there is one.
        callback: Receives every result; must not raise.
        stopper: Can stop all trials at once.
        scheduler: Decides which trials go on. It keeps as many idle workers as there are in the pool.
        constants: Sent to each worker once.
    """
    scheduler.kept = pool.count
    with leftovers.temporary_folder() as unread:
        tuner = tune.Tuner(
            tune.with_resources(tune.with_parameters(trainable, **constants), _placed(pool)),
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                scheduler=scheduler,
                num_samples=-1,
                max_concurrent_trials=pool.count,
                reuse_actors=True,
                trial_name_creator=_trial_name,
                trial_dirname_creator=lambda trial: str(trial.trial_id),
            ),
            run_config=tune.RunConfig(
                name="tune",
                storage_path=str(unread),
                callbacks=[callback],
                stop=stopper,
                verbose=0,
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        )
        try:
            tuner.fit()
        except KeyboardInterrupt:
            scheduler.release()
            raise


def _placed(pool: WorkerPool) -> dict[str, float] | tune.PlacementGroupFactory:
    """Return the resources of a trial; with several processes one bundle for each, on one machine if there is one."""
    return pool.resources if pool.processes == 1 else tune.PlacementGroupFactory([pool.resources] * pool.processes)


def _trial_name(trial: Any) -> str:
    return str(trial.config.get("name", trial.trial_id))
