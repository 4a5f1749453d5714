"""MLflow: a run in the experiment of its dataset, at ``MLFLOW_TRACKING_URI`` or in files beside the records."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rsbench_observers.observer import Observer, parameters, scores

if TYPE_CHECKING:
    from mlflow import MlflowClient

FOLDER: Final = "mlflow"
STATUS: Final = {"ok": "FINISHED", "failed": "FAILED"}
LONGEST: Final = 500  # characters of a parameter that every MLflow server takes


@dataclass(frozen=True)
class Run:
    """One MLflow run and the client that writes it."""

    client: MlflowClient
    id: str


class MLflow(Observer):
    """Parameters of the plan, metrics of each epoch, and results under ``test.``."""

    name = "mlflow"

    def files(self, plan: Any) -> str:
        """At the address that holds all runs."""
        return f"MLflow: mlflow ui --backend-store-uri {_address(plan)}"

    def open(self, plan: Any) -> Run:
        """Create the run, and the experiment where there is none."""
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=_address(plan))
        experiment = _experiment(client, f"rsbench/{plan.dataset['name']}/{plan.protocol['name']}")
        run = Run(client, client.create_run(experiment, run_name=plan.run_id).info.run_id)
        for key, value in parameters(plan).items():
            client.log_param(run.id, key, str(value)[:LONGEST])
        return run

    def log(self, run: Run, epoch: int, values: Mapping[str, float]) -> None:
        """Write the epoch's metrics."""
        for name, value in values.items():
            run.client.log_metric(run.id, _name(name), value, step=epoch)

    def close(self, run: Run, record: Mapping[str, Any]) -> None:
        """Write the results, and whether the run succeeded."""
        for name, value in scores(record).items():
            run.client.log_metric(run.id, _name(f"test.{name}"), value)
        run.client.set_terminated(run.id, STATUS[record["status"]])


def _experiment(client: MlflowClient, title: str) -> str:
    """Id of the experiment, which another process may have created a moment ago."""
    from mlflow.exceptions import MlflowException

    try:
        return client.create_experiment(title)
    except MlflowException:
        found = client.get_experiment_by_name(title)
        if found is None:
            raise
        return found.experiment_id


def _address(plan: Any) -> str:
    """Where runs are kept."""
    named = os.environ.get("MLFLOW_TRACKING_URI")
    if named:
        return named
    os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # MLflow 3 refuses files unless it is told
    return (Path(plan.out).resolve() / FOLDER).as_uri()


def _name(text: str) -> str:
    """Letters, digits and ``_ - . / :`` and blanks are all that MLflow takes in a name."""
    return "".join(c if c.isalnum() or c in "_-. /:" else "_" for c in text)


PLUGIN = MLflow()
