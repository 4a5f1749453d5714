"""Classification as a task of the core."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from rsbench.data.store import PreparedStore
from rsbench.metrics.contract import Metric, MetricContext
from rsbench.metrics.guard import statistics_of
from rsbench.specs import MetricSpec
from rsbench.tasks import sanity_checks, tables
from rsbench.tasks.classification import Predictions, breakdown, files, score
from rsbench.tasks.task import Entry, Outcome, Parts, Statistics, Task


class Classification(Task):
    """References are class numbers."""

    name = "classification"
    unit = "images"
    parts = Parts("class", "overall_accuracy", "average_accuracy")
    probabilistic = True
    value_field = "label"
    hub, stac = "image-classification", "scene-classification"

    def write(self, path: Path, outcome: Outcome) -> None:
        """Keep labels and probabilities (see :mod:`rsbench.tasks.classification.files`)."""
        made = outcome.predictions
        files.write(path, made.ids, outcome.references, made.labels, made.probabilities)

    def read(self, path: Path) -> Outcome:
        """Return predictions and references int64 [N]."""
        return Outcome(*files.read(path))

    def statistics(self, columns: tables.Columns, spec: MetricSpec, metric: Metric) -> Statistics:
        """Return the rows of one metric; probabilities are read for those that need them."""
        if "probabilities" in spec.needs:
            return super().statistics(columns, spec, metric)
        labels, references = files.read_labels(columns)
        rows = statistics_of(metric, Predictions([], labels), references)
        return Statistics(rows, lambda: columns.read(("id",))["id"].to_pylist(), columns.raw("id"))

    def grouped(self, outcome: Outcome, context: MetricContext) -> tuple[Sequence[str], np.ndarray]:
        """Classes of the references."""
        return context.classes, outcome.references

    def correct(self, outcome: Outcome) -> np.ndarray:
        """Whether the label is the reference."""
        return np.asarray(outcome.predictions.labels == outcome.references)

    def by_group(self, outcome: Outcome, context: MetricContext) -> dict[str, Any]:
        """Figures per class, confusion matrix and reliability."""
        return breakdown(outcome.predictions, outcome.references, context.classes)

    def sanity_checks(
        self, outcome: Outcome, metrics: Mapping[str, Any], checks: Sequence[Mapping[str, Any]]
    ) -> list[sanity_checks.SanityCheck]:
        """Above chance, above pixel statistics, not collapsed."""
        made, true = outcome.predictions, outcome.references
        correct, floor = int((made.labels == true).sum()), sanity_checks.floor_of(checks, sanity_checks.ABOVE_BASELINE)
        found = [sanity_checks.above_chance(correct, true)]
        if made.probabilities is not None and sanity_checks.spread_is_kept(made.labels, made.probabilities):
            found.append(sanity_checks.not_collapsed(made.labels, made.probabilities))
        if floor is not None and sanity_checks.decided(correct / len(true), floor):
            found.append(sanity_checks.above_baseline(correct / len(true), floor))
        return found

    def listed(self, values: Sequence[Any]) -> dict[str, Any]:
        """Probabilities."""
        return {"probabilities": values}

    def references_of(
        self, entries: Sequence[Entry], classes: Sequence[str] | None, predictions: Sequence[Entry]
    ) -> tuple[dict[str, Any], MetricContext]:
        """Class numbers."""
        found, names = score.references_of(entries, classes, predictions)
        return found, MetricContext(self.name, tuple(names))

    def references_in(self, store: PreparedStore, samples: np.ndarray) -> dict[str, Any]:
        """Class numbers."""
        return dict(zip([store.ids[i] for i in samples], store.labels[samples].tolist(), strict=True))

    def outcome_of(
        self, entries: Sequence[Entry], references: Mapping[str, Any], context: MetricContext, *, logits: bool = False
    ) -> Outcome:
        """Labels and, where all have some, probabilities."""
        return score.outcome_of(entries, references, context.classes, logits=logits)

    def as_kept(self, outcome: Outcome) -> Outcome:
        """Probabilities are rounded to float16."""
        return replace(outcome, predictions=files.as_stored(outcome.predictions))

    def blank_columns(
        self, samples: int, outputs: int, dataset: Mapping[str, Any], **asked: str
    ) -> dict[str, list[Any]]:
        """Labels that nobody looks at."""
        self._unasked(asked)
        return {"label": [0] * samples}

    def predicted(self, outcome: Outcome, classes: Sequence[str], top: int) -> dict[str, list[Any]]:
        """``label`` and ``probability``, and of the next best ``label_2``, ``probability_2``, ..."""
        made = outcome.predictions
        if made.probabilities is None:
            return {"label": [classes[k] for k in made.labels]}
        columns: dict[str, list[Any]] = {}
        order = np.argsort(-made.probabilities, axis=1, kind="stable")
        for place in range(min(top, len(classes))):
            end, chosen = f"_{place + 1}" if place else "", order[:, place]
            columns["label" + end] = [classes[k] for k in chosen]
            columns["probability" + end] = made.probabilities[np.arange(len(made)), chosen].tolist()
        return columns

    def truth(self, store: PreparedStore, sample: int) -> tuple[str, ...]:
        """Its class."""
        return (store.manifest["classes"][int(store.labels[sample])],)

    def prediction_text(self, outcome: Outcome, row: int, classes: Sequence[str]) -> str:
        """The predicted class with its probability in percent."""
        made = outcome.predictions
        label = int(made.labels[row])
        sure = "" if made.probabilities is None else f" {100 * made.probabilities[row, label]:.0f} %"
        return classes[label] + sure


TASK: Final = Classification()
