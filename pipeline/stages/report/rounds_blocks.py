"""Rounds on the page of a run: what each chose, what was predicted, what came out, and what is expected to be left."""

from collections.abc import Mapping

from zenfront.pipeline.plots import html
from zenfront.pipeline.record.run_record import RunRecord
from zenfront.pipeline.results.metric import Metric
from zenfront.pipeline.results.rounds import Round, RoundNetwork

READING = (
    "A model of the {metric} is fitted on what earlier rounds have trained. Predicted: its median after the "
    "whole training, with the interval of 95 %, before the network was trained. τ is the rank correlation of "
    "prediction and outcome on the networks of the round, with the interval of 95 %, after the last epoch that all of "
    "them have reached. Expected regret left: what the best values at most at each cost would gain on average if "
    "all known architectures were trained, as the model expected before the round. A model whose τ on the newest "
    "networks is not above 0 does not choose."
)


def rounds_blocks(record: RunRecord) -> list[html.Block]:
    """Return the blocks about the rounds of a run; none without rounds."""
    if not record.rounds:
        return []
    notations = {member.id: member.notation for member in record.shown}
    metric = record.experiment.train.compared
    rows = [_network_row(each, network, notations, metric) for each in record.rounds for network in each.networks]
    return [
        html.heading("Rounds"),
        html.table(
            ("round", "chosen", "expected regret left", "τ, predicted against measured"),
            [_round_row(each, metric) for each in record.rounds],
        ),
        html.paragraph(READING.format(metric=metric.validated), soft=True),
        html.table(
            ("architecture", "round", "by", "predicted", "measured", "after epoch", "genes"), rows, identified=True
        ),
    ]


def _round_row(each: Round, metric: Metric) -> tuple[object, ...]:
    return (each.number, str(each), each.expected_regret(metric), str(each.agreement or "-"))


def _network_row(
    each: Round, network: RoundNetwork, notations: Mapping[str, str], metric: Metric
) -> tuple[object, ...]:
    return (
        network.architecture,
        each.number,
        network.by,
        network.prediction(metric),
        metric.shown(network.accuracy),
        network.epochs,
        notations[network.architecture],
    )
