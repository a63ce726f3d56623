"""The worker of the search stage: a Tune trial scores a batch of candidates and reports now and then."""

import time
from collections import deque
from dataclasses import replace
from typing import Any

import torch
from ray import tune

from zenfront.pipeline.cluster.memory import cap_memory, peak, reset_peak
from zenfront.pipeline.cluster.time_limit import time_limit
from zenfront.pipeline.cluster.workers import show
from zenfront.pipeline.device import resolve
from zenfront.pipeline.results import Scores
from zenfront.pipeline.scoring import Scoring
from zenfront.spaces import Architecture

CROWDED = "out of GPU memory, also when it was scored alone"


class ScoringWorker(tune.Trainable):  # type: ignore[misc]
    """Configuration ``candidates``: architectures as JSON; ``alone``: whether to be content with too little memory.

    Every step reports the ledger ``rows`` that it made, each with the bytes of ``memory`` at its peak, and the ids
    of candidates that are to be scored ``again``. Its ``name`` is shown by Ray.
    """

    def setup(
        self, config: dict[str, Any], scoring: Scoring, threads: int, gpus: float, seconds: float, period: float
    ) -> None:
        """Takes the first batch and the constants: `seconds` of a candidate, `period` of the reports."""
        torch.set_num_threads(threads)
        cap_memory(gpus)
        self.scoring = replace(scoring, device=resolve(scoring.device))
        self.seconds, self.period = seconds, period
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Takes the next batch on the same process."""
        self.candidates = deque(map(Architecture.from_json, new_config["candidates"]))
        self.alone = new_config["alone"]
        self.name = new_config["name"]
        return True

    def step(self) -> dict[str, Any]:
        """Scores until the batch is done or it is time to report."""
        show(f"ScoringWorker: {self.name}")
        rows: list[dict[str, Any]] = []
        again: list[str] = []
        deadline = time.monotonic() + self.period
        while self.candidates and time.monotonic() < deadline:
            architecture = self.candidates.popleft()
            reset_peak(self.scoring.device)
            scores = self._score(architecture)
            if scores:
                rows.append(replace(scores, memory=peak(self.scoring.device)).to_row())
            else:
                again.append(architecture.id)
        return {"rows": rows, "again": again, "done": not self.candidates}

    def _score(self, architecture: Architecture) -> Scores | None:
        """None: not here and now, the GPU is full."""
        try:
            with time_limit(self.seconds):
                return self.scoring.score(architecture)
        except TimeoutError as late:
            return Scores(architecture, {}, str(late), self.scoring.seed)
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            return Scores(architecture, {}, CROWDED, self.scoring.seed) if self.alone else None
