"""The supernet whose weights a search scores with, trained once in the run folder before the search."""

import torch

from zenfront.pipeline import proxies
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.progress import Backend, View
from zenfront.pipeline.proxies import Batch
from zenfront.pipeline.proxies.supernet_accuracy import AVERAGES
from zenfront.pipeline.record.copies.backup import storage_of
from zenfront.pipeline.record.copies.checkpoints import CheckpointCopies
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.seeds import torch_generator
from zenfront.pipeline.stages.supernet.plan import StudyPlan, score_plan
from zenfront.pipeline.supernet.shared_weights import SharedWeights
from zenfront.pipeline.supernet.training import calibration_batches
from zenfront.pipeline.training import checkpoint, data
from zenfront.pipeline.training.data import Images

MOST_NUMBERS = 2**28
"""Numbers in the validation images of a score."""


def share_weights(experiment: Experiment, folder: RunFolder, view: View, backend: Backend) -> SharedWeights | None:
    """Train the supernet of an experiment, as far as it is not trained; return its weights.

    Args:
        experiment: The experiment.
        folder: Folder of the run, held by this process.
        view: Display of the work.
        backend: Where it is trained.

    Returns:
        The weights; None if no score of the experiment needs them.

    Raises:
        UserError: The supernet does not fit the space or the images, its training diverged, or its checkpoint is lost.
        KeyboardInterrupt: Interrupted; the record is complete up to here.
    """
    names = [name for name in experiment.score_names() if proxies.load(name, experiment.code).of_supernet]
    if not names:
        return None
    from zenfront.pipeline.stages.supernet.stage import train_supernets  # imports Ray, which --serial does without

    plan = score_plan(experiment)
    images = data.load(experiment.train.data, experiment.task, experiment.search.seed)
    if not folder.supernet.exists():
        view.notify(f"search: training the supernet of {names[0]}, over {len(plan.architectures)} architectures")
    rows = train_supernets(plan, images, folder, view, backend)[plan.parts[0].name]
    if failure := next((row.failure for row in rows if row.failure), None):
        raise UserError(f"{names[0]}: the supernet cannot be used: {failure}. Change train.recipe, under another name.")
    return _read(plan, images, folder)


def _read(plan: StudyPlan, images: Images, folder: RunFolder) -> SharedWeights:
    """Return the weights of the last checkpoint."""
    experiment, (part,) = plan.experiment, plan.parts
    course, name = plan.course(part), part.name
    CheckpointCopies(folder.checkpoints.resolve(), storage_of(experiment, folder)).fetch(name)
    path = max((folder.checkpoints / name).glob("*.pt"), default=None)
    stored = checkpoint.read(path) if path else None
    if stored is None or stored["state"]["progress"]["epochs"] < course.epochs:
        raise UserError(
            f"supernet_accuracy: {folder.checkpoints / name} lacks the last checkpoint of the supernet. Restore it, or "
            f"delete that folder and {folder.supernet} to train it again."
        )
    state, average = stored["state"], AVERAGES[_weights(experiment)]
    norm = course.setting.norm
    count = norm.batches if norm.statistics == "recalibrated" else 0
    return SharedWeights(
        space=experiment.space,
        code=experiment.own_code(),
        task=experiment.task,
        architectures=plan.architectures,
        norm=norm,
        weights=state["supernet"],
        average=state[average]["average"] if average else None,
        validation=_validation(images, course.seed),
        calibration=calibration_batches(course, images, images.train, count) if count else (),
    )


def _validation(images: Images, seed: int) -> Batch:
    """Return the validation images; a random part of them if they would take more than 1 GiB."""
    part = images.validation
    count = max(1, MOST_NUMBERS // part.pixels.shape[1:].numel())
    drawn = torch.randperm(len(part), generator=torch_generator(seed, "supernet validation"))[:count].sort().values
    return Batch(images.normalise(part.pixels[drawn]), part.labels[drawn])


def _weights(experiment: Experiment) -> str:
    return str(experiment.proxies.get("supernet_accuracy", {}).get("weights", "last"))
