"""What the core has to know of each task, without torch: how predictions are kept, read again and broken down."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from rsbench.metrics.contract import Metric, MetricContext
from rsbench.metrics.guard import statistics_of
from rsbench.registry import registry
from rsbench.specs import MetricSpec, load_attribute
from rsbench.tasks import gates, tables
from rsbench.tasks import predictions as label_files
from rsbench.tasks.captioning import Captions
from rsbench.tasks.classification import Predictions, breakdown
from rsbench.tasks.vqa import AnswerReferences, Answers

STATISTICS: Final = "statistics:"


@dataclass(frozen=True)
class Outcome:
    """What a system said about the samples of a split.

    Attributes:
        predictions, references: the task's containers; references are ``None`` where *kept* stands for them.
        clusters: [N], what samples share, or ``None``.
        kept: metric -> statistics float64 [N, k].
        reasons: metric -> why there are no statistics of it.
        notes: what the reader of scores should know of how predictions were read.
    """

    predictions: Any
    references: Any
    clusters: np.ndarray | None = None
    kept: Mapping[str, np.ndarray] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Statistics:
    """Rows of one metric for the samples of a file.

    Attributes:
        rows: float64 [N, k].
        ids: gives the N sample ids; files of the same ``ids_key`` have the same ones.
        clusters: [N], what samples share, or ``None``.
    """

    rows: np.ndarray
    ids: Callable[[], Sequence[str]]
    ids_key: bytes
    clusters: np.ndarray | None = None


@dataclass(frozen=True)
class Parts:
    """Groups of samples in a record's ``by_group``, each with ``n``, ``correct`` and ``accuracy``.

    Attributes:
        key: under which they are kept.
        overall, average: the metrics that follow from all counts, and from the accuracies of the groups.
        each: what the name of a group's own metric begins with, or ``None`` where groups have none.
    """

    key: str
    overall: str
    average: str
    each: str | None = None


class TaskKind(ABC):
    """A task.

    ``keeps_statistics``: references are texts that do not go into a file; each metric's rows do.
    ``parts``: what metrics have to agree with, where the task keeps such groups.
    """

    name: str
    keeps_statistics = False
    parts: Parts | None = None

    @abstractmethod
    def write(self, path: Path, outcome: Outcome) -> None:
        """Keep an outcome as a parquet file."""

    @abstractmethod
    def read(self, path: Path) -> Outcome:
        """Return a kept outcome.

        Raises:
            UserError: the file is missing or of another kind.
        """

    def statistics(self, columns: tables.Columns, spec: MetricSpec, metric: Metric) -> Statistics:
        """Return the rows of one metric, kept or made of a kept outcome; reads no more of the file than it must.

        Raises:
            UserError: the file is of another kind.
            Unavailable: the metric gives no rows.
        """
        if columns.outcome is None:
            columns.outcome = self.read(columns.path)
        outcome = columns.outcome
        rows = outcome.kept.get(spec.name)
        if rows is None:
            rows = statistics_of(metric, outcome.predictions, outcome.references)
        ids = outcome.predictions.ids
        return Statistics(rows, lambda: ids, "\0".join(ids).encode(), outcome.clusters)

    def by_group(self, outcome: Outcome, context: MetricContext) -> dict[str, Any]:
        """Return the record's ``by_group``."""
        del outcome, context
        return {}

    def grouped(self, outcome: Outcome, context: MetricContext) -> tuple[Sequence[str], np.ndarray] | None:
        """Return the names of the task's :class:`Parts`, and the number of each sample's, int64 [N]; ``None`` where
        the task does not say."""
        del outcome, context
        return None

    def correct(self, outcome: Outcome) -> np.ndarray | None:
        """Return whether each sample is right, bool [N]; ``None`` where that is a matter of degree."""
        del outcome
        return None

    def gates(
        self, outcome: Outcome, metrics: Mapping[str, Any], checks: Sequence[Mapping[str, Any]]
    ) -> list[gates.Gate]:
        """Return again the gates among a record's *checks* that follow from a kept outcome and its *metrics*."""
        del outcome, metrics, checks
        return []


