"""The Ray worker of the search stage: a Tune trial scores a batch of candidates and reports now and then."""

import time
from collections import deque
from dataclasses import replace
from typing import Any

import torch
from ray import tune

from zenfront.pipeline.cluster.memory import cap_memory
from zenfront.pipeline.cluster.time_limit import time_limit
from zenfront.pipeline.cluster.workers import show
from zenfront.pipeline.device import resolve
from zenfront.pipeline.scoring import Scoring
from zenfront.pipeline.stages.search.candidate import score_candidate
from zenfront.spaces import Architecture


class ScoringWorker(tune.Trainable):  # type: ignore[misc]
    """Scores batches of candidates.

    The configuration of a trial holds ``candidates``, architectures as JSON; ``alone``, whether nothing else uses the
    GPU; and ``name``, which Ray shows. Every step reports the ledger ``rows`` that it made, each with its peak
    ``memory`` in bytes, and the ids of candidates to score ``again``, because the GPU was full.
    """

    def setup(
        self, config: dict[str, Any], scoring: Scoring, threads: int, gpus: float, seconds: float, period: float
    ) -> None:
        """Prepare the process and take the first batch.

        Args:
            config: Configuration of the first trial.
            scoring: The same for all trials.
            threads: Number of torch's threads.
            gpus: Share of a GPU whose memory this process may use.
            seconds: Time limit of a candidate.
            period: Seconds between two reports.
        """
        torch.set_num_threads(threads)
        cap_memory(gpus)
        self.scoring = replace(scoring, device=resolve(scoring.device))
        self.seconds, self.period = seconds, period
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next batch in the same process."""
        self.candidates = deque(map(Architecture.from_json, new_config["candidates"]))
        self.alone = new_config["alone"]
        self.name = new_config["name"]
        return True

    def step(self) -> dict[str, Any]:
        """Score until the batch is done or it is time to report."""
        show(f"ScoringWorker: {self.name}")
        rows: list[dict[str, Any]] = []
        again: list[str] = []
        deadline = time.monotonic() + self.period
        while self.candidates and time.monotonic() < deadline:
            architecture = self.candidates.popleft()
            if scores := score_candidate(self.scoring, architecture, time_limit(self.seconds), alone=self.alone):
                rows.append(scores.to_row())
            else:
                again.append(architecture.id)
        return {"rows": rows, "again": again, "done": not self.candidates}
