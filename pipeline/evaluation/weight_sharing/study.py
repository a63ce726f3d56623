"""A study of weight sharing from its plan to everything that its report shows."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.evaluation.weight_sharing.beside import Beside, score_beside
from zenfront.pipeline.evaluation.weight_sharing.ground_truth import GroundTruth
from zenfront.pipeline.evaluation.weight_sharing.instances import assemble
from zenfront.pipeline.evaluation.weight_sharing.measures import limits, measure_arm, measure_bias
from zenfront.pipeline.evaluation.weight_sharing.report import Study
from zenfront.pipeline.progress import Backend, View
from zenfront.pipeline.record.files.ledger import read_values
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.results.supernet_rows import SupernetStep
from zenfront.pipeline.stages.supernet.plan import StudyPlan
from zenfront.pipeline.stages.supernet.stage import train_supernets
from zenfront.pipeline.training import data

Views = Callable[[], AbstractContextManager[View]]


def run_study(
    plan: StudyPlan,
    folder: RunFolder,
    view: Views,
    truth: GroundTruth | None,
    *,
    backend: Backend = "ray",
    recorded: bool = False,
) -> Study:
    """Train what is left of a study, score the architectures without a supernet, and measure everything.

    Args:
        plan: The study.
        folder: Its folder, locked by this process.
        view: Makes the view of a stage.
        truth: The ground truth; without one, only the agreement of instances is measured.
        backend: Where supernets are trained.
        recorded: Train and score nothing, and measure what is recorded.

    Raises:
        UserError: There is nothing to measure: one instance and no ground truth, or no complete instance; or as
            `train_supernets`.
        KeyboardInterrupt: Interrupted; the record is complete up to here.
    """
    experiment, seed = plan.experiment, plan.experiment.search.seed
    if plan.config.instances < 2 and truth is None:
        raise UserError(
            "S-Tau compares instances: at least 2 are needed without a ground truth, but got supernet.instances=1. "
            "Set supernet.instances, or give --truth TABLE."
        )
    rows: Mapping[str, Sequence[SupernetStep]] = _recorded(folder)
    if not recorded:
        with view() as shown:
            rows = train_supernets(plan, folder, shown, backend)
    images = data.load(experiment.train.data, experiment.task, seed)
    arms = assemble(plan, images, rows)
    if not any(arm.instances for arm in arms):
        reasons = [reason for arm in arms for reason in arm.failures.values()] or ["none is finished"]
        raise UserError(f"no instance of a supernet is complete: {reasons[0]}.")
    beside = Beside([], {}, {})
    if truth and not recorded:
        with view() as shown:
            beside = score_beside(experiment, folder, shown, plan.architectures, truth)
    supernets = [each for arm in arms for each in measure_arm(arm, truth, seed)]
    return Study(
        title=f"Weight sharing on {experiment.space}: {len(plan.architectures)} architectures",
        arms=arms,
        names=[plan.space.notation(each) for each in plan.architectures],
        k=plan.config.last,
        groups=[(name, setting.grouping, setting.groups) for name, setting in plan.settings.items()],
        truth=truth,
        measures=[*supernets, *limits(len(plan.architectures), truth, seed), *beside.measures],
        biases=measure_bias(arms, truth, beside.properties, beside.operations) if truth and beside.properties else [],
    )


def _recorded(folder: RunFolder) -> dict[str, list[SupernetStep]]:
    rows: dict[str, list[SupernetStep]] = {}
    for row in read_values(folder.supernet, SupernetStep.from_row):
        rows.setdefault(row.part, []).append(row)
    return rows
