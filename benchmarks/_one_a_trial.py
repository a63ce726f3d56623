"""The common set-up as a baseline: Ray Tune with `OptunaSearch`, one candidate per trial, on reused workers.

The space and the scores are those of the experiment. The script prints the candidates per second after the first
quarter of the candidates:

    python _one_a_trial.py EXPERIMENT.json WORKERS CANDIDATES
"""

import json
import sys
import tempfile
import time
from typing import Any

from zenfront.pipeline.cluster import session  # sets Ray's environment variables, so it is imported before Ray

import optuna  # isort: skip
from ray import tune  # isort: skip
from ray.tune.search.optuna import OptunaSearch  # isort: skip

from zenfront import spaces
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.scoring import Scoring


class Candidate(tune.Trainable):  # type: ignore[misc]
    """Trainable that scores one architecture."""

    def setup(self, config: dict[str, Any], scoring: Scoring) -> None:
        self.scoring = scoring
        self.config = config

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.config = new_config
        return True

    def step(self) -> dict[str, Any]:
        values = self.scoring.score(self.scoring.space.architecture(self.config)).values
        return {name: values.get(name, 1e9) for name in self.scoring.names} | {"done": True}


class Clock(tune.Callback):  # type: ignore[misc]
    """Callback that records the end of each trial, in seconds since the epoch."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.times.append(time.time())


def main() -> None:
    experiment = Experiment.model_validate(json.loads(sys.argv[1]))
    workers, candidates = int(sys.argv[2]), int(sys.argv[3])
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space, clock = spaces.load(experiment.space), Clock()
    objectives = {o.score: {"maximise": "max", "minimise": "min"}[o.direction] for o in experiment.objectives}
    search = OptunaSearch(
        dict(space.distributions),
        metric=list(objectives),
        mode=list(objectives.values()),
        sampler=optuna.samplers.NSGAIISampler(population_size=experiment.search.population, seed=0),
    )
    with tempfile.TemporaryDirectory() as folder, session.cluster(experiment):
        scored = tune.with_parameters(Candidate, scoring=Scoring.of(experiment))
        tune.Tuner(
            tune.with_resources(scored, {"CPU": 1}),
            tune_config=tune.TuneConfig(
                search_alg=search, num_samples=candidates, max_concurrent_trials=workers, reuse_actors=True
            ),
            run_config=tune.RunConfig(
                storage_path=folder,
                callbacks=[clock],
                verbose=0,
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        ).fit()
    settled = clock.times[len(clock.times) // 4 :]
    print(json.dumps({"rate": (len(settled) - 1) / (settled[-1] - settled[0]), "candidates": len(clock.times)}))


if __name__ == "__main__":
    main()
