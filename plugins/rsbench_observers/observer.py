"""What the observers share: the switch, and the life of one run in the tool that is told of it."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Final

from rsbench import hookimpl

SWITCH: Final = "RSBENCH_OBSERVERS"


class Observer(ABC):
    """An observer that is off until :data:`SWITCH` names it.

    A run is opened when it starts, written to after each epoch and closed at its end; what :meth:`open` returns is
    handed to the other two.
    """

    name: str

    def __init__(self) -> None:
        self.runs: dict[str, Any] = {}

    @property
    def on(self) -> bool:
        """Whether the user has asked for this observer."""
        return self.name in [name.strip() for name in os.environ.get(SWITCH, "").split(",")]

    @hookimpl
    def rsbench_run_start(self, plan: Any) -> None:
        """Open the run."""
        if self.on:
            self.runs[plan.run_id] = self.open(plan)

    @hookimpl
    def rsbench_epoch_end(self, plan: Any, epoch: int, logs: Mapping[str, Any]) -> None:
        """Write the epoch's entry of the learning curve."""
        if plan.run_id in self.runs:
            self.log(self.runs[plan.run_id], epoch, numbers(logs))

    @hookimpl
    def rsbench_run_end(self, plan: Any, record: Mapping[str, Any]) -> None:
        """Write the result and close the run."""
        if plan.run_id in self.runs:
            self.close(self.runs.pop(plan.run_id), record)

    @hookimpl
    def rsbench_run_files(self, plan: Any) -> list[str]:
        """Say where the files are, where the observer is on."""
        return [self.files(plan)] if self.on else []

    @abstractmethod
    def files(self, plan: Any) -> str:
        """Say in a line where the files of a run are, and how they are opened."""

    @abstractmethod
    def open(self, plan: Any) -> Any:
        """Start a run in the tool."""

    @abstractmethod
    def log(self, run: Any, epoch: int, values: Mapping[str, float]) -> None:
        """Write the values of one epoch, counted from 1."""

    @abstractmethod
    def close(self, run: Any, record: Mapping[str, Any]) -> None:
        """Write the record's results and end the run; a failed run has none."""


def numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """Return the entries that are numbers."""
    return {k: float(v) for k, v in values.items() if isinstance(v, int | float) and not isinstance(v, bool)}


def scores(record: Mapping[str, Any]) -> dict[str, float]:
    """Return metric -> value of the test split; a metric that is not known is left out."""
    return numbers({name: entry["value"] for name, entry in record["metrics"].items()})


def parameters(plan: Any) -> dict[str, Any]:
    """Return what was decided before the run, flat: ``model.name``, ``recipe.lr``, ``seed``, ...; no place on disk."""
    found: dict[str, Any] = {"task": plan.task, "seed": plan.seed, "division": plan.division}
    shown = {
        "model": ("name", "version", "label", "params"),
        "dataset": ("name", "version", "fingerprint"),
        "protocol": ("name", "version", "fingerprint", "primary"),
        "recipe": tuple(plan.recipe),
    }
    for part, keys in shown.items():
        values = getattr(plan, part)
        found |= {f"{part}.{key}": values[key] for key in keys if values.get(key) is not None}
    return found
