"""The content of a run folder, read whole, as the mirror and the report show it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.record.files.ledger import read_values
from zenfront.pipeline.record.round_outcomes import with_outcomes
from zenfront.pipeline.record.run_documents import (
    epoch_reader,
    read_baselines,
    read_front,
    read_generations,
    read_trained,
)
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.record.score_record import read_scores
from zenfront.pipeline.record.training_result import find_trained_front, trained_baselines
from zenfront.pipeline.results.baselines import Baselines, TrainedBaseline
from zenfront.pipeline.results.front import Front, Member
from zenfront.pipeline.results.rounds import Round
from zenfront.pipeline.results.stage_rows import Epoch, Generation, Scores, Trained, TrainedRun, trial_name
from zenfront.pipeline.results.trained_networks import TrainedFront


class Run(NamedTuple):
    """A training run."""

    architecture: str
    """Id of the architecture."""
    seed: int


@dataclass(frozen=True)
class RunRecord:
    """One run, as far as it has come.

    Attributes:
        folder: The folder from which it was read.
        experiment: Its experiment.
        generations: Content of generations.jsonl, oldest first.
        front: Content of front.json; None before the selection.
        epochs: All epochs in the order of recording, each (trial, epoch) once.
        trained: Outcomes of the training runs; none before the end of the training stage.
        trained_front: The trained front; None before the end of the training stage, or if nothing was trained to the
            end. In runs of earlier versions it is found from `trained` and `front`.
        rounds: Rounds with what came out of them so far; none in runs without.
        baselines: Known networks, which are trained beside the found ones; none in runs without.
    """

    folder: RunFolder
    experiment: Experiment
    generations: list[Generation]
    front: Front | None
    epochs: list[Epoch]
    trained: list[TrainedRun]
    trained_front: TrainedFront | None = None
    rounds: Sequence[Round] = ()
    baselines: Baselines = field(default_factory=Baselines)

    @staticmethod
    def read(folder: RunFolder, experiment: Experiment | None = None) -> "RunRecord":
        """Read what is there; a file that is missing is a stage that has not run.

        Args:
            folder: Folder of the run.
            experiment: The experiment, if not the stored one: with other resources, tracking or cluster.

        Raises:
            UserError: The folder holds no run, or a file of it is damaged.
        """
        experiment = experiment or folder.experiment()
        epochs = read_values(folder.epochs, epoch_reader(experiment.train))
        once = {(epoch.trial, epoch.epoch): epoch for epoch in reversed(epochs)}
        front = read_front(folder, experiment)
        trained = read_trained(folder, experiment, front) or Trained([])
        found = trained.front or (find_trained_front(experiment, front, trained.trials) if front else None)
        return RunRecord(
            folder,
            experiment,
            read_generations(folder, experiment),
            front,
            [epoch for epoch in epochs if once[epoch.trial, epoch.epoch] is epoch],
            trained.trials,
            found,
            with_outcomes(experiment, front, epochs) if front else (),
            read_baselines(folder, experiment),
        )

    def scores(self) -> list[Scores]:
        """Return the scores of all architectures, each once, in the order of recording.

        Raises:
            UserError: The ledger is damaged, or holds fewer architectures than front.json was made of.
        """
        counted = self.front.evaluations if self.front else 0
        return read_scores(self.folder, self.experiment, counted, self.folder.front)

    @property
    def trained_baselines(self) -> Sequence[TrainedBaseline]:
        """The baselines that were trained, the cheapest first; none before the end of the training stage."""
        return trained_baselines(self.experiment, self.baselines, self.trained) if self.trained else ()

    @property
    def members(self) -> Sequence[Member]:
        """Members of the front."""
        return self.front.members if self.front else ()

    @property
    def shown(self) -> Sequence[Member]:
        """Members of the front, and the networks beside it that are trained."""
        return self.front.networks if self.front else ()

    def round_of(self, architecture: str) -> Round | None:
        """Return the round that chose a network, or None."""
        return next((each for each in self.rounds if architecture in each.ids), None)

    def runs_of(self, architecture: str) -> list[TrainedRun]:
        """Return the training runs of an architecture, in the order of the experiment's seeds."""
        order = list(self.experiment.train.seeds)
        return sorted(
            (run for run in [*self.trained, *self.baselines.trials] if run.architecture == architecture),
            key=lambda run: order.index(run.seed),
        )

    def test_accuracies(self, architecture: str) -> list[float]:
        """Return the test accuracies of an architecture's finished training runs, one a seed, as fractions.

        Of a training function, they are the values of its metric.
        """
        found = (run.test(self.experiment.train.tabled.name) for run in self.runs_of(architecture))
        return [accuracy for accuracy in found if accuracy is not None]

    def iterate_epochs(self, architectures: Sequence[str]) -> Iterator[tuple[Run, Epoch]]:
        """Yield the epochs of some architectures, given by their ids, each with its run, in the order of recording."""
        seeds = self.experiment.train.seeds
        runs = {trial_name(name, seed): Run(name, seed) for name in architectures for seed in seeds}
        return ((runs[epoch.trial], epoch) for epoch in self.epochs if epoch.trial in runs)

    def curves(self) -> dict[Run, list[Epoch]]:
        """Return the epochs of all networks that are trained by run, in the order of recording."""
        curves: dict[Run, list[Epoch]] = {}
        for run, epoch in self.iterate_epochs([member.id for member in self.shown]):
            curves.setdefault(run, []).append(epoch)
        return curves
