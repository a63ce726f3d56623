"""A model of the accuracy that learns from the trained networks, and the choice of the networks to train next.

encoder = Encoder.of(population)                        # ranks and scales of the archive
candidates = encoder.encode(population)
model = fit(candidates, observations)                   # what the trainings say
choice = choose(model, candidates, count, exclude=observations.index)
"""

from zenfront.pipeline.analysis.learned.acquisition import Choice, choose
from zenfront.pipeline.analysis.learned.cost_model import LEAST as LEAST_MEASURED
from zenfront.pipeline.analysis.learned.cost_model import CostError, CostModel, fit_cost, predict_cost
from zenfront.pipeline.analysis.learned.encoding import Candidates, Encoder, Population
from zenfront.pipeline.analysis.learned.model import Model, Observations, Prediction, fit
from zenfront.pipeline.analysis.learned.rule import ROUNDS, first_part, learned_rule, round_sizes
from zenfront.pipeline.analysis.learned.validity import agreement, predicts

__all__ = [
    "LEAST_MEASURED",
    "ROUNDS",
    "Candidates",
    "Choice",
    "CostError",
    "CostModel",
    "Encoder",
    "Model",
    "Observations",
    "Population",
    "Prediction",
    "agreement",
    "choose",
    "first_part",
    "fit",
    "fit_cost",
    "learned_rule",
    "predict_cost",
    "predicts",
    "round_sizes",
]
