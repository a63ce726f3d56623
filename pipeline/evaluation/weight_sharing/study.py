"""A study of weight sharing from its plan to everything that its report shows."""

from collections.abc import Mapping, Sequence

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.evaluation.weight_sharing.beside import NOTHING, Beside
from zenfront.pipeline.evaluation.weight_sharing.ground_truth import GroundTruth
from zenfront.pipeline.evaluation.weight_sharing.instances import Arm, assemble
from zenfront.pipeline.evaluation.weight_sharing.measures import limits, measure_arm, measure_bias
from zenfront.pipeline.evaluation.weight_sharing.report import Study
from zenfront.pipeline.progress import Backend, View
from zenfront.pipeline.record.files.ledger import read_values
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.results.supernet_rows import SupernetStep
from zenfront.pipeline.stages.supernet.plan import StudyPlan
from zenfront.pipeline.stages.supernet.stage import train_supernets
from zenfront.pipeline.training.data import Images


def require_comparison(plan: StudyPlan, truth: GroundTruth | None) -> None:
    """Require that rankings can be compared with something.

    Raises:
        UserError: There is one instance and no ground truth.
    """
    if plan.config.instances < 2 and truth is None:
        raise UserError(
            "S-Tau compares instances: at least 2 are needed without a ground truth, but got supernet.instances=1. "
            "Set supernet.instances, or give --truth TABLE."
        )


def train_arms(plan: StudyPlan, images: Images, folder: RunFolder, view: View, backend: Backend = "ray") -> list[Arm]:
    """Train what is left of a study, as `train_supernets` does; return its settings with their instances.

    Raises:
        UserError: No instance is complete; or as `train_supernets`.
        KeyboardInterrupt: Interrupted; the record is complete up to here.
    """
    return _complete(plan, images, train_supernets(plan, images, folder, view, backend))


def recorded_arms(plan: StudyPlan, images: Images, folder: RunFolder) -> list[Arm]:
    """Return the settings with the instances that are recorded.

    Raises:
        UserError: No instance is complete, or the record is damaged.
    """
    return _complete(plan, images, recorded_rows(folder))


def recorded_rows(folder: RunFolder) -> dict[str, list[SupernetStep]]:
    """Return the recorded rows of each part by its name.

    Raises:
        UserError: The record is damaged.
    """
    rows: dict[str, list[SupernetStep]] = {}
    for row in read_values(folder.supernet, SupernetStep.from_row):
        rows.setdefault(row.part, []).append(row)
    return rows


def _complete(plan: StudyPlan, images: Images, rows: Mapping[str, Sequence[SupernetStep]]) -> list[Arm]:
    arms = assemble(plan, images, rows)
    if not any(arm.instances for arm in arms):
        reasons = [reason for arm in arms for reason in arm.failures.values()] or ["none is finished"]
        raise UserError(f"no instance of a supernet is complete: {reasons[0]}.")
    return arms


def measure_study(plan: StudyPlan, arms: Sequence[Arm], truth: GroundTruth | None, beside: Beside = NOTHING) -> Study:
    """Measure everything that the report shows.

    Args:
        plan: The study.
        arms: Its settings; at least one has an instance.
        truth: The ground truth; without one, only the agreement of instances is measured.
        beside: What costs less than a supernet.
    """
    experiment, seed = plan.experiment, plan.experiment.search.seed
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
        missing=beside.missing,
    )