class Classification(TaskKind):
    """References are class numbers."""

    name = "classification"
    parts = Parts("class", "overall_accuracy", "average_accuracy")

    def write(self, path: Path, outcome: Outcome) -> None:
        """Keep labels and probabilities (see :mod:`rsbench.tasks.predictions`)."""
        made = outcome.predictions
        label_files.write(path, made.ids, outcome.references, made.labels, made.probabilities)

    def read(self, path: Path) -> Outcome:
        """Return predictions and references int64 [N]."""
        return Outcome(*label_files.read(path))

    def statistics(self, columns: tables.Columns, spec: MetricSpec, metric: Metric) -> Statistics:
        """Return the rows of one metric; probabilities are read for those that need them."""
        if "probabilities" in spec.needs:
            return super().statistics(columns, spec, metric)
        labels, references = label_files.read_labels(columns)
        rows = statistics_of(metric, Predictions([], labels), references)
        return Statistics(rows, lambda: _ids(columns), columns.raw("id"))

    def grouped(self, outcome: Outcome, context: MetricContext) -> tuple[Sequence[str], np.ndarray]:
        """Classes of the references."""
        return context.classes, outcome.references

    def correct(self, outcome: Outcome) -> np.ndarray:
        """Whether the label is the reference."""
        return np.asarray(outcome.predictions.labels == outcome.references)

    def by_group(self, outcome: Outcome, context: MetricContext) -> dict[str, Any]:
        """Figures per class, confusion matrix and reliability."""
        return breakdown(outcome.predictions, outcome.references, context.classes)

    def gates(
        self, outcome: Outcome, metrics: Mapping[str, Any], checks: Sequence[Mapping[str, Any]]
    ) -> list[gates.Gate]:
        """Above chance, above pixel statistics, not collapsed."""
        made, true = outcome.predictions, outcome.references
        correct, floor = int((made.labels == true).sum()), gates.floor_of(checks, gates.FLOOR)
        found = [gates.above_chance(correct, true)]
        if made.probabilities is not None and gates.spread_is_kept(made.labels, made.probabilities):
            found.append(gates.not_collapsed(made.labels, made.probabilities))
        if floor is not None and gates.decided(correct / len(true), floor):
            found.append(gates.above_baseline(correct / len(true), floor))
        return found


class Captioning(TaskKind):
    """References are sentences of a dataset: what is kept of them is each metric's statistics."""

    name = "captioning"
    keeps_statistics = True

    def write(self, path: Path, outcome: Outcome) -> None:
        """Keep ``id``, ``caption`` and ``statistics:<metric>`` (lists of float64)."""
        import pyarrow as pa

        columns: dict[str, Any] = {
            "id": pa.array(list(outcome.predictions.ids), pa.string()),
            "caption": pa.array(list(outcome.predictions.captions), pa.string()),
        }
        for name, rows in outcome.kept.items():
            columns[STATISTICS + name] = pa.array(list(rows), pa.list_(pa.float64()))
        tables.write(path, columns)

    def read(self, path: Path) -> Outcome:
        """Return captions and statistics; there are no references."""
        table = tables.read(path, ("id", "caption"))
        kept = {
            name.removeprefix(STATISTICS): np.array(table[name].to_pylist(), dtype=np.float64)
            for name in table.column_names
            if name.startswith(STATISTICS)
        }
        return Outcome(Captions(table["id"].to_pylist(), table["caption"].to_pylist()), None, kept=kept)

    def statistics(self, columns: tables.Columns, spec: MetricSpec, metric: Metric) -> Statistics:
        """Return the rows that were kept of one metric."""
        name = STATISTICS + spec.name
        rows = np.array(columns.read((name,))[name].to_pylist(), dtype=np.float64)
        return Statistics(rows, lambda: _ids(columns), columns.raw("id"))

    def by_group(self, outcome: Outcome, context: MetricContext) -> dict[str, Any]:
        """How varied the captions are."""
        del context
        said = [caption.split() for caption in outcome.predictions.captions]
        return {
            "captions": {
                "n": len(said),
                "distinct": len({" ".join(s) for s in said}),
                "mean_words": float(np.mean([len(s) for s in said])) if said else None,
                "empty": sum(not s for s in said),
            }
        }

    def gates(
        self, outcome: Outcome, metrics: Mapping[str, Any], checks: Sequence[Mapping[str, Any]]
    ) -> list[gates.Gate]:
        """Above the commonest caption; more than one sentence said."""
        name, value = next(((n, m["value"]) for n, m in metrics.items() if m["primary"]), ("", None))
        floor = gates.floor_of(checks, gates.COMMONEST)
        found = [gates.several_captions(outcome.predictions.captions)]
        if floor is not None and value is not None and gates.decided(value, floor):
            found.append(gates.above_commonest(name, value, floor))
        return found


