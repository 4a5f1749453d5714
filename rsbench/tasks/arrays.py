"""Tasks of numbers: one, or a row of as many, for each sample, such as a height, or the shares of land covers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rsbench.data.store import PreparedStore
from rsbench.errors import UserError
from rsbench.metrics.contract import MetricContext
from rsbench.tasks import tables
from rsbench.tasks.entries import matched
from rsbench.tasks.task import Entry, Outcome, Task


@dataclass(frozen=True)
class Arrays:
    """What was predicted: ``ids`` of N samples, and ``values`` float64 [N] or [N, K]."""

    ids: Sequence[str]
    values: np.ndarray

    def __len__(self) -> int:
        return len(self.values)


class ArrayTask(Task):
    """A task whose predictions (:class:`Arrays`) and references (float64 [N] or [N, K]) are numbers.

    A subclass gives it a ``name``; :class:`rsbench.engine.tasks.image.ArrayTraining` is the other side.

    Attributes:
        column: of the dataset, with what is true of each sample.
    """

    unit = "images"
    column = "target"

    def column_of(self, store: PreparedStore) -> np.ndarray:
        """Return what is true of each sample of a dataset, [M] or [M, K].

        Raises:
            UserError: the dataset has no such column.
        """
        if self.column not in store.columns:
            raise UserError(f"Task '{self.name}' needs a dataset with a column '{self.column}'.")
        return store.column(self.column)

    def outcome(self, ids: Sequence[str], values: np.ndarray, references: np.ndarray) -> Outcome:
        """Return an outcome of values and references, the former shaped as the latter are."""
        references = references.astype(np.float64)
        return Outcome(Arrays(ids, values.astype(np.float64).reshape(references.shape)), references)

    def write(self, path: Path, outcome: Outcome) -> None:
        """Keep ``id``, ``reference`` and ``prediction``, float64 or lists of them."""
        import pyarrow as pa

        columns = {"reference": outcome.references, "prediction": outcome.predictions.values}
        kept = {name: pa.array(values.tolist()) for name, values in columns.items()}
        tables.write(path, {"id": pa.array(list(outcome.predictions.ids), pa.string()), **kept})

    def read(self, path: Path) -> Outcome:
        """Return predictions and references."""
        table = tables.read(path, ("id", "reference", "prediction"))
        references, values = (np.array(table[name].to_pylist(), np.float64) for name in ("reference", "prediction"))
        return Outcome(Arrays(table["id"].to_pylist(), values), references)

    def references_of(
        self, entries: Sequence[Entry], classes: Sequence[str] | None, predictions: Sequence[Entry]
    ) -> tuple[dict[str, Any], MetricContext]:
        """Numbers under the task's ``value_field``."""
        del predictions
        return {e["id"]: self._numbers(e, "Reference") for e in entries}, MetricContext(self.name, tuple(classes or ()))

    def references_in(self, store: PreparedStore, samples: np.ndarray) -> dict[str, Any]:
        """Numbers of the column."""
        rows = self.column_of(store)[samples].astype(np.float64)
        return dict(zip([store.ids[i] for i in samples], rows, strict=True))

    def outcome_of(
        self, entries: Sequence[Entry], references: Mapping[str, Any], context: MetricContext, *, logits: bool = False
    ) -> Outcome:
        """Numbers under the task's ``value_field``, as many for each sample as its reference has."""
        del context, logits
        values = {name: self._numbers(e, "Prediction") for name, e in matched(entries, references).items()}
        for name, found in values.items():
            if found.shape != np.shape(references[name]):
                raise UserError(f"Prediction '{name}' has {found.size} numbers; its reference has another count.")
        return self.outcome([*values], np.array([*values.values()]), np.array([*references.values()]))

    def _numbers(self, entry: Entry, what: str) -> np.ndarray:
        value = entry.get(self.value_field)
        try:  # of CSV it is text, of a row of numbers as JSON
            found = np.array(json.loads(value) if isinstance(value, str) else value, np.float64)
        except (TypeError, ValueError, OverflowError):
            found = np.array(np.nan)
        if found.ndim > 1 or not np.isfinite(found).all():
            raise UserError(f"{what} '{entry['id']}' has no '{self.value_field}' of finite numbers.")
        return found

    def blank_columns(
        self, samples: int, outputs: int, dataset: Mapping[str, Any], **asked: str
    ) -> dict[str, list[Any]]:
        """Numbers that nobody looks at, as many as the network gives."""
        self._unasked(asked)
        return {self.column: [0.0 if outputs == 1 else [0.0] * outputs] * samples}

    def predicted(self, outcome: Outcome, classes: Sequence[str], top: int) -> dict[str, list[Any]]:
        """A column for each number."""
        values = outcome.predictions.values
        if values.ndim == 1:
            return {self.value_field: values.tolist()}
        return {f"{self.value_field}_{k + 1}": column.tolist() for k, column in enumerate(values.T)}

    def truth(self, store: PreparedStore, sample: int) -> tuple[str, ...]:
        """Its numbers."""
        return (_text(self.column_of(store)[sample]),)

    def prediction_text(self, outcome: Outcome, row: int, classes: Sequence[str]) -> str:
        """The numbers predicted."""
        del classes
        return _text(outcome.predictions.values[row])

    def synthetic_columns(self, samples: int, texts: Sequence[str], dataset: Mapping[str, Any]) -> dict[str, list[Any]]:
        """Numbers from 0 to 1, as many a sample as ``TaskSpec.sample`` says under ``numbers``; without it one alone."""
        del texts
        values = [(k + 0.5) / samples for k in range(samples)]
        width = dataset.get("numbers")
        return {self.column: values if width is None else [[value] * width for value in values]}

    def workload(self, dataset: Mapping[str, Any], options: Mapping[str, Any]) -> list[str]:
        """How many numbers."""
        del options
        return [f"{dataset['numbers']} numbers"] if "numbers" in dataset else ["one number"]


def _text(values: Any) -> str:
    return ", ".join(f"{value:.4g}" for value in np.atleast_1d(values))
