"""Stage 3: train the selected architectures, and test each finished run once."""

from collections.abc import Sequence
from dataclasses import replace

from zenfront.pipeline.cluster import session, tuner, workers
from zenfront.pipeline.cluster.peers import InStore
from zenfront.pipeline.cluster.watchdog import ClusterWatchdog
from zenfront.pipeline.distillation.teachers import open_teacher
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.progress import View
from zenfront.pipeline.record.commands import command
from zenfront.pipeline.record.copies.backup import storage_of
from zenfront.pipeline.record.files.json_file import write_json
from zenfront.pipeline.record.files.ledger import Ledger, read_values
from zenfront.pipeline.record.round_outcomes import with_outcomes
from zenfront.pipeline.record.run_documents import epoch_reader, read_baselines, read_front, read_outcomes
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.record.teacher_file import keep_teacher
from zenfront.pipeline.record.training_result import (
    DataFacts,
    compared_costs,
    costs_of,
    covers,
    covers_baselines,
    find_trained_front,
)
from zenfront.pipeline.results.baselines import Baselines
from zenfront.pipeline.results.front import Front
from zenfront.pipeline.results.stage_rows import TrainedRun
from zenfront.pipeline.stages.train.baselines import find_baselines
from zenfront.pipeline.stages.train.driver import JobCallback, JobScheduler, JobSearcher, TrainingDriver
from zenfront.pipeline.stages.train.runs import TrainingRuns
from zenfront.pipeline.stages.train.training import RecipeTraining, Training
from zenfront.pipeline.stages.train.worker import TrainingWorker
from zenfront.pipeline.training import data
from zenfront.pipeline.training.classes import chance_level, describe_classes, images_behind
from zenfront.pipeline.training.function import TrainingFunction
from zenfront.spaces import Architecture


def train(experiment: Experiment, folder: RunFolder, view: View) -> None:
    """Train the selected architectures under the scheduler; resume an interrupted run.

    Raises:
        UserError: Nothing is selected; the data are missing; a record cannot be written; the cluster does not
            answer; no worker could train anything.
        KeyboardInterrupt: Interrupted; the record is complete up to here.
    """
    front = selected_front(folder, experiment)
    if covers(read_outcomes(folder, experiment), front.selected, experiment.train.seeds) and covers_baselines(
        experiment, read_baselines(folder, experiment), front.selected
    ):
        view.notify(f"training: finished already, see {folder.trained}")
        return
    train_selected(experiment, folder, view, front)


def selected_front(folder: RunFolder, experiment: Experiment) -> Front:
    """Return the content of front.json.

    Raises:
        UserError: Nothing is selected.
    """
    front = read_front(folder, experiment)
    if front is None:
        raise UserError(
            f"{folder.front} is missing: nothing is selected yet. Run {command('select', folder.path)} first."
        )
    return front


def train_selected(
    experiment: Experiment, folder: RunFolder, view: View, front: Front, more: bool = False
) -> list[TrainedRun]:
    """Train the selected networks of a front as `train_given` does; begin anew if all runs have failed before."""
    if folder.computed().failed:
        view.notify(f"training: no run completed an epoch; beginning anew, see {folder.set_training_aside()}")
    return train_given(experiment, folder, view, [member.architecture for member in front.chosen], front, more)


def train_given(
    experiment: Experiment,
    folder: RunFolder,
    view: View,
    selected: Sequence[Architecture],
    front: Front | None = None,
    more: bool = False,
) -> list[TrainedRun]:
    """Train these architectures, whatever was selected, and test those that finish; return an outcome per run.

    Args:
        experiment: The experiment.
        folder: Folder of the run.
        view: Display of the work.
        selected: Architectures to train.
        front: Front with their costs and rounds; None: runs are compared by the metric alone, and no trained front is
            found.
        more: More rounds are to come: train the first seed alone, and leave trained.json to the last round.

    Raises:
        UserError: As `train`.
        KeyboardInterrupt: Interrupted; the record is complete up to here.
    """
    settings = experiment.train
    images = _images(experiment, view)
    costs = costs_of(front.chosen, compared_costs(experiment)) if front and compared_costs(experiment) else {}
    behind = images_behind(images.validation, settings.compared.name) if images else None
    with Ledger(folder.epochs) as ledger:
        if ledger.rows:
            view.notify(f"training: going on after {len(ledger.rows)} epochs in {folder.epochs}")
        selected, rounds = _by_round(selected, front, folder)
        known = _baselines(experiment, folder, view, selected) if front and not more else Baselines()
        others = [baseline.member.architecture for baseline in known.networks]
        counted = None if behind is None else round(behind)
        runs = TrainingRuns(selected, settings, experiment.search.seed, ledger, costs, counted, rounds, more, others)
        runs.take_over([*read_outcomes(folder, experiment), *known.trials])
        if not runs.complete:
            view.waiting("Ray")
            with session.cluster(experiment):
                _run(experiment, folder, _method(experiment, folder, images), TrainingDriver(runs, view))
        require_one_trained(runs)
        trained = runs.outcomes()
        if front and not more:
            chance = chance_level(images, settings.compared.name) if images else None
            facts = DataFacts(chance, behind, runs.test_images) if chance is not None else None
            trained = replace(trained, front=find_trained_front(experiment, front, trained.trials, facts))
        if known.networks:
            write_json(folder.baselines, known.with_outcomes(runs.baseline_outcomes()).to_row())
    if not more:
        rounds_told = (
            with_outcomes(experiment, front, read_values(folder.epochs, epoch_reader(settings))) if front else ()
        )
        write_json(folder.trained, replace(trained, rounds=rounds_told).to_row())
    return trained.trials


