"""The one place that builds a Tuner. Tune executes; it never remembers."""

import logging
from collections.abc import Mapping
from tempfile import TemporaryDirectory
from typing import Any

from ray import tune
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from zenfront.pipeline.cluster.workers import WorkerPool

logging.getLogger("ray.tune").setLevel(logging.ERROR)  # inside a job nobody else says so
logging.getLogger("ray.tune.tune").setLevel(logging.CRITICAL)  # the stages say what was interrupted or failed


class NotPickled:
    """Pickled as an empty shell: Tune writes copies of what drives it, which are never read."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class ForgetfulSearcher(Searcher):  # type: ignore[misc]
    """A searcher of which Tune saves nothing: it executes; it never remembers."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore."""


class ReleasingScheduler(FIFOScheduler):  # type: ignore[misc]
    """First in, first out; and lets go of the workers of an interrupted run, for a Ray that outlives it."""

    _controller: Any = None

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """Called by Tune before anything is done about a trial."""
        self._controller = tune_controller

    def release(self) -> None:
        """Ends workers in the middle of their step, and gives their resources back."""
        if self._controller:
            self._controller._actor_manager.cleanup()  # the controller's own waits for the steps first


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
    """Runs trials until the searcher has no more, on reused workers, in silence; the files of Tune are thrown away.

    Args:
        trainable: A class with `reset_config`; its `setup` gets the constants as keyword arguments.
        pool: How many trials at once, on what.
        searcher: Suggests trials; their configuration may hold ``name``, which the dashboard shows.
        callback: Told of every result; must not raise.
        stopper: Ends everything at once.
        scheduler: Decides on running trials.
        constants: Sent to every worker once.
    """
    with TemporaryDirectory(prefix="zenfront-") as unread:
        tuner = tune.Tuner(
            tune.with_resources(tune.with_parameters(trainable, **constants), pool.resources),
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
                storage_path=unread,
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


def _trial_name(trial: Any) -> str:
    return str(trial.config.get("name", trial.trial_id))
