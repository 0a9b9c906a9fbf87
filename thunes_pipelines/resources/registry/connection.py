"""Reach MLflow: quietly, within seconds, and with one kind of error.

Add here: how MLflow is spoken to. Keep out: what is asked.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import requests

from thunes_core.errors import RegistryUnavailable
from thunes_pipelines.resources.champions import TIMEOUT_SECONDS, without_password

if TYPE_CHECKING:
    from mlflow import MlflowClient

HEALTHY = "OK"
"""What an MLflow server's /health answers."""
LOCAL_UI = "http://127.0.0.1:5000"
_QUIET = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_DISABLE_AGENT_HINT": "true",
}
"""Fail within seconds, print nothing, send nothing; what the operator has set wins."""


class Connection:
    """MLflow at one absolute address; a client is made, and MLflow imported, on first use."""

    def __init__(self, tracking_uri: str) -> None:
        self.uri = tracking_uri

    @property
    def is_server(self) -> bool:
        """True when MLflow is a server and not a file."""
        return self.uri.startswith(("http://", "https://"))

    def run_url(self, experiment: str, run_id: str) -> str:
        """Return the address of a run in MLflow's UI, opened for experiments."""
        base = without_password(self.uri.rstrip("/")) if self.is_server else LOCAL_UI
        return f"{base}/#/experiments/{experiment}/runs/{run_id}?workflowType=machine_learning"

    @cached_property
    def client(self) -> MlflowClient:
        """The client, made on first use; an embedded database gets its schema then."""
        from mlflow import MlflowClient

        with _first_user(self.uri):
            return MlflowClient(self.uri, registry_uri=self.uri)

    @contextlib.contextmanager
    def asking(self) -> Iterator[None]:
        """Turn what MLflow, its network and its database raise into `RegistryUnavailable`."""
        self._require_server()
        os.environ.update({k: v for k, v in _QUIET.items() if k not in os.environ})
        import mlflow
        from google.protobuf.json_format import (  # type: ignore[import-untyped]
            ParseError,
        )
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.ERROR)  # MLflow sets its own on import
        mlflow.set_tracking_uri(self.uri)  # an embedded store asks the global one for models
        try:
            yield
        except (MlflowException, SQLAlchemyError, requests.RequestException, OSError) as error:
            raise self._unavailable(error) from error
        except (ParseError, LookupError, TypeError, AttributeError, ValueError) as error:
            raise self._not_mlflow(error) from error

    def _require_server(self) -> None:
        """Ask a server for its health first: MLflow's own client would retry for long."""
        if not self.is_server:
            return
        try:
            health = f"{self.uri.rstrip('/')}/health"
            answer = requests.get(health, timeout=TIMEOUT_SECONDS)
            answer.raise_for_status()
        except requests.RequestException as error:
            raise self._unavailable(error) from error
        if answer.text.strip() != HEALTHY:
            raise self._not_mlflow(ValueError(f"its /health says {answer.text[:40]!r}"))

    def _unavailable(self, error: Exception) -> RegistryUnavailable:
        return RegistryUnavailable(
            f"registry: expected MLflow to answer at {without_password(self.uri)}; "
            f"{type(error).__name__}: {_first_line(error)}; start it (`thunes up`) or correct "
            "THUNES_MLFLOW_TRACKING_URI"
        )

    def _not_mlflow(self, error: Exception) -> RegistryUnavailable:
        """Return the error for an answer that cannot be read: another server, or a broken store."""
        return RegistryUnavailable(
            f"registry: expected MLflow's own answers at {without_password(self.uri)}; what came "
            f"cannot be read ({type(error).__name__}: {_first_line(error)}); correct "
            "THUNES_MLFLOW_TRACKING_URI, or see the server's log"
        )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:300]


def is_absent(error: Exception) -> bool:
    """True when MLflow says that what was asked for does not exist."""
    code = getattr(error, "error_code", "")
    return code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}


def is_there_already(error: Exception) -> bool:
    """True when MLflow says that what was to be made exists."""
    return getattr(error, "error_code", "") == "RESOURCE_ALREADY_EXISTS"


@contextlib.contextmanager
def _first_user(uri: str) -> Iterator[None]:
    """Let one process at a time create the schema of an embedded database."""
    if not uri.startswith("sqlite:///"):
        yield
        return
    lock = Path(uri.removeprefix("sqlite:///") + ".lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
