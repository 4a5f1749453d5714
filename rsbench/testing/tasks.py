"""Checks of a plugin's task: that its predictions can be kept, read and scored, and that the engine finds its job."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from rsbench.metrics.evaluate import build
from rsbench.registry import registry
from rsbench.specs import SpecError, TaskSpec, load_attribute, to_jsonable
from rsbench.tasks.kinds import Outcome, TaskKind
from rsbench.tasks.tables import Columns
from rsbench.testing.contract import Checks, Fault, Group, require
from rsbench.testing.trials import TaskTrial

CHECKS: Final = Checks()
SAMPLES: Final = 12


def groups(spec: TaskSpec) -> Iterator[Group]:
    """Yield the checks of a task."""
    yield Group(spec.name, CHECKS, lambda: spec)


@CHECKS(
    "parts",
    reason="the core keeps predictions by TASK, the engine runs by JOB, and the kit makes up inputs by TRIAL",
    remedy="put TASK (a TaskKind), JOB (a subclass of Job) and TRIAL (a TaskTrial) into the module of the spec",
)
def parts(spec: TaskSpec) -> None:
    """The module has all three."""
    from rsbench.engine.tasks.base import Job

    task, job, trial = (_part(spec, name) for name in ("TASK", "JOB", "TRIAL"))
    require(isinstance(task, TaskKind), "TASK is not a rsbench.tasks.kinds.TaskKind")
    require(task.name == spec.name, f"TASK is called '{task.name}', the spec '{spec.name}'")
    require(isinstance(job, type) and issubclass(job, Job), "JOB is not a subclass of rsbench.engine.tasks.base.Job")
    missing = sorted(getattr(job, "__abstractmethods__", ()))
    require(not missing, f"JOB lacks {', '.join(missing)}")
    require(isinstance(trial, TaskTrial), "TRIAL is not a rsbench.testing.trials.TaskTrial")


@CHECKS(
    "round-trip",
    reason="records are verified from the predictions as they are kept",
    remedy="keep in write all that the task's metrics need, and give it back in read",
)
def round_trip(spec: TaskSpec) -> None:
    """An outcome that is written and read has the same ids, and every metric of the task the same value."""
    task, trial = _part(spec, "TASK"), _part(spec, "TRIAL")
    outcome = trial.outcome(SAMPLES, 0)
    again = _kept(task, outcome)
    require(list(again.predictions.ids) == list(outcome.predictions.ids), "the ids are other ones after reading")
    for metric in _metrics(spec):
        made = build(metric, trial.metric_context())
        before, after = (made.reduce(made.statistics(o.predictions, o.references)) for o in (outcome, again))
        same = np.isclose(before, after, rtol=1e-3, equal_nan=True)
        require(same, f"'{metric.name}' is {before:.6g} before writing and {after:.6g} after reading")
        rows = _rows(task, outcome, metric, made)
        require(len(rows) == SAMPLES, f"TASK.statistics gives {len(rows)} rows for {SAMPLES} samples")


@CHECKS(
    "breakdown",
    reason="what is in a record has to be JSON",
    remedy="return numbers, texts, lists, mappings and None, with None where a number is not known",
)
def breakdown(spec: TaskSpec) -> None:
    """``by_group`` gives JSON without NaN."""
    trial = _part(spec, "TRIAL")
    found = _part(spec, "TASK").by_group(trial.outcome(SAMPLES, 0), trial.metric_context())
    try:
        json.dumps(to_jsonable(found), allow_nan=False)
    except (SpecError, ValueError) as error:
        raise Fault(f"by_group cannot be written as JSON: {error}") from None


@CHECKS(
    "metrics",
    reason="a task without a metric ranks nothing",
    remedy="ship a metric, or add the task to those of one",
)
def has_metrics(spec: TaskSpec) -> None:
    """At least one installed metric is for the task."""
    require(_metrics(spec), "no installed metric is for it")


def _part(spec: TaskSpec, name: str) -> Any:
    try:
        return load_attribute(f"{spec.module}:{name}")
    except SpecError:
        raise Fault(f"module '{spec.module}' has no {name}") from None


def _metrics(spec: TaskSpec) -> list[Any]:
    return [metric for metric in registry().specs("metric").values() if spec.name in metric.tasks]


def _kept(task: TaskKind, outcome: Outcome) -> Outcome:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "predictions.parquet"
        task.write(path, outcome)
        return task.read(path)


def _rows(task: TaskKind, outcome: Outcome, spec: Any, metric: Any) -> np.ndarray:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "predictions.parquet"
        task.write(path, outcome)
        return task.statistics(Columns(path), spec, metric).rows
