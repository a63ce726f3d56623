"""A call that is made on the head node of a cluster which is reached through Ray's client (``ray://``)."""

import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import ray
from ray.exceptions import RayTaskError, TaskCancelledError

from zenfront import pipeline, spaces
from zenfront.pipeline.cluster import session
from zenfront.pipeline.errors import UserError


def call(address: str, function: Callable[..., None], *arguments: object) -> None:
    """Calls a function there, as Tune drives trials from a node of the cluster alone; what it prints is seen here.

    The packages of Zenfront go along, so that the code there is the code here. The call ends with the connection.

    Args:
        address: ``ray://host:port``.
        function: Of a module of Zenfront.
        arguments: Can be pickled.

    Raises:
        UserError: The cluster does not answer, or the function raised it.
        KeyboardInterrupt: Interrupted here; the function there is interrupted likewise.
    """
    modules = [str(Path(str(package.__file__)).parent) for package in (pipeline, spaces)]
    try:
        ray.init(address, runtime_env={"py_modules": modules}, log_to_driver=True, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise session.unreachable(address, error) from error
    try:
        done = ray.remote(num_cpus=0, max_retries=0)(function).remote(*arguments)
        try:
            ray.get(done)
        except KeyboardInterrupt:
            ray.cancel(done)
            with suppress(RayTaskError, TaskCancelledError):
                ray.get(done)
            raise
    except RayTaskError as error:
        raise (error.cause if isinstance(error.cause, UserError) else error) from None
    finally:
        ray.shutdown()
