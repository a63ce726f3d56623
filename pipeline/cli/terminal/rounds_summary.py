"""Summary of the rounds of a run: what each chose and predicted, what came out, and what is expected to be left."""

from collections.abc import Iterator

from zenfront.pipeline.cli.terminal.console import print_lines, print_table
from zenfront.pipeline.record.run_record import RunRecord
from zenfront.pipeline.results.metric import Metric
from zenfront.pipeline.results.rounds import Round


def show_rounds(record: RunRecord) -> None:
    """Print the networks of all rounds with prediction and outcome, and a line about each round; nothing without."""
    if not record.rounds:
        return
    metric = record.experiment.train.compared
    print_table(
        f"Rounds: {len(record.rounds)}, {sum(len(each.networks) for each in record.rounds)} networks",
        ["round", "id", "chosen by", "predicted", "measured", "after epoch"],
        [
            [each.number, n.architecture, n.by, n.prediction(metric), metric.shown(n.accuracy), n.epochs]
            for each in record.rounds
            for n in each.networks
        ],
    )
    print_lines([("", ""), *(line for each in record.rounds for line in _lines(each, metric)), ("", "")])


def _lines(each: Round, metric: Metric) -> Iterator[tuple[str, str]]:
    """Yield the beginning and the rest of the line of a round."""
    parts = [str(each)]
    if each.agreement:
        parts.append(f"predicted against measured {each.agreement}")
    if each.regret is not None:
        parts.append(f"expected regret left {each.expected_regret(metric)} of {metric.words}")
    yield f"round {each.number}: ", "; ".join(parts)
