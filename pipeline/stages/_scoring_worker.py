"""The worker of the search stage: a Tune trial scores a batch of candidates and reports about once a second."""

import time
from collections import deque
from dataclasses import replace
from typing import Any

import torch
from ray import tune

from pipeline.device import resolve
from pipeline.scoring import Scoring
from spaces import Architecture

REPORT_SECONDS = 1.0


class ScoringWorker(tune.Trainable):  # type: ignore[misc]
    """Configuration ``candidates``: architectures as JSON; every step reports the ledger rows that it made."""

    def setup(self, config: dict[str, Any], scoring: Scoring, threads: int) -> None:
        """Takes the constants of the search and the first batch."""
        torch.set_num_threads(threads)
        self.scoring = replace(scoring, device=resolve(scoring.device))
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Takes the next batch on the same process."""
        self.candidates = deque(map(Architecture.from_json, new_config["candidates"]))
        return True

    def step(self) -> dict[str, Any]:
        """Scores until the batch is done or it is time to report."""
        rows: list[dict[str, Any]] = []
        deadline = time.monotonic() + REPORT_SECONDS
        while self.candidates and time.monotonic() < deadline:
            rows.append(self.scoring.score(self.candidates.popleft()).to_row())
        return {"rows": rows, "done": not self.candidates}
