"""Register a trained network as a model in MLflow, linked to the run of its training."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.addresses import shown
from zenfront.pipeline.export.quiet import first_line, quiet
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.tracking._limits import VALUE, cut
from zenfront.pipeline.tracking._mirror import sync
from zenfront.pipeline.tracking._store import tracking_uri

if TYPE_CHECKING:
    from torch import Tensor, nn

MODEL = "model"


class Registered(NamedTuple):
    """A version of a registered model."""

    name: str
    version: int
    run: str
    """MLflow's id of the run of the training."""
    store: str
    """Address of the store, without a password."""

    @property
    def uri(self) -> str:
        """Address of the version, as MLflow's commands take it."""
        return f"models:/{self.name}/{self.version}"


def register(
    folder: RunFolder, architecture: str, network: "nn.Module", example: "Tensor", facts: Mapping[str, Any]
) -> Registered:
    """Log a network in MLflow's default format and register it under the name of its run.

    Args:
        folder: Folder of the run; its experiment names the store.
        architecture: Id of the architecture.
        network: The network on the CPU, in evaluation mode.
        example: Images (N, C, H, W) float32 that the network takes, with N of at least 2: the format takes a batch of
            1 as a constant.
        facts: JSON values by name, which become the model's metadata.

    Raises:
        UserError: The store cannot be reached, has no run of the architecture, or cannot take the network.
    """
    experiment = folder.experiment()
    runs = sync(folder, experiment)
    if architecture not in runs:
        raise UserError(f"MLflow has no run of {architecture}: it has those that were selected or trained. Name one.")
    uri = tracking_uri(experiment, folder.path.parent)
    try:
        with quiet(), _store(uri):
            version = _log(experiment.name, runs[architecture], network, example, facts)
    except Exception as error:  # requests, SQLAlchemy, MLflow, torch: each has its own
        raise UserError(
            f"MLflow at {shown(uri)} did not register the network ({shown(first_line(error), uri)}). Check that it is "
            "up and has a model registry, and that torch.export can trace the network (--pt2)."
        ) from error
    return Registered(experiment.name, version, runs[architecture], shown(uri))


def _log(name: str, run: str, network: "nn.Module", example: "Tensor", facts: Mapping[str, Any]) -> int:
    import mlflow
    import torch
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    client = mlflow.MlflowClient()
    child = client.get_run(run)
    tags = {key: value for key, value in child.data.tags.items() if key.startswith("zenfront.") or key == "pick"}
    # Made here, and not by `log_model`, which would take the experiment that is active in this process.
    model = client.create_logged_model(
        child.info.experiment_id, name=MODEL, source_run_id=run, tags=tags, params=child.data.params
    )
    with torch.inference_mode():
        logits = network(example)
    logged = mlflow.pytorch.log_model(
        network,
        name=MODEL,
        model_id=model.model_id,
        run_id=run,
        registered_model_name=name,
        signature=ModelSignature(
            inputs=Schema([TensorSpec(example.numpy().dtype, (-1, *example.shape[1:]))]),
            outputs=Schema([TensorSpec(logits.numpy().dtype, (-1, *logits.shape[1:]))]),
        ),
        input_example=example.numpy(),
        pip_requirements=mlflow.pytorch.get_default_pip_requirements(),
        metadata=dict(facts),  # in the model's own folder, which goes where the model goes
        tags={key: cut(value, VALUE) for key, value in tags.items()},
    )
    return int(logged.registered_model_version)


@contextmanager
def _store(uri: str) -> Iterator[None]:
    """Let MLflow's functions that take no address use a store, for the time of a block."""
    import mlflow

    tracking = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None
    mlflow.set_tracking_uri(uri)
    registry = mlflow.get_registry_uri()
    if registry != uri:  # it follows the tracking store, unless somebody has set it
        mlflow.set_registry_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(tracking)
        if registry != uri:
            mlflow.set_registry_uri(registry)
