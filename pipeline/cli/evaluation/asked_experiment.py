"""The experiment that the options of a command ask for."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from zenfront.pipeline.checks import read_task
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.experiment.config_file import load_experiment
from zenfront.pipeline.experiment.own_places import own_places


@dataclass(frozen=True)
class AskedExperiment:
    """The options that name an experiment and say where it runs, as the user gave them."""

    config: str
    overrides: Sequence[str]
    runs: Path
    address: str | None
    allow_code: bool
    trust_config: bool

    def load(self, overrides: Sequence[str] = ()) -> Experiment:
        """Return the experiment.

        Args:
            overrides: Changes beyond those of the command line.

        Raises:
            UserError: The file or an override is wrong, or names a place or code that is not allowed.
        """
        return load_experiment(
            self.config,
            [*self.overrides, *overrides],
            allow_code=self.allow_code,
            trust_config=self.trust_config,
            read_task=read_task,
            places=own_places(self.address),
        )
