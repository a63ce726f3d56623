"""Training in rounds: train what is chosen, learn from it, search again, choose the next, until all rounds are done."""

from contextlib import nullcontext

from zenfront.pipeline.cluster import session
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.progress import Backend, View
from zenfront.pipeline.record.files.json_file import write_json
from zenfront.pipeline.record.files.ledger import read_values
from zenfront.pipeline.record.round_outcomes import curves_of, with_outcomes
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.record.score_record import read_scores, row_reader
from zenfront.pipeline.results.front import Front
from zenfront.pipeline.results.rounds import Round
from zenfront.pipeline.results.stage_rows import Epoch, Scores
from zenfront.pipeline.stages.rounds.choice import Known, by_model, by_rule
from zenfront.pipeline.stages.rounds.first_round import feasible, member_of
from zenfront.pipeline.stages.rounds.learning import Learned, learn
from zenfront.pipeline.stages.rounds.search_again import search_again
from zenfront.pipeline.stages.train.stage import selected_front, train, train_selected


def train_in_rounds(experiment: Experiment, folder: RunFolder, view: View, backend: Backend = "ray") -> None:
    """Train the networks of all rounds, the first of which is selected; resume an interrupted run.

    A round begins when the runs of the first seed of all rounds before it are over. Its choice is a function of the
    scores, the epochs and the seed; it is written to front.json before anything of it is trained. Further seeds and
    tests come after the last round.

    Args:
        experiment: The experiment.
        folder: Folder of the run.
        view: Display of the work.
        backend: Takes the scores in the searches of the rounds.

    Raises:
        UserError: As `train`; a search cannot go on.
        KeyboardInterrupt: Interrupted; the record is complete up to here.
    """
    front = selected_front(folder, experiment)
    left = range(max(1, len(front.rounds)) + 1, experiment.select.rounds + 1)
    with session.cluster(experiment) if left else nullcontext():  # one session for all rounds
        for _ in left:
            front = _next_round(experiment, folder, view, backend, front)
        train(experiment, folder, view)


def _next_round(experiment: Experiment, folder: RunFolder, view: View, backend: Backend, front: Front) -> Front:
    """Train the rounds of the front, and add the next one to front.json; return it."""
    train_selected(experiment, folder, view, front, more=True)
    number = len(front.rounds) + 1
    epochs = read_values(folder.epochs, Epoch.from_row)
    told = with_outcomes(experiment, front, epochs)
    scored = read_scored(experiment, folder, number - 1)
    archive = feasible(scored, experiment)
    learned = learn(experiment, archive, curves_of(experiment, front, epochs))
    reason = _obstacle(learned, told[-1])
    if learned and not reason:
        archive = feasible([*scored, *search_again(learned, folder, view, backend, number, scored)], experiment)
    drawn = feasible(read_values(folder.round(1).scores, row_reader(experiment)), experiment)
    known = Known(experiment, number, frozenset(front.selected), archive, drawn)
    chosen = by_model(known, learned) if learned and not reason else by_rule(known, learned, reason)
    by_id = {scores.architecture.id: scores for scores in archive}
    front = front.with_round(chosen, [member_of(by_id[name], experiment) for name in chosen.ids])
    write_json(folder.front, front.to_row())
    if agreement := told[-1].agreement:
        view.notify(f"round {number - 1}: predicted against measured {agreement}")
    left = chosen.expected_regret(experiment.train.compared)
    view.notify(f"round {number} of {experiment.select.rounds}: {chosen}; expected regret left: {left}")
    return front


def read_scored(experiment: Experiment, folder: RunFolder, rounds: int) -> list[Scores]:
    """Return all architectures that were scored by the search and for the given number of rounds, each once.

    The scores of an architecture are the same in all of them; `learned`, which only those of a round have, is not.
    """
    found = {scores.architecture.id: scores for scores in read_scores(folder, experiment)}
    for number in range(1, rounds + 1):
        for scores in read_values(folder.round(number).scores, row_reader(experiment)):
            found.setdefault(scores.architecture.id, scores)
    return list(found.values())


def _obstacle(learned: Learned | None, last: Round) -> str:
    """Return why no model is to choose; empty if one is."""
    if learned is None:
        return "too few networks have an accuracy that a model could learn from"
    if last.judged and not last.judged.predicts:
        return f"the model does not predict what it has not seen: {last.judged}"
    return ""
