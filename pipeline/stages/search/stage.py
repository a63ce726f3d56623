"""Stage 1: search a space for a Pareto front, without training."""

from collections.abc import Callable, Sequence

from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.progress import Backend, View
from zenfront.pipeline.record.ledger import Ledger, read_values
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.results.stage_rows import Scores
from zenfront.pipeline.stages.search.driver import SearchDriver
from zenfront.spaces import Architecture


def search(experiment: Experiment, folder: RunFolder, view: View, backend: Backend = "ray") -> None:
    """Score as many architectures as the experiment asks for; go on where an interrupted run ended.

    Args:
        experiment: The experiment.
        folder: Run folder, held by this process.
        view: Shows the progress.
        backend: ``ray``: on the workers of a Ray cluster. ``serial``: in this process, without Ray; the scores and the
            front are the same, but a candidate that crashes the process ends the search.

    Raises:
        UserError: No architecture is feasible; the record cannot be written; the cluster does not answer.
        KeyboardInterrupt: The search was interrupted; the record is complete up to here.
    """
    with Ledger(folder.scores) as scores, Ledger(folder.generations) as generations:
        driver = SearchDriver(experiment, scores, generations, view)
        if driver.loop.done:
            view.notify(f"search: finished already, {driver.statistics.evaluations} architectures in {folder.scores}")
            return
        if driver.found:
            view.notify(f"search: going on after {driver.found} architectures in {folder.scores}")
        _run(backend)(driver)
        if driver.loop.exhausted:
            view.notify(f"search: the space is exhausted after {driver.statistics.evaluations} architectures")


def score_given(
    experiment: Experiment,
    folder: RunFolder,
    view: View,
    given: Sequence[Architecture],
    backend: Backend = "ray",
) -> list[Scores]:
    """Score these architectures instead of searching; go on where an interrupted run ended.

    Returns:
        Their scores, in their order; a score that is undefined leaves the others as they are.

    Raises:
        UserError: The record cannot be written; the cluster does not answer.
        KeyboardInterrupt: The run was interrupted; the record is complete up to here.
    """
    with Ledger(folder.scores) as scores, Ledger(folder.generations) as generations:
        driver = SearchDriver(experiment, scores, generations, view, given)
        if not driver.loop.done:
            _run(backend)(driver)
    known = {found.architecture.id: found for found in read_values(scores.path, Scores.from_row)}
    return [known[architecture.id] for architecture in given]


def _run(backend: Backend) -> Callable[[SearchDriver], None]:
    """Return the function that takes the scores; Ray is imported only where it is used."""
    if backend == "serial":
        from zenfront.pipeline.stages.search import serial

        return serial.run
    from zenfront.pipeline.stages.search import on_ray

    return on_ray.run
