"""Train all parts of a study, on Ray or in this process."""

import torch

from zenfront.pipeline.cluster import session, tuner, workers
from zenfront.pipeline.cluster.watchdog import ClusterWatchdog
from zenfront.pipeline.progress import Backend, View
from zenfront.pipeline.record.copies.backup import storage_of
from zenfront.pipeline.record.copies.checkpoints import CheckpointCopies
from zenfront.pipeline.record.files.ledger import Ledger
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.results.supernet_rows import SupernetStep
from zenfront.pipeline.stages.supernet.driver import SupernetDriver
from zenfront.pipeline.stages.supernet.plan import StudyPlan
from zenfront.pipeline.stages.supernet.runs import SupernetRuns
from zenfront.pipeline.stages.supernet.worker import SupernetTraining, SupernetWorker
from zenfront.pipeline.stages.train.driver import JobCallback, JobScheduler, JobSearcher
from zenfront.pipeline.training.data import Images


def train_supernets(
    plan: StudyPlan, images: Images, folder: RunFolder, view: View, backend: Backend = "ray"
) -> dict[str, list[SupernetStep]]:
    """Train what is left of a study; return the rows of each part by its name.

    Args:
        plan: The study.
        images: Data of its experiment.
        folder: Folder of the study, locked by this process.
        view: Display of the work.
        backend: ``ray``: parts in parallel on the workers of a cluster; ``serial``: one after the other in this
            process, with the same rows.

    Raises:
        UserError: A setting does not fit the architectures or the images; a record cannot be written; the cluster does
            not answer.
        KeyboardInterrupt: Interrupted; the record is complete up to here.
    """
    plan.check(images)
    copies = CheckpointCopies(folder.checkpoints.resolve(), storage_of(plan.experiment, folder))
    training = SupernetTraining(plan, images, copies)
    with Ledger(folder.supernet) as ledger:
        if ledger.rows:
            view.notify(f"supernet: going on after {len(ledger.rows)} evaluations in {folder.supernet}")
        driver = SupernetDriver(SupernetRuns(plan, images, ledger), view)
        if not driver.runs.complete:
            _run_serially(training, driver) if backend == "serial" else _run_on_ray(training, driver)
        return dict(driver.runs.rows)


def _run_serially(training: SupernetTraining, driver: SupernetDriver) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(training.plan.experiment.resources.train.cpus)
    try:
        while part := driver.runs.take():
            driver.show()
            for row in training.rows(part, driver.notify):
                driver.runs.receive(row)
                driver.show()
            driver.runs.release(part.name)
        driver.show()
    finally:
        torch.set_num_threads(before)


def _run_on_ray(training: SupernetTraining, driver: SupernetDriver) -> None:
    experiment = training.plan.experiment
    driver.waiting("Ray")
    with session.cluster(experiment):
        pool = workers.plan_workers(experiment.resources.train, "train", experiment.resources.device)
        if line := workers.missing_gpus(experiment.resources.train, "train"):
            driver.notify(f"supernet: {line}")
        driver.show()
        driver.waiting("the first evaluation: workers start")
        tuner.run_tune(
            SupernetWorker,
            pool=pool,
            searcher=JobSearcher(driver),
            callback=JobCallback(driver),
            stopper=ClusterWatchdog(driver, pool, experiment.cluster.patience, driver.starts),
            scheduler=JobScheduler(driver),
            constants={"training": training, "threads": pool.cpus},
        )
    if driver.error:
        raise driver.error
    if not driver.runs.complete:
        raise KeyboardInterrupt
