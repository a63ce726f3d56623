"""The files of a run as its stages read them: each is compared with the experiment and with the files before it."""

from collections.abc import Callable, Sequence

from zenfront import spaces
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.experiment.train_config import Train
from zenfront.pipeline.record.files.json_file import read_document
from zenfront.pipeline.record.files.ledger import read_values
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.record.score_record import check_genes
from zenfront.pipeline.record.training_result import baseline_costs
from zenfront.pipeline.results.baselines import Baselines
from zenfront.pipeline.results.front import Front
from zenfront.pipeline.results.stage_rows import Epoch, Generation, Trained, TrainedRun, trial_name
from zenfront.pipeline.results.trained_networks import TrainedFront
from zenfront.pipeline.user_code import is_allowed


def read_generations(folder: RunFolder, experiment: Experiment) -> list[Generation]:
    """Return the generations of a search.

    Raises:
        UserError: A line is damaged, or does not follow the one before in a search of this experiment.
    """
    return read_values(folder.generations, generation_reader(experiment))


def generation_reader(experiment: Experiment) -> Callable[[object], Generation]:
    """Return a function that reads the rows of one generations.jsonl, from the first to the last."""
    names = {objective.score for objective in experiment.objectives}
    before: list[Generation] = []

    def read(row: object) -> Generation:
        found = Generation.from_row(row)
        _require("generation", found.generation, len(before))
        if before and found.evaluations < before[-1].evaluations:
            raise ValueError(f"evaluations: {before[-1].evaluations} or more are expected, but got {found.evaluations}")
        if not set(found.best) <= names:
            raise ValueError(f"best: must name objectives ({', '.join(sorted(names))}), but got {list(found.best)}")
        before.append(found)
        return found

    return read


def read_front(folder: RunFolder, experiment: Experiment) -> Front | None:
    """Return the content of front.json; None before the selection.

    Raises:
        UserError: The file is damaged, or is not of this experiment.
    """

    def read(row: object) -> Front:
        front = Front.from_row(row)
        _check_front(front, experiment)
        return front

    return read_document(folder.front, read)


def _check_front(front: Front, experiment: Experiment) -> None:
    _require("space", front.space, experiment.space)
    _require("objectives", front.objectives, experiment.objectives)
    _require("constraints", front.constraints, experiment.constraints)
    _require("box: its number of losses", len(front.box.ideal), len(experiment.objectives))
    everything = front.networks
    for what, ids in (("front", [member.id for member in everything]), ("selected", front.selected)):
        if len(set(ids)) < len(ids):
            raise ValueError(f"{what}: an architecture is listed more than once")
    # without the space, which may be code that was not allowed, a front can be read, and its genes are not checked
    space = spaces.load(experiment.space, experiment.code) if is_allowed(experiment.own_code()) else None
    for member in everything:
        if space:
            check_genes(member.architecture, space)
        for objective in experiment.objectives:
            if objective.score not in member.values:
                raise ValueError(f"front: the value of {objective.score} is missing for {member.id}")


def epoch_reader(train: Train) -> Callable[[object], Epoch]:
    """Return a function that reads the rows of one epochs.jsonl, from the first to the last.

    An epoch that is recorded a second time is accepted.
    """
    last: dict[str, int] = {}

    def read(row: object) -> Epoch:
        epoch = Epoch.from_row(row)
        following = last.get(epoch.trial, 0) + 1
        if epoch.epoch > following or epoch.epoch > train.epochs:
            highest = min(following, train.epochs)
            raise ValueError(f"epoch: at most {highest} is expected of {epoch.trial}, but got {epoch.epoch}")
        if not epoch.failure and train.recorded not in epoch.metrics:
            raise ValueError(f"metrics: {train.recorded} is missing")
        last[epoch.trial] = max(epoch.epoch, following - 1)
        return epoch

    return read


def read_trained(folder: RunFolder, experiment: Experiment, front: Front | None) -> Trained | None:
    """Return the content of trained.json; None before the end of the training stage.

    Args:
        folder: Folder of the run.
        experiment: Its experiment.
        front: The front of its search; None if other architectures were trained.

    Raises:
        UserError: The file is damaged, or is not of this experiment or of this front.
    """

    def read(row: object) -> Trained:
        trained = Trained.from_row(row)
        _check_runs(trained.trials, experiment, front)
        if trained.front:
            _check_trained_front(trained.front, trained.trials)
        return trained

    return read_document(folder.trained, read)


def read_outcomes(folder: RunFolder, experiment: Experiment) -> list[TrainedRun]:
    """Return the outcomes in trained.json, whatever was trained; none without the file.

    Raises:
        UserError: The file is damaged, or is not of this experiment.
    """
    trained = read_trained(folder, experiment, None)
    return trained.trials if trained else []


def read_baselines(folder: RunFolder, experiment: Experiment) -> Baselines:
    """Return the content of baselines.json; none without the file.

    Raises:
        UserError: The file is damaged, or is not of this experiment.
    """

    def read(row: object) -> Baselines:
        known = Baselines.from_row(row)
        _check_baselines(known, experiment)
        return known

    return read_document(folder.baselines, read) or Baselines()


def _check_baselines(known: Baselines, experiment: Experiment) -> None:
    ids = [each.member.id for each in known.networks]
    if len(set(ids)) < len(ids):
        raise ValueError("networks: an architecture is listed more than once")
    for each in known.networks:
        if missing := [name for name in baseline_costs(experiment) if name not in each.member.values]:
            raise ValueError(f"networks: the value of {missing[0]} is missing for {each.name}")
    _check_runs(known.trials, experiment, None)
    if strangers := [run.trial for run in known.trials if run.architecture not in ids]:
        raise ValueError(f"trials: {strangers[0]!r} is of none of the networks")


def _check_runs(runs: Sequence[TrainedRun], experiment: Experiment, front: Front | None) -> None:
    names = [run.trial for run in runs]
    if len(set(names)) < len(names):
        raise ValueError("trials: a run is listed more than once")
    for run in runs:
        if run.seed not in experiment.train.seeds:
            raise ValueError(f"trials: seed must be one of {list(experiment.train.seeds)}, but got {run.seed}")
        _require("trials: trial", run.trial, trial_name(run.architecture, run.seed))
        if front and run.architecture not in front.selected:
            raise ValueError(f"trials: front.json does not select {run.architecture!r}")


def _check_trained_front(front: TrainedFront, runs: Sequence[TrainedRun]) -> None:
    trained = {run.architecture for run in runs}
    for network in front.networks:
        if network.architecture not in trained:
            raise ValueError(f"front: {network.architecture!r} is not among the trials")
        _require(f"front: the costs of {network.architecture}", tuple(network.costs), front.costs)
        if network.status == "finished" and network.accuracy is None:
            raise ValueError(f"front: {network.architecture} is finished and has no accuracy")
        for other in (*network.dominated_by, *network.indistinguishable):
            if other not in front.by_id:
                raise ValueError(f"front: {other!r} is not among the networks")


def _require(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise ValueError(f"{what} must be {_shown(expected)}, but got {_shown(found)}")


def _shown(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, tuple) else repr(value)
    return text if len(text) <= 200 else f"{text[:197]}..."
