"""Scores of predictions made elsewhere: of files against files, or of a file against the test split of a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rsbench.data.store import PreparedStore
from rsbench.errors import UserError
from rsbench.metrics.contract import MetricContext
from rsbench.metrics.evaluate import collect, evaluate
from rsbench.registry import registry
from rsbench.specs import MetricSpec
from rsbench.tasks.entries import predictions_in, references_in
from rsbench.tasks.task import Entry, Outcome, Task, get_task


def score_files(
    task: str, predictions: Path, references: Path, classes: Sequence[str] | None = None, *, logits: bool = False
) -> dict[str, Any]:
    """Score a predictions file against a references file by every installed metric of the task.

    Args:
        task: its name.
        predictions, references: files as :mod:`rsbench.tasks.entries` reads them.
        classes: names in the order of the probabilities.
        logits: predictions are logits.

    Raises:
        UserError: a file, an id or a value is wrong, or the task cannot be scored from files.
    """
    kind = get_task(task)
    _check_options(kind, logits or classes is not None)
    entries = predictions_in(predictions, kind)
    found, context = kind.references_of(references_in(references, kind), classes, entries)
    specs = metrics_of(task)
    outcome = with_statistics(kind, kind.outcome_of(entries, found, context, logits=logits), specs, context)
    primary = registry().get("task", task).primary or specs[0].name
    return score_outcome(kind, outcome, specs, context, primary)


def outcome_against(
    task: Task,
    entries: Sequence[Entry],
    store: PreparedStore,
    test: np.ndarray,
    specs: Sequence[MetricSpec],
    *,
    logits: bool = False,
) -> Outcome:
    """Match predictions with the samples *test* of a prepared dataset.

    Numbers are as they would be kept: scores are the same whether they are saved or not, and can be verified.

    Args:
        task: of the protocol.
        entries: predictions, as :func:`rsbench.tasks.entries.predictions_in` reads them.
        store: the dataset.
        test: int64 [N], the samples to be scored.
        specs: metrics, for tasks that keep statistics.
        logits: predictions are logits.

    Raises:
        UserError: an id is missing or unknown, or a prediction is not valid.
    """
    _check_options(task, logits)
    context = task.context(store.manifest)
    outcome = task.outcome_of(entries, task.references_in(store, test), context, logits=logits)
    return task.as_kept(with_statistics(task, outcome, specs, context))


def score_outcome(
    task: Task, outcome: Outcome, specs: Sequence[MetricSpec], context: MetricContext, primary: str
) -> dict[str, Any]:
    """Return ``{"task", "n", "classes", "metrics", "by_group", "warnings"}`` and what the task says beside; metrics
    that need what predictions lack are null, with a note.

    Args:
        task, outcome: the task and what was predicted.
        specs: metrics to be computed.
        context: what they are told.
        primary: the name of that by which systems are ranked.
    """
    return {
        "task": task.name,
        "n": len(outcome.predictions),
        "classes": [*context.classes],
        "metrics": entries_of(outcome, specs, context, primary),
        "by_group": task.by_group(outcome, context),
        **task.details(outcome, specs),
        "warnings": [*outcome.notes],
    }


def entries_of(
    outcome: Outcome, specs: Sequence[MetricSpec], context: MetricContext, primary: str
) -> dict[str, dict[str, Any]]:
    """Return a record's entry of each metric, computed from an outcome; see :func:`score_outcome`.

    Args:
        outcome: predictions and references.
        specs: of the metrics.
        context: what the metrics' factories are told.
        primary: name of the metric by which systems are ranked.
    """
    return evaluate(
        specs,
        outcome.predictions,
        outcome.references,
        context,
        primary=primary,
        clusters=outcome.clusters,
        kept=outcome.kept,
        reasons=outcome.reasons,
    )


def metrics_of(task: str) -> list[MetricSpec]:
    """Every installed metric of a task."""
    return [spec for spec in registry().specs("metric").values() if task in spec.tasks]


def _check_options(task: Task, of_classes: bool) -> None:
    if of_classes and not task.probabilistic:
        raise UserError(f"--classes and --logits are for probabilities of classes, and this is {task.name}.")


def with_statistics(task: Task, outcome: Outcome, specs: Sequence[MetricSpec], context: MetricContext) -> Outcome:
    """Return an outcome with the statistics of each metric that can be computed here, where the task keeps them.

    Args:
        task: of the outcome.
        outcome: predictions and references.
        specs: of the metrics.
        context: what the metrics' factories are told.
    """
    if not task.keeps_statistics:
        return outcome
    kept, reasons = collect(specs, outcome.predictions, outcome.references, context)
    return replace(outcome, kept=kept, reasons=reasons)
