"""The Ray worker of the search stage: a Tune trial scores a batch of candidates and reports now and then."""

import time
import traceback
from collections import deque
from dataclasses import replace
from typing import Any

import torch
from ray import tune

from zenfront.pipeline.cluster.memory import cap_memory
from zenfront.pipeline.cluster.time_limit import time_limits
from zenfront.pipeline.cluster.workers import show
from zenfront.pipeline.device import resolve
from zenfront.pipeline.errors import reason
from zenfront.pipeline.scoring import Repeats, Scoring
from zenfront.pipeline.stages.search.candidate import score_candidate
from zenfront.spaces import Architecture


class ScoringWorker(tune.Trainable):  # type: ignore[misc]
    """Scores batches of candidates.

    The configuration of a trial holds ``candidates``, architectures as JSON; ``repeats``, the samples of each score;
    ``alone``, whether nothing else uses the GPU; and ``name``, which Ray shows. Every step reports the ledger ``rows``
    that it made, each with its peak ``memory`` in bytes, and the ids of candidates to score ``again``, because the GPU
    was full. An ``error`` is one outside the candidates: it ends the search, and no candidate is blamed for it.
    """

    error: Exception | None = None

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
        try:
            torch.set_num_threads(threads)
            cap_memory(gpus)
            self.base = replace(scoring, device=resolve(scoring.device))
            self.repeats: Repeats | None = self.base.repeats
            self.scoring = self.base
            self.seconds, self.period = seconds, period
            self.reset_config(config)
        except Exception as error:  # raised here it would be the death of a worker, and so the candidates' fault
            self.error = error

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next batch in the same process."""
        self.candidates = deque(map(Architecture.from_json, new_config["candidates"]))
        self.alone = new_config["alone"]
        self.name = new_config["name"]
        if new_config["repeats"] != self.repeats:
            self.repeats = new_config["repeats"]
            self.scoring = self.base.repeated(self.repeats)
        return True

    def step(self) -> dict[str, Any]:
        """Score until the batch is done or it is time to report."""
        rows: list[dict[str, Any]] = []
        again: list[str] = []
        try:
            if self.error:
                raise self.error
            self._score(rows, again)
        except Exception as error:
            return {"rows": rows, "again": again, "done": True, "error": _described(error)}
        return {"rows": rows, "again": again, "done": not self.candidates}

    def _score(self, rows: list[dict[str, Any]], again: list[str]) -> None:
        show(f"ScoringWorker: {self.name}")
        deadline = time.monotonic() + self.period
        with time_limits(self.seconds) as limit:
            while self.candidates and time.monotonic() < deadline:
                architecture = self.candidates.popleft()
                if scores := score_candidate(self.scoring, architecture, limit(), alone=self.alone):
                    rows.append(scores.to_row())
                else:
                    again.append(architecture.id)


def _described(error: Exception) -> str:
    """Return an error with the place in the code that raised it."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{reason(error)} ({place.filename}, line {place.lineno})"