class VisualQuestionAnswering(TaskKind):
    """References are answer numbers and, for count questions, counts; questions about one image are a cluster."""

    name = "vqa"
    parts = Parts("question_type", "OA", "AA", each="accuracy_")

    def write(self, path: Path, outcome: Outcome) -> None:
        """Keep ``id``, ``image``, ``kind``, ``reference``, ``prediction``, ``true_count`` and ``count``."""
        import pyarrow as pa

        made, true = outcome.predictions, outcome.references
        counts = np.full(len(made), np.nan) if made.counts is None else made.counts
        tables.write(
            path,
            {
                "id": pa.array(list(made.ids), pa.string()),
                "image": pa.array(list(made.images), pa.string()),
                "kind": pa.array(made.kinds.astype(np.int8)),
                "reference": pa.array(true.answers.astype(np.int16)),
                "prediction": pa.array(made.answers.astype(np.int16)),
                "true_count": pa.array(true.counts, from_pandas=True),
                "count": pa.array(counts.astype(np.float32), from_pandas=True),
            },
        )

    def read(self, path: Path) -> Outcome:
        """Return answers and references, clustered by image."""
        table = tables.read(path, ("id", "image", "kind", "reference", "prediction", "true_count", "count"))
        counts = _numbers(table["count"])
        images = table["image"].to_pylist()
        made = Answers(
            table["id"].to_pylist(),
            tables.numbers(table, "prediction").astype(np.int64),
            tables.numbers(table, "kind").astype(np.int64),
            images,
            None if np.isnan(counts).all() else counts,
        )
        true = AnswerReferences(tables.numbers(table, "reference").astype(np.int64), _numbers(table["true_count"]))
        return Outcome(made, true, clusters=np.unique(np.array(images), return_inverse=True)[1])

    def grouped(self, outcome: Outcome, context: MetricContext) -> tuple[Sequence[str], np.ndarray]:
        """Types of question."""
        return context.question_types, outcome.predictions.kinds

    def correct(self, outcome: Outcome) -> np.ndarray:
        """Whether the answer is the reference."""
        return np.asarray(outcome.predictions.answers == outcome.references.answers)

    def by_group(self, outcome: Outcome, context: MetricContext) -> dict[str, Any]:
        """Questions and correct answers of each type, and the answers given."""
        made, true = outcome.predictions, outcome.references
        correct = made.answers == true.answers
        kinds = {}
        for k, name in enumerate(context.question_types):
            inside = made.kinds == k
            n = int(inside.sum())
            right = int(correct[inside].sum())
            kinds[name] = {"n": n, "correct": right, "accuracy": right / n if n else None}
        given = np.bincount(made.answers[made.answers >= 0], minlength=len(context.classes))
        return {"question_type": kinds, "answers": dict(zip(context.classes, given.tolist(), strict=True))}

    def gates(
        self, outcome: Outcome, metrics: Mapping[str, Any], checks: Sequence[Mapping[str, Any]]
    ) -> list[gates.Gate]:
        """Above the commonest answer; more than one answer given."""
        made, true = outcome.predictions, outcome.references
        correct = int((made.answers == true.answers).sum())
        return [gates.above_chance(correct, true.answers), gates.several_answers(made.answers)]


def _ids(columns: tables.Columns) -> list[str]:
    return columns.read(("id",))["id"].to_pylist()


def metric_context(plan: Mapping[str, Any]) -> MetricContext:
    """What metrics are told of a planned run."""
    dataset = plan["dataset"]
    return MetricContext(plan["task"], tuple(dataset["classes"]), tuple(dataset.get("question_types", ())))


def _numbers(column: Any) -> np.ndarray:
    return np.array([np.nan if v is None else v for v in column.to_pylist()], dtype=np.float64)


_CORE: Final[dict[str, TaskKind]] = {t.name: t for t in (Classification(), Captioning(), VisualQuestionAnswering())}


def kind_of(task: str) -> TaskKind:
    """Return the task called *task*: one of the core's, or that of a plugin's ``TaskSpec``.

    Raises:
        UserError: there is none.
    """
    if task in _CORE:
        return _CORE[task]
    return load_attribute(f"{registry().get('task', task).module}:TASK")
