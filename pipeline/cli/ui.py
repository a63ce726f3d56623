"""Start MLflow's pages on this machine."""

import os
import socket
import sys
from pathlib import Path

import typer

from zenfront.pipeline import tracking
from zenfront.pipeline.errors import UserError

HOST = "127.0.0.1"


def show(runs: Path, port: int, uri: str | None) -> None:
    """Replace this process by MLflow's server, and print the address of each experiment.

    Args:
        runs: Folder of the run folders, which has the store if none is given.
        port: Port on 127.0.0.1.
        uri: Address of another store.

    Raises:
        UserError: There is no run to show, or the port is taken.
    """
    if uri is None and not tracking.default_store(runs).is_file():
        raise UserError(
            f"there is nothing to show: {tracking.default_store(runs)} does not exist. "
            "Start with `zenfront run`, or name another folder (--runs) or store (--uri)."
        )
    _require_free(port)
    uri = uri or tracking.default_uri(runs)
    for name, page in tracking.experiment_pages(uri).items():
        typer.echo(f"{name}: http://{HOST}:{port}/#/{page}")
    typer.echo(f"MLflow starts on http://{HOST}:{port} (press Ctrl-C to stop it)")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")  # five processes that nothing here uses
    command = [sys.executable, "-m", "mlflow", "ui", "--host", HOST, "--port", str(port), "--workers", "1"]
    os.execv(sys.executable, [*command, "--backend-store-uri", uri])


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a server that has just ended is no obstacle
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise UserError(
                f"port {port} of {HOST} is in use ({error.strerror}). Choose another with --port."
            ) from error
