"""Make what is exported from a network of a run."""

from collections.abc import Iterator, Mapping
from typing import Any

from zenfront import spaces
from zenfront.pipeline import proxies
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.export.choice import chosen
from zenfront.pipeline.export.stored_weights import StoredWeights, final_run, stored_weights
from zenfront.pipeline.export.subject import Facts, Preprocessing, Subject, fresh_network
from zenfront.pipeline.record.data_file import read_overview
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.record.run_record import RunRecord
from zenfront.pipeline.results.front import Member
from zenfront.pipeline.results.trained_networks import TrainedNetwork
from zenfront.pipeline.training import checkpoint
from zenfront.pipeline.user_code import require_allowed
from zenfront.pipeline.wording import number


def run_subject(
    folder: RunFolder,
    asked: str | None = None,
    *,
    seed: int | None = None,
    at_rung: int | None = None,
    untrained: bool = False,
) -> Subject:
    """Return a network of a run, with the weights that were tested.

    Args:
        folder: Folder of the run.
        asked: Which network, as in `choice.chosen`; None: the knee of the trained front.
        seed: Seed of the training run; None: that with the best validation metric. With `untrained`, the seed of the
            fresh weights, 0 if None.
        at_rung: Take the weights after that number of epochs, of a network that was stopped there.
        untrained: Take fresh weights.

    Raises:
        UserError: There is no such network, or it has no such weights; the code of the experiment is not allowed.
    """
    record = RunRecord.read(folder)
    experiment = record.experiment
    require_allowed(experiment.own_code())
    member = chosen(record, asked)
    facts, weights = _facts(record, member), None
    space = spaces.load(member.architecture.space, experiment.code)
    if untrained:
        network = fresh_network(space, member.architecture, experiment.task, seed or 0)
        facts = Facts(**vars(facts) | {"seed": seed or 0})
    else:
        weights, outcome = _weights(record, member, seed, at_rung)
        network = weights.load_into(space.network(member.architecture, experiment.task))
        facts = Facts(**vars(facts) | outcome)
    overview = read_overview(folder)
    return Subject(
        network=network,
        architecture=member.architecture,
        notation=member.notation,
        task=experiment.task,
        preprocessing=_preprocessing(experiment, weights.identity if weights else _any_identity(folder)),
        classes=overview.classes if overview else (),
        facts=facts,
        trained=not untrained,
    )


def _weights(
    record: RunRecord, member: Member, seed: int | None, at_rung: int | None
) -> tuple[StoredWeights, dict[str, Any]]:
    """Return the weights and the facts that belong to them."""
    metric = record.experiment.train.compared.name
    if at_rung is not None:
        weights = stored_weights(record, member, record.experiment.train.seeds[0] if seed is None else seed, at_rung)
        test = None
    else:
        run = final_run(record, member, seed)
        weights, test = stored_weights(record, member, run.seed, run.epochs), run.test(metric)
    validation = weights.metrics.get(record.experiment.train.recorded)
    return weights, {"seed": weights.seed, "epochs": weights.epochs, "validation": validation, "test": test}


def _facts(record: RunRecord, member: Member) -> Facts:
    """Return what the run knows of an architecture, whatever its weights are."""
    experiment, front = record.experiment, record.trained_front
    outcome = _outcome(record, member)
    tested = outcome if outcome and outcome.status == "finished" else None
    own = experiment.own_code()
    return Facts(
        run=experiment.name,
        folder=record.folder.path,
        found=tuple(_found(record, member)),
        scores=member.values,
        errors=member.errors,
        units={name: proxies.load(name, own).unit for name in member.values if name in proxies.names(own)},
        metric=experiment.train.compared,
        accuracy=tested.accuracy if tested else None,
        error=tested.error if tested else None,
        seeds=tested.seeds if tested else 0,
        picks={pick.name: pick.reason for pick in front.picks_of(member.id)} if front else {},
    )


def _outcome(record: RunRecord, member: Member) -> TrainedNetwork | None:
    found = record.trained_front.by_id.get(member.id) if record.trained_front else None
    return found or next((b.network for b in record.trained_baselines if b.network.architecture == member.id), None)


def _found(record: RunRecord, member: Member) -> Iterator[str]:
    experiment, front = record.experiment, record.front
    train = experiment.train
    if baseline := next((each for each in record.baselines.networks if each.member.id == member.id), None):
        yield f"A known network ({baseline.name}), trained beside the networks that the search found."
    elif front and member.values:
        wanted = ", ".join(f"{each.direction} {each.score}" for each in experiment.objectives)
        yield (
            f"Scored by {experiment.search.algorithm} in the search space {experiment.space} ({wanted}), as one of "
            f"{number(front.evaluations)} architectures, without training."
        )
    if front and member.id in front.selected:
        yield f"Selected as one of {len(front.selected)} for a training of at most {number(train.epochs)} epochs."


def _preprocessing(experiment: Experiment, identity: Mapping[str, Any] | None) -> Preprocessing:
    task, data = experiment.task, experiment.train.data
    moments = identity.get("images", {}) if identity else {}  # a training function has its own images
    return Preprocessing(
        channels=task.channels,
        height=task.height,
        width=task.width,
        mean=tuple(moments["mean"]) if moments else None,
        std=tuple(moments["std"]) if moments else None,
        resize=data.resize,
        rules=data.rules,
    )


def _any_identity(folder: RunFolder) -> Mapping[str, Any] | None:
    """Return what any training run of the folder depended on, which has the moments of the data; None without one."""
    for path in sorted(folder.checkpoints.glob("*/*.pt")):
        try:
            stored = checkpoint.read(path)
        except UserError:  # what is damaged is not needed here
            continue
        if stored:
            return dict(stored["identity"])
    return None
