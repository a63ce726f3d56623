"""Deterministic state of the training stage: the runs, their epochs and the next jobs. It does not use Ray."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from zenfront.pipeline import schedulers
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.train_config import Train
from zenfront.pipeline.progress import TrialProgress, TrialState
from zenfront.pipeline.record.changes import WORKER_FAILED
from zenfront.pipeline.record.files.ledger import Ledger
from zenfront.pipeline.record.run_documents import epoch_reader
from zenfront.pipeline.results.stage_rows import SECONDS, Epoch, Trained, TrainedRun, trial_name
from zenfront.pipeline.schedulers import TrainingBudget
from zenfront.pipeline.seeds import seed_for
from zenfront.pipeline.stages.train.jobs import Evaluation, Job, Trial
from zenfront.spaces import Architecture

_NO_COSTS: Mapping[str, tuple[float, ...]] = MappingProxyType({})


class TrainingRuns:
    """Hands out jobs and receives epochs, which it records before it acts on them.

    The scheduler compares the runs of the first seed, by the metric of `train.metric` and by costs; an architecture
    that finishes is also trained with the other seeds, to the end. Runs are tested when all training is over. Resuming
    is replay: the scheduler receives the recorded epochs in the order of the ledger, so it makes the same decisions
    again.

    With rounds, the runs of a round start when those of the rounds before are over. While more rounds are to come, only
    the first seed is trained, and nothing is tested.

    Baselines are trained with all seeds and to the end, after the selected networks. The scheduler does not know them.

    Args:
        selected: Architectures, which start in an order that the seed draws.
        train: Training settings of the experiment.
        seed: Seed of the search.
        ledger: Ledger of epochs.
        costs: Costs by id of the architecture, the same number for all, lower is better; empty: the scheduler
            compares by the metric alone.
        validation_images: Number of images behind a value of the metric; None: every difference counts.
        rounds: Number of architectures of each round, in the order of `selected`; empty: one round.
        more: Whether more rounds are to come. Epochs of other architectures are then those of later rounds.
        baselines: Known networks to train as well; those that are selected are not trained twice.

    Raises:
        UserError: The ledger holds runs of other architectures.
    """

    def __init__(
        self,
        selected: Sequence[Architecture],
        train: Train,
        seed: int,
        ledger: Ledger,
        costs: Mapping[str, tuple[float, ...]] = _NO_COSTS,
        validation_images: int | None = None,
        rounds: Sequence[int] = (),
        more: bool = False,
        baselines: Sequence[Architecture] = (),
    ) -> None:
        by_round = [_shuffled(group, seed) for group in _split(selected, rounds)]
        shuffled = [architecture for group in by_round for architecture in group]
        self._selected, self._more = selected, more
        self._by_seed = [[Trial(architecture, s) for architecture in shuffled] for s in train.seeds]
        self._baselines = [Trial(each, s) for each in baselines if each not in shuffled for s in train.seeds]
        self._compared = {trial.name for trial in self._by_seed[0]}
        self._epochs = train.epochs
        self._metric, self._own = train.compared, train.function is not None
        self._recorded = train.recorded
        self._ledger = ledger
        self._last: dict[str, Epoch] = {}
        self._completed: dict[str, Epoch] = {}
        self._tests: dict[str, Evaluation] = {}
        self._busy: set[str] = set()
        self._scheduler = schedulers.load(train.scheduler.name)(
            TrainingBudget(
                trials=tuple(trial.name for trial in self._by_seed[0]),
                epochs=train.epochs,
                grace_period=train.scheduler.grace_period,
                reduction_factor=train.scheduler.reduction_factor,
                costs={trial.name: costs[trial.architecture.id] for trial in self._by_seed[0] if costs},
                validation_images=validation_images if train.scheduler.ties_within_noise else None,
                rounds=tuple(tuple(trial_name(a.id, train.seeds[0]) for a in group) for group in by_round),
                sign=train.compared.sign,
            )
        )
        self._replay(train)

    def _replay(self, train: Train) -> None:
        known = {trial.name for trials in [*self._by_seed, self._baselines] for trial in trials}
        for epoch in self._ledger.values(epoch_reader(train)):
            if epoch.trial not in known and not self._more:
                raise UserError(
                    f"{self._ledger.path} holds epochs of {epoch.trial}, which front.json does not select. "
                    "Restore front.json, or delete the record and its checkpoints to train anew."
                )
            if epoch.trial in known:
                self._note(epoch)

    def receive(self, epoch: Epoch) -> None:
        """Record an epoch; ignore one that is recorded already.

        Raises:
            ValueError: The epoch is not the next one of its run.
            UserError: The record cannot be written.
        """
        recorded = self.recorded(epoch.trial)
        if epoch.epoch <= recorded or self._over(epoch.trial):
            return
        if epoch.epoch != recorded + 1:
            raise ValueError(f"{epoch.trial}: epoch {recorded + 1} is next, but got {epoch.epoch}")
        self._ledger.append([epoch.to_row()])
        self._note(epoch)

    def tested(self, trial: str, test: Evaluation) -> None:
        """Store the result of a test."""
        self._tests[trial] = test

    def take_over(self, outcomes: Sequence[TrainedRun]) -> None:
        """Store the tests of an earlier end of the training, which are not repeated."""
        for run in outcomes:
            if run.test_accuracy is not None:
                balanced = run.test_balanced_accuracy
                self._tests[run.trial] = Evaluation(run.test_accuracy, run.test_loss, None, balanced)

    def take(self) -> Job | None:
        """Return the next job, or None if there is nothing to do at present."""
        job = next(self._jobs(), None)
        if job:
            self._busy.add(job.trial.name)
        return job

    def release(self, trial: str) -> None:
        """Mark a run as free: no worker is busy with it."""
        self._busy.discard(trial)

    def recorded(self, trial: str) -> int:
        """Return the number of recorded epochs of a run."""
        return self._last[trial].epoch if trial in self._last else 0

    def is_paused_or_done(self, trial: str) -> bool:
        """Return whether the run is not to train further, at present or at all."""
        return self._over(trial) or self.recorded(trial) >= self._limit(trial)

    @property
    def test_images(self) -> float | None:
        """Number of images behind a test result, or None if there is no result."""
        return next((test.images for test in self._tests.values() if test.images is not None), None)

    @property
    def trained(self) -> bool:
        """True if all training is over."""
        return all(self._over(trial.name) for trial in self.wanted())

    @property
    def complete(self) -> bool:
        """True if all training is over and every finished run is tested, if there is no round to come."""
        return self.trained and (self._more or not any(self._untested()))

    def wanted(self) -> list[Trial]:
        """Return the runs that are to be trained, as far as it is decided, in the order in which they start."""
        first, *others = self._by_seed
        if self._more:
            return first
        finished = [self._status(trial.name) == "finished" for trial in first]
        more = [trial for trials in others for trial, go in zip(trials, finished, strict=True) if go]
        return [*first, *more, *self._baselines]

    def progress(self, trial: str) -> TrialProgress:
        """Return the state of a run."""
        last = self._last.get(trial)
        failure = last.failure if last else None
        completed = self.recorded(trial) - (failure is not None)
        reason = failure or self._scheduler.stopped.get(trial, "")
        return TrialProgress(
            trial,
            self._status(trial),
            completed,
            self._epochs,
            self._value(trial, self._recorded),
            reason,
            self._metric,
        )

    def outcomes(self) -> Trained:
        """Return the content of trained.json, in the order of the selection and then of the seeds."""
        rank = {architecture: index for index, architecture in enumerate(self._selected)}
        found = [trial for trial in self.wanted() if trial.architecture in rank]
        return Trained([self._outcome(trial) for trial in sorted(found, key=lambda trial: rank[trial.architecture])])

    def baseline_outcomes(self) -> list[TrainedRun]:
        """Return the outcomes of the baselines, in their order and then of the seeds."""
        return [self._outcome(trial) for trial in self._baselines]

    def _outcome(self, trial: Trial) -> TrainedRun:
        name = trial.name
        test = self._tests.get(name, Evaluation())
        last = self._last.get(name)
        return TrainedRun(
            trial=name,
            architecture=trial.architecture.id,
            seed=trial.seed,
            epochs=self._completed[name].epoch if name in self._completed else 0,
            status="failed" if test.failure else self._status(name),
            val_accuracy=None if self._own else self._value(name, "val_accuracy"),
            test_accuracy=test.accuracy,
            test_loss=test.loss,
            failure=test.failure or (last.failure if last else None),
            val_balanced_accuracy=None if self._own else self._value(name, "val_balanced_accuracy"),
            test_balanced_accuracy=test.balanced_accuracy,
            values=self._values(name) if self._own else {},
        )

    def _values(self, trial: str) -> dict[str, float]:
        """Return the last row of a training function, without the time that it took."""
        metrics = self._completed[trial].metrics if trial in self._completed else {}
        return {name: value for name, value in metrics.items() if name != SECONDS}

    def _value(self, trial: str, metric: str) -> float | None:
        """Return the value of a metric in the last completed epoch of a run, or None if there is none."""
        return self._completed[trial].metrics.get(metric) if trial in self._completed else None

    def _note(self, epoch: Epoch) -> None:
        self._last[epoch.trial] = epoch
        if not epoch.failure:
            self._completed[epoch.trial] = epoch
        if epoch.trial in self._compared:
            value = None if epoch.failure else self._metric.sign * epoch.metrics[self._recorded]
            self._scheduler.report(epoch.trial, epoch.epoch, value)

    def _jobs(self) -> Iterator[Job]:
        for trial in self.wanted():
            if trial.name not in self._busy and not self.is_paused_or_done(trial.name):
                yield Job(trial, self.recorded(trial.name))
        if self.trained and not self._more:
            for trial in self._untested():
                if trial.name not in self._busy:
                    yield Job(trial, self._epochs, test=True)

    def _untested(self) -> Iterator[Trial]:
        """Yield the finished runs without a test; a training function measures on its own whatever is to be known."""
        for trial in () if self._own else self.wanted():
            if self._status(trial.name) == "finished" and trial.name not in self._tests:
                yield trial

    def _limit(self, trial: str) -> int:
        return self._scheduler.limit(trial) if trial in self._compared else self._epochs

    def _over(self, trial: str) -> bool:
        return self._status(trial) not in ("waiting", "running")

    def _status(self, trial: str) -> TrialState:
        last = self._last.get(trial)
        if last and last.failure:
            return "failed" if last.failure.startswith(WORKER_FAILED) else "diverged"
        if trial in self._scheduler.stopped:
            return "stopped"
        if self.recorded(trial) == self._epochs:
            return "finished"
        return "running" if trial in self._busy else "waiting"


def _split(selected: Sequence[Architecture], rounds: Sequence[int]) -> Iterator[Sequence[Architecture]]:
    """Yield the architectures of each round."""
    start = 0
    for size in rounds or [len(selected)]:
        yield selected[start : start + size]
        start += size


def _shuffled(architectures: Sequence[Architecture], seed: int) -> list[Architecture]:
    return sorted(architectures, key=lambda architecture: seed_for(seed, "training order", architecture.id))