def _images(experiment: Experiment, view: View) -> data.Images | None:
    """Return the images, and describe their classes; None if a training function loads its own."""
    settings = experiment.train
    if settings.function:
        return None
    images = data.load(settings.data, experiment.task, experiment.search.seed)
    for line in describe_classes(images, settings.compared.name):
        view.notify(line)
    return images


def _method(experiment: Experiment, folder: RunFolder, images: data.Images | None) -> RecipeTraining | TrainingFunction:
    settings, code = experiment.train, experiment.train_code
    if images:
        teacher = open_teacher(experiment, folder.path.parent, images.names)
        if teacher and settings.distillation:
            keep_teacher(folder, settings.distillation.teacher, teacher.digest)
        return RecipeTraining(images, settings.recipe, settings.compared.name, teacher)
    assert code
    scores = experiment.score_names()
    taken = frozenset([*scores, *(f"{name}_error" for name in scores)])
    return TrainingFunction(code, settings.compared, settings.options, taken)


def _by_round(
    selected: Sequence[Architecture], front: Front | None, folder: RunFolder
) -> tuple[list[Architecture], list[int]]:
    """Return the architectures in the order of their rounds, and the number of each round; without rounds no number.

    Networks that are selected after others were trained, because more are to be selected, are a round of their own.
    """
    if front and front.rounds:
        return list(selected), [len(each.networks) for each in front.rounds]
    by_id = {architecture.id: architecture for architecture in selected}
    groups = [[by_id.pop(name) for name in group if name in by_id] for group in folder.grown().selected]
    groups = [group for group in [*groups, list(by_id.values())] if group]
    return [each for group in groups for each in group], [len(group) for group in groups] if len(groups) > 1 else []


def _baselines(experiment: Experiment, folder: RunFolder, view: View, selected: Sequence[Architecture]) -> Baselines:
    if not experiment.train.baselines:
        return Baselines()
    ids = {architecture.id for architecture in selected}
    known = find_baselines(experiment, folder, view, ids)
    for baseline in known.networks:
        if baseline.member.id in ids:
            view.notify(f"train.baselines: {baseline.name} is among the selected networks, and trained as one of them")
    return known


def _run(
    experiment: Experiment, folder: RunFolder, method: RecipeTraining | TrainingFunction, driver: TrainingDriver
) -> None:
    resources, settings = experiment.resources, experiment.train
    devices = resources.train.devices
    pool = workers.plan_workers(resources.train, "train", resources.device, processes=devices)
    if line := workers.missing_gpus(resources.train, "train"):
        driver.notify(f"training: {line}")
    training = Training(
        task=experiment.task,
        method=method,
        epochs=settings.epochs,
        device=resources.device,
        checkpoints=folder.checkpoints.resolve(),
        storage=storage_of(experiment, folder),
        seconds=settings.time_limit,
        code=experiment.code,
    )
    driver.show()
    driver.waiting("the first epoch: workers start")
    tuner.run_tune(
        TrainingWorker,
        pool=pool,
        searcher=JobSearcher(driver),
        callback=JobCallback(driver),
        stopper=ClusterWatchdog(driver, pool, experiment.cluster.patience, driver.starts),
        scheduler=JobScheduler(driver),
        constants={
            "training": InStore.put(training) if devices > 1 else training,
            "threads": pool.cpus,
            "devices": devices,
        },
    )
    if driver.error:
        raise driver.error
    if not driver.runs.complete:
        raise KeyboardInterrupt


def require_one_trained(runs: TrainingRuns) -> None:
    """Require that a training run did not fail.

    Raises:
        UserError: All runs failed.
    """
    progress = [runs.progress(trial.name) for trial in runs.wanted()]
    if progress and all(one.state == "failed" for one in progress):
        raise UserError(
            f"no worker could train anything; {progress[0].trial}: {progress[0].reason}. "
            "Put that right and run the same command again: training begins anew."
        )
