"""Stage 1: search a space for a Pareto front, without training."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import count
from pathlib import Path

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.progress import Backend, View
from zenfront.pipeline.record.files.ledger import Ledger, read_values
from zenfront.pipeline.record.pilot import noisy_scores
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.record.score_record import holds, joined, read_scores, row_reader
from zenfront.pipeline.results.stage_rows import Scores
from zenfront.pipeline.stages.search.driver import SearchDriver
from zenfront.pipeline.stages.search.plan import SearchPlan
from zenfront.pipeline.stages.search.predicted import PredictedCosts, predict_costs
from zenfront.pipeline.stages.supernet.score import share_weights
from zenfront.spaces import Architecture


def search(
    experiment: Experiment,
    folder: RunFolder,
    view: View,
    backend: Backend = "ray",
    *,
    retry_failed: bool = False,
) -> None:
    """Score as many architectures as the experiment asks for; go on where an interrupted run ended.

    Args:
        experiment: The experiment.
        folder: Run folder, held by this process.
        view: Shows the progress.
        backend: ``ray``: on the workers of a Ray cluster. ``serial``: in this process, without Ray; the scores and the
            front are the same, but a candidate that crashes the process ends the search.
        retry_failed: First score again what is recorded as failed. The new scores follow in the ledger, where the last
            line of an architecture counts, and the search is replayed with them; generations.jsonl is set aside and
            written anew.

    Raises:
        UserError: No architecture is feasible; the record cannot be written; the cluster does not answer; failures
            are to be scored again, but the training has begun.
        KeyboardInterrupt: The search was interrupted; the record is complete up to here.
    """
    failed = _failures(experiment, folder, view) if retry_failed else 0
    if failed:
        _set_generations_aside(folder, view)
    scored = search_by(
        experiment,
        folder,
        view,
        SearchPlan.of(experiment),
        backend,
        retry_failed=bool(failed),
        ends=folder.grown().evaluations,
    )
    if scored:
        view.notify(f"search: finished already, {scored} architectures in {folder.scores}")
    if experiment.select.rounds > 1 and experiment.select.random_share > 0:
        _draw(experiment, folder, view, backend)


def _draw(experiment: Experiment, folder: RunFolder, view: View, backend: Backend) -> None:
    """Score samples of the space, of which the first round takes some."""
    plan = SearchPlan.random(experiment, read_scores(folder, experiment))
    view.notify("search: sampling the feasible architectures, for the networks that are taken at random")
    search_by(experiment, folder.round(1), view, plan, backend, run=folder)


def search_by(
    experiment: Experiment,
    folder: RunFolder,
    view: View,
    plan: SearchPlan,
    backend: Backend,
    *,
    retry_failed: bool = False,
    ends: Sequence[int] = (),
    run: RunFolder | None = None,
) -> int | None:
    """Search as a plan says, with the scores and generations of a folder as the record.

    Args:
        experiment: The experiment.
        folder: Folder of the ledgers.
        view: Shows the progress.
        plan: Plan of the search.
        backend: Takes the scores.
        retry_failed: As for `search`.
        ends: As for `SearchLoop`.
        run: Folder of the run, which holds the pilot, if not that of the ledgers.

    Returns:
        Number of architectures, if the search was finished already.

    Raises:
        UserError: As `search`.
        KeyboardInterrupt: As `search`.
    """
    whole = run or folder
    predicted = _predicted(experiment, whole, view, backend)
    shared = share_weights(experiment, whole, view, backend)
    with (
        Ledger(folder.scores) as scores,
        Ledger(folder.generations) as generations,
        _pilot(experiment, whole) as pilot,
    ):
        driver = SearchDriver(
            experiment,
            scores,
            generations,
            view,
            plan,
            retry_failed=retry_failed,
            ends=ends,
            pilot=pilot,
            predicted=predicted,
            shared=shared,
            kept=whole.devices,
        )
        if lost := driver.lost:
            view.notify(f"search: {folder.scores} lacks {lost} architectures that were scored; they are scored again")
        if driver.loop.done:
            return driver.statistics.evaluations
        if driver.found:
            view.notify(f"search: going on after {driver.found} architectures in {folder.scores}")
        _run(backend)(driver)
        if driver.loop.exhausted and not plan.patient:
            view.notify(f"search: the space is exhausted after {driver.statistics.evaluations} architectures")
        return None


def score_given(
    experiment: Experiment,
    folder: RunFolder,
    view: View,
    given: Sequence[Architecture],
    backend: Backend = "ray",
    *,
    retry_failed: bool = False,
    describe: bool = False,
    kept: Path | None = None,
) -> list[Scores]:
    """Score these architectures instead of searching; go on where an interrupted run ended.

    Args:
        experiment: The experiment.
        folder: Folder of the ledgers.
        view: Display of the work.
        given: The architectures.
        backend: Where scores are taken.
        retry_failed: Score again what is recorded as failed.
        describe: Count the graphs of the networks.
        kept: Folder of the values that are measured on devices, if not that of the ledgers.

    Returns:
        Their scores, in their order; a score that is undefined leaves the others as they are.

    Raises:
        UserError: The record cannot be written; the cluster does not answer.
        KeyboardInterrupt: The run was interrupted; the record is complete up to here.
    """
    for names, architectures in _missing(experiment, folder, given, retry_failed).items():
        wanted = tuple(each for each in experiment.objectives if each.score in names)
        part = experiment.model_copy(update={"objectives": wanted})
        plan = SearchPlan.given(part, architectures, describe=describe)
        predicted = _predicted(part, folder, view, backend)
        shared = share_weights(part, folder, view, backend)
        with (
            Ledger(folder.scores) as scores,
            Ledger(folder.generations) as generations,
            _pilot(part, folder) as pilot,
        ):
            kept = folder.devices if kept is None else kept
            driver = SearchDriver(
                part,
                scores,
                generations,
                view,
                plan,
                retry_failed=retry_failed,
                pilot=pilot,
                predicted=predicted,
                shared=shared,
                kept=kept,
                pilot_of=given,
            )
            if not driver.loop.done:
                _run(backend)(driver)
    known = {found.architecture.id: found for found in _scores_given(experiment, folder)}
    return [known[architecture.id] for architecture in given]


def _predicted(experiment: Experiment, folder: RunFolder, view: View, backend: Backend) -> PredictedCosts | None:
    """Return models of the costs that the experiment does not measure on every architecture."""

    def score(part: Experiment, place: RunFolder, asked: Sequence[Architecture], retry: bool) -> list[Scores]:
        return score_given(part, place, view, asked, backend, retry_failed=retry, describe=True, kept=folder.devices)

    return predict_costs(experiment, folder, view, score)


def _scores_given(experiment: Experiment, folder: RunFolder) -> list[Scores]:
    return joined(read_values(folder.scores, row_reader(experiment, partial=True)))


def _missing(
    experiment: Experiment, folder: RunFolder, given: Sequence[Architecture], retry_failed: bool
) -> dict[tuple[str, ...], list[Architecture]]:
    """Return the architectures by the scores that they lack; the first objective is always taken, as it may be free."""
    first, *_ = names = experiment.score_names()
    known = {found.architecture.id: found for found in _scores_given(experiment, folder)}
    groups: dict[tuple[str, ...], list[Architecture]] = {}
    for architecture in given:
        found = known.get(architecture.id)
        again = found is None or (retry_failed and found.failure)
        lacking = [name for name in names if again or found is None or not holds(found, [name])]
        if lacking:
            groups.setdefault(tuple(dict.fromkeys([first, *lacking])), []).append(architecture)
    return groups


def _failures(experiment: Experiment, folder: RunFolder, view: View) -> int:
    """Return the number of architectures that are recorded as failed."""
    if folder.epochs.exists():
        raise UserError(
            f"--retry-failed: {folder.epochs} shows that the training has begun, and other scores could change what is "
            "selected for it. Search under another name (--set name=...)."
        )
    failed = sum(scores.failure is not None for scores in read_scores(folder, experiment))
    view.notify(
        f"search: {failed} architectures are recorded as failed" + ("; they are scored again" if failed else "")
    )
    return failed


def _set_generations_aside(folder: RunFolder, view: View) -> None:
    """Rename generations.jsonl, which tells what the search has done with the failures."""
    if folder.generations.exists():
        free = (folder.path / f"generations.before-retry-{number}.jsonl" for number in count(1))
        aside = next(path for path in free if not path.exists())
        folder.generations.rename(aside)
        view.notify(f"search: the generations so far are kept in {aside}")


def _pilot(experiment: Experiment, folder: RunFolder) -> AbstractContextManager[Ledger | None]:
    """Return the ledger of the pilot, if the experiment needs one."""
    wanted = experiment.search.repeats == "auto" and noisy_scores(experiment)
    return Ledger(folder.pilot) if wanted else nullcontext()


def _run(backend: Backend) -> Callable[[SearchDriver], None]:
    """Return the function that takes the scores; Ray is imported only where it is used."""
    if backend == "serial":
        from zenfront.pipeline.stages.search import serial

        return serial.run
    from zenfront.pipeline.stages.search import on_ray

    return on_ray.run
