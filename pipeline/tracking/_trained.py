"""Metrics of trained networks: of the trained front for the parent, of one network for its child."""

import statistics
from collections.abc import Iterator

import numpy as np

from zenfront.pipeline.analysis.trained_front import accuracy_at_cost
from zenfront.pipeline.record.run_record import RunRecord
from zenfront.pipeline.results.metric import Metric
from zenfront.pipeline.results.rounds import Round
from zenfront.pipeline.results.trained_networks import TrainedFront

QUARTILES = (25, 50, 75, 100)
"""Percentiles of the first cost over the networks that were selected for training."""


def front_metrics(front: TrainedFront | None) -> dict[str, float]:
    """Return the metrics of a trained front, under names that are the same in every experiment.

    They are trained_hypervolume, trained_front_size and, for each quartile q of the first cost over the selected
    networks, cost_at_<q>, the cost there, and accuracy_at_cost_<q>, the best mean test accuracy at no more than that
    cost, which is left out if no network is as cheap. Of another metric, its name takes the place of ``accuracy``.
    """
    if front is None:
        return {}
    metrics = {"trained_hypervolume": front.hypervolume, "trained_front_size": float(len(front.members))}
    if front.costs:
        first = front.costs[0]
        finished = [(network.accuracy, network.costs[first]) for network in front.finished]
        accuracy, cost = np.array(finished, dtype=np.float64).T
        levels = np.percentile([network.costs[first] for network in front.networks], QUARTILES).tolist()
        metrics |= {f"cost_at_{q}": level for q, level in zip(QUARTILES, levels, strict=True)}
        metric = front.metric
        name = "accuracy" if metric.is_accuracy else metric.name
        found = zip(QUARTILES, accuracy_at_cost(metric.sign * accuracy, cost, levels), strict=True)
        metrics |= {f"{name}_at_cost_{q}": metric.sign * best for q, best in found if best is not None}
    return metrics


def round_metrics(each: Round, metric: Metric) -> dict[str, float]:
    """Return the metrics of a round.

    They are round_networks, and as far as they are known round_tau, the rank correlation of
    predicted and measured accuracies, with its interval round_tau_low and round_tau_high; round_regret, the regret that
    was expected to be left; and round_val_accuracy_best, or round_<metric>_best of another metric.
    """
    metrics: dict[str, float | None] = {"round_networks": float(len(each.networks)), "round_regret": each.regret}
    if found := each.agreement:
        metrics |= {"round_tau": found.tau, "round_tau_low": found.low, "round_tau_high": found.high}
    measured = [network.accuracy for network in each.networks if network.accuracy is not None]
    name = "round_val_accuracy_best" if metric.is_accuracy else f"round_{metric.name}_best"
    metrics[name] = max(measured, key=lambda value: metric.sign * value, default=None)
    return {name: value for name, value in metrics.items() if value is not None}


def network_metrics(record: RunRecord, architecture: str) -> dict[str, float]:
    """Return the test metrics of an architecture by seed, their mean and deviation, and whether it is on the front.

    The values of the first seed have plain names; those of a further seed s end in _seed<s>. In runs with rounds also
    predicted, the validation accuracy (or other metric) that the model expected, with its interval predicted_low and
    predicted_high.
    """
    metrics = dict(_tests_by_seed(record, architecture))
    for name, tested in _tests(record, architecture).items():
        if tested:
            metrics[f"{name}_mean"] = statistics.fmean(tested)
        if len(tested) > 1:
            metrics[f"{name}_std"] = statistics.stdev(tested)
    if record.trained_front and (network := record.trained_front.by_id.get(architecture)):
        metrics["on_trained_front"] = float(network.on_front)
    if each := record.round_of(architecture):
        chosen = each.networks[each.ids.index(architecture)]
        predicted = {"predicted": chosen.predicted, "predicted_low": chosen.low, "predicted_high": chosen.high}
        metrics |= {name: value for name, value in predicted.items() if value is not None}
    return metrics


def seed_suffix(record: RunRecord, seed: int) -> str:
    """Return the end of the names of a seed's metrics: empty for the first seed."""
    return "" if seed == record.experiment.train.seeds[0] else f"_seed{seed}"


def _tests_by_seed(record: RunRecord, architecture: str) -> Iterator[tuple[str, float]]:
    """Yield the results of the tests; those of a training function are in the rows of its epochs."""
    for run in record.runs_of(architecture):
        values = (run.test_accuracy, run.test_loss, run.test_balanced_accuracy)
        for name, value in zip(("test_accuracy", "test_loss", "test_balanced_accuracy"), values, strict=True):
            if value is not None:
                yield name + seed_suffix(record, run.seed), value


def _tests(record: RunRecord, architecture: str) -> dict[str, list[float]]:
    if record.experiment.train.function:
        return {record.experiment.train.compared.name: record.test_accuracies(architecture)}
    balanced = (run.test_balanced_accuracy for run in record.runs_of(architecture))
    return {
        "test_accuracy": record.test_accuracies(architecture),
        "test_balanced_accuracy": [accuracy for accuracy in balanced if accuracy is not None],
    }
