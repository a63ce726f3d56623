"""Networks of search spaces as torch modules, from Python."""

from zenfront import spaces
from zenfront._score import TaskLike, read_architecture, read_task
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.references import read_named
from zenfront.pipeline.export.subject import fresh_network
from zenfront.spaces import Architecture, Network


def build(space: str, architecture: str | Architecture, task: TaskLike, seed: int = 0) -> Network:
    """Build an architecture of a search space as a torch module with fresh weights.

    Args:
        space: Name of a search space (``zf.spaces.names()``), or ``"./file.py"`` with one of your own, which is run.
        architecture: Architecture in the notation of the space, as `zenfront spaces NAME --sample 5` shows it.
        task: ``(channels, height, width, classes)``.
        seed: Seed of the weights: those that a training of Zenfront with this seed begins with, drawn from
            N(0, 2 / fan_in).

    Returns:
        The network (N, C, H, W) -> (N, K) logits, on the CPU, in evaluation mode.

    Raises:
        UserError: A name is unknown, or the architecture cannot be built for the task.
    """
    wanted = read_task(task)
    if wanted is None:
        raise UserError("task= must be (channels, height, width, classes).")
    code, [name] = read_named("spaces", [space])
    loaded = spaces.load(name, code)
    return fresh_network(loaded, read_architecture(loaded, architecture), wanted, seed)
