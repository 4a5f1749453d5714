"""Checks of a plugin's task: that predictions can be kept, read and scored, and that all its parts are there."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from rsbench.metrics.evaluate import build, collect
from rsbench.registry import registry
from rsbench.specs import SpecError, TaskSpec, load_attribute, to_jsonable
from rsbench.tasks.tables import Columns
from rsbench.tasks.task import Outcome, Task
from rsbench.testing.contract import CheckFailure, Checks, Group, require
from rsbench.testing.trials import TaskTrial

CHECKS: Final = Checks()
SAMPLES: Final = 12


def groups(spec: TaskSpec) -> Iterator[Group]:
    """Yield the checks of a task."""
    yield Group(spec.name, CHECKS, lambda: spec)


@CHECKS(
    "parts",
    reason="the core keeps predictions by the task, the engine trains by its training side, the kit makes up inputs",
    remedy="let the spec name a Task, a subclass of TrainingTask and a TaskTrial",
)
def parts(spec: TaskSpec) -> None:
    """The spec names all three."""
    from rsbench.engine.tasks.base import TrainingTask

    task, training, trial = _part(spec, "definition"), _part(spec, "training"), _part(spec, "test_inputs")
    require(isinstance(task, Task), f"{spec.definition} is not a rsbench.tasks.task.Task")
    require(task.name == spec.name, f"{spec.definition} is called '{task.name}', the spec '{spec.name}'")
    subclass = isinstance(training, type) and issubclass(training, TrainingTask)
    require(subclass, f"{spec.training} is not a subclass of rsbench.engine.tasks.base.TrainingTask")
    missing = sorted(getattr(training, "__abstractmethods__", ()))
    require(not missing, f"{spec.training} lacks {', '.join(missing)}")
    require(isinstance(trial, TaskTrial), f"{spec.test_inputs} is not a rsbench.testing.trials.TaskTrial")


@CHECKS(
    "round-trip",
    reason="records are verified from the predictions as they are kept",
    remedy="keep in write all that the task's metrics need, and give it back in read",
)
def round_trip(spec: TaskSpec) -> None:
    """An outcome that is written and read has the same ids, and every metric of the task the same value."""
    task, trial = _part(spec, "definition"), _part(spec, "test_inputs")
    outcome, context = trial.outcome(SAMPLES, 0), trial.metric_context()
    found, _ = collect(_metrics(spec), outcome.predictions, outcome.references, context)
    if task.keeps_statistics:
        outcome = replace(outcome, kept=found)
    again = _kept(task, outcome)
    require(list(again.predictions.ids) == list(outcome.predictions.ids), "the ids are other ones after reading")
    for metric in (m for m in _metrics(spec) if m.name in found):
        made = build(metric, context)
        before, after = made.reduce(found[metric.name]), made.reduce(_rows(task, outcome, metric, made))
        same = np.isclose(before, after, rtol=1e-3, atol=1e-4, equal_nan=True)
        require(same, f"'{metric.name}' is {before:.6g} before writing and {after:.6g} after reading")
        rows = _rows(task, outcome, metric, made)
        require(len(rows) == SAMPLES, f"{spec.definition}.statistics gives {len(rows)} rows for {SAMPLES} samples")


@CHECKS(
    "breakdown",
    reason="what is in a record has to be JSON",
    remedy="return numbers, texts, lists, mappings and None, with None where a number is not known",
)
def breakdown(spec: TaskSpec) -> None:
    """``by_group`` gives JSON without NaN."""
    trial = _part(spec, "test_inputs")
    found = _part(spec, "definition").by_group(trial.outcome(SAMPLES, 0), trial.metric_context())
    try:
        json.dumps(to_jsonable(found), allow_nan=False)
    except (SpecError, ValueError) as error:
        raise CheckFailure(f"by_group cannot be written as JSON: {error}") from None


@CHECKS(
    "metrics",
    reason="a task without a metric ranks nothing",
    remedy="ship a metric, or add the task to those of one",
)
def has_metrics(spec: TaskSpec) -> None:
    """At least one installed metric is for the task."""
    require(_metrics(spec), "no installed metric is for it")


def _part(spec: TaskSpec, field: str) -> Any:
    path = getattr(spec, field)
    try:
        return load_attribute(path or "")
    except SpecError:
        raise CheckFailure(f"the spec's {field}, '{path}', is not there") from None


def _metrics(spec: TaskSpec) -> list[Any]:
    return [metric for metric in registry().specs("metric").values() if spec.name in metric.tasks]


def _kept(task: Task, outcome: Outcome) -> Outcome:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "predictions.parquet"
        task.write(path, outcome)
        return task.read(path)


def _rows(task: Task, outcome: Outcome, spec: Any, metric: Any) -> np.ndarray:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "predictions.parquet"
        task.write(path, outcome)
        return task.statistics(Columns(path), spec, metric).rows
