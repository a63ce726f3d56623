"""Scores one candidate within its limits of time and memory."""

from contextlib import AbstractContextManager
from dataclasses import replace

import torch

from zenfront.pipeline.cluster.memory import peak, reset_peak
from zenfront.pipeline.results.stage_rows import Scores
from zenfront.pipeline.scoring import Scoring
from zenfront.spaces import Architecture

CROWDED = "out of GPU memory, also when it was scored alone"


def score_candidate(
    scoring: Scoring, architecture: Architecture, limit: AbstractContextManager[None], *, alone: bool
) -> Scores | None:
    """Return the scores of a candidate, with its peak memory; None if the GPU is full.

    Args:
        scoring: On the device of this process.
        architecture: The candidate.
        limit: Raises TimeoutError in a block that takes too long; the candidate has then failed.
        alone: Whether nothing else uses the GPU: then a full GPU is the candidate's failure.
    """
    reset_peak(scoring.device)
    scores = _score(scoring, architecture, limit, alone)
    return scores and replace(scores, memory=peak(scoring.device))


def _score(
    scoring: Scoring, architecture: Architecture, limit: AbstractContextManager[None], alone: bool
) -> Scores | None:
    try:
        with limit:
            return scoring.score(architecture)
    except TimeoutError as late:
        return Scores(architecture, {}, str(late), scoring.seed)
    except torch.OutOfMemoryError:
        torch.cuda.empty_cache()
        return Scores(architecture, {}, CROWDED, scoring.seed) if alone else None
