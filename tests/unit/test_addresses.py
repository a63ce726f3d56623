"""Secrets of addresses are shown nowhere, and an address that programs would read differently is refused."""

import socket
from collections.abc import Callable

import pytest

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.addresses import fault, has_secrets, shown
from zenfront.pipeline.experiment.config_file import load_experiment
from zenfront.pipeline.experiment.train_config import Data
from zenfront.pipeline.training import data
from zenfront.spaces import Task

Zenfront = Callable[..., tuple[int, str, str]]

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("http://mlflow:5000", "http://mlflow:5000"),
        (f"http://user:{SECRET}@mlflow:5000/x", "http://mlflow:5000/x"),
        (f"https://{SECRET}@mlflow/x", "https://mlflow/x"),
        (f"postgresql://user:p/{SECRET}@db:5432/mlflow", "postgresql://db:5432/mlflow"),
        (f"postgresql://user:p@{SECRET}@db/mlflow", "postgresql://db/mlflow"),
        (f"postgresql://user:p?{SECRET}@db/mlflow", "postgresql://db/mlflow"),
        (f"postgresql://user:p#{SECRET}@db/mlflow", "postgresql://db/mlflow"),
        (f"postgresql://db/mlflow?user=me&password={SECRET}", "postgresql://db/mlflow?user=me&password=***"),
        (f"s3://b/f?region=eu&secret_key={SECRET}&access_key={SECRET}", "s3://b/f?region=eu&secret_key=***&access_key=***"),
        (f"s3://b/f?X-Amz-Signature={SECRET}", "s3://b/f?X-Amz-Signature=***"),
        (f"s3://b/f?%73ecret%5Fkey={SECRET}", "s3://b/f?%73ecret%5Fkey=***"),
        (f"mssql+pyodbc:///?odbc_connect=UID%3Dme%3BPWD%3D{SECRET}", "mssql+pyodbc:///?odbc_connect=***"),
        ("sqlite:////home/me@host/mlflow.db", "sqlite:////home/me@host/mlflow.db"),
        ("/mnt/me@host/runs", "/mnt/me@host/runs"),
        ("ray://head:10001", "ray://head:10001"),
    ],
)  # fmt: skip
def test_an_address_is_shown_without_its_secrets(address: str, expected: str) -> None:
    assert shown(address) == expected
    assert has_secrets(address) == (SECRET in address)


def test_a_secret_is_hidden_in_a_text_and_where_it_stands_alone() -> None:
    address = "postgresql://user:s3cr%2Ft@db/mlflow"
    text = f"cannot connect to {address}: password 's3cr/t' (s3cr%2Ft) of user is wrong"
    assert shown(text, address) == "cannot connect to postgresql://db/mlflow: password '***' (***) of user is wrong"


@pytest.mark.parametrize(
    "address",
    [
        f"postgresql://user:p/{SECRET}@db/mlflow",
        f"postgresql://user:p?{SECRET}@db/mlflow",
        f"postgresql://user:p#{SECRET}@db/mlflow",
        f"postgresql://user:p@{SECRET}@db/mlflow",
        f"postgresql://user:p {SECRET}@db/mlflow",
        f"postgresql://user:p[{SECRET}@db/mlflow",
        "http://host:port/",
        "http://host:/",
        "http://host\n:5000",
    ],
)
def test_an_address_that_programs_read_differently_is_refused_without_its_secret(address: str) -> None:
    problem = fault(address)
    assert problem
    assert SECRET not in problem


@pytest.mark.parametrize(
    "address",
    [
        "http://user:p%2Fw%40@host:5000/path",
        "postgresql+psycopg2://user@db/mlflow?sslmode=require",
        "sqlite:////home/me@host/mlflow.db",
        "file:///tmp/a@b",
        "http://[::1]:5000",
        "databricks",
        "databricks://profile",
        "auto",
        "10.0.0.1:6379",
        "/mnt/runs",
    ],
)
def test_a_clear_address_is_accepted(address: str) -> None:
    assert fault(address) is None


@pytest.mark.parametrize(
    "override",
    [
        f"tracking.uri=http://user:p/{SECRET}@host",
        f"tracking.uri=http://user:p {SECRET}@host",
        f"cluster.storage=s3://key:{SECRET}@bucket/folder",
        f"cluster.storage=s3://bucket/folder?access_key=mine&secret_key={SECRET}",
        f"tracking=http://user:{SECRET}@host",
        f"tracking={{uri: http://user:{SECRET}@host, port: 1}}",
        f"tracking.uri=http://user:{SECRET}@host: 1",
    ],
)
def test_a_wrong_place_is_told_without_its_secret(override: str, zenfront: Zenfront) -> None:
    code, out, err = zenfront("search", "smoke", "--set", override)
    assert code == 2
    assert SECRET not in out + err
    with pytest.raises(UserError) as caught:
        load_experiment("smoke", [override])
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "source",
    ["http://127.0.0.1:9/x", "s3://bucket/x", "hf://datasets/a/b", "file:///etc", "//host/share", "csv", "text"],
)
def test_a_data_set_is_no_address(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(*_: object, **__: object) -> None:
        raise AssertionError("a connection")

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket, "getaddrinfo", connect)
    with pytest.raises(UserError, match="there is no such file or folder"):
        data.load(Data(source=source), Task(1, 8, 8, 10), 0)
