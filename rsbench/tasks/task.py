"""A task without torch: how predictions are kept, read, scored and shown."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rsbench import renamed
from rsbench.data.store import PreparedStore
from rsbench.errors import UserError
from rsbench.metrics.contract import Metric, MetricContext
from rsbench.metrics.guard import statistics_of
from rsbench.registry import registry
from rsbench.specs import MetricSpec, load_attribute
from rsbench.tasks import sanity_checks, tables

Entry = Mapping[str, Any]


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


class Task(ABC):
    """A task.

    Attributes:
        unit: what speed is counted in.
        generative: it says texts of any length; else it chooses among the dataset's classes, or says numbers.
        shapes_in_plan: of a network's inputs; all but the number of words.
        probabilistic: predictions may be probabilities, or logits, of classes.
        keeps_statistics: references are texts that do not go into a file; each metric's rows do.
        parts: what metrics have to agree with, where the task keeps such groups.
        beside: metrics that papers print beside the primary one.
        id_fields: of an entry of a file (:mod:`rsbench.tasks.entries`): what it is of, the first that it has.
        value_field: of an entry: what a bare value is.
        hub, stac: what the Hugging Face Hub and STAC's MLM extension call the task.
    """

    name: str
    unit = "samples"
    generative = False
    probabilistic = False
    shapes_in_plan = True
    keeps_statistics = False
    parts: Parts | None = None
    beside: tuple[str, ...] = ()
    id_fields: tuple[str, ...] = ("id", "image_id")
    value_field = "value"
    hub: str | None = None
    stac = "other"

    def __init_subclass__(cls) -> None:
        renamed.members(renamed.TASK, cls)

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

    def sanity_checks(
        self, outcome: Outcome, metrics: Mapping[str, Any], checks: Sequence[Mapping[str, Any]]
    ) -> list[sanity_checks.SanityCheck]:
        """Return again those of a record's *checks* that follow from a kept outcome and its *metrics*."""
        del outcome, metrics, checks
        return []

    def context(self, dataset: Mapping[str, Any]) -> MetricContext:
        """What metrics are told, of a plan's ``dataset`` or a store's manifest."""
        return MetricContext(self.name, tuple(dataset["classes"]), tuple(dataset.get("question_types", ())))

    def merged(self, references: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the entries of a file of references, several of one sample made one."""
        return references

    def listed(self, values: Sequence[Any]) -> dict[str, Any]:
        """Return the fields of an entry that a file has as a bare list."""
        return {self.value_field: values}

    def references_of(
        self, entries: Sequence[Entry], classes: Sequence[str] | None, predictions: Sequence[Entry]
    ) -> tuple[dict[str, Any], MetricContext]:
        """Return id -> reference of a file's entries, and what metrics are told.

        Args:
            entries: as :func:`rsbench.tasks.entries.references_in` reads them.
            classes: names in the order of the probabilities, where they were given.
            predictions: what will be held against them, which may say how many classes there are.

        Raises:
            UserError: an entry does not say what is true, or *classes* are not of this task.
        """
        raise UserError(f"Task '{self.name}' does not score files of references; give the name of a prepared dataset.")

    def references_in(self, store: PreparedStore, samples: np.ndarray) -> dict[str, Any]:
        """Return id -> reference of *samples* int64 [N] of a prepared dataset.

        Raises:
            UserError: the task does not say how.
        """
        raise UserError(f"Task '{self.name}' does not score predictions from elsewhere.")

    def outcome_of(
        self, entries: Sequence[Entry], references: Mapping[str, Any], context: MetricContext, *, logits: bool = False
    ) -> Outcome:
        """Match predictions with references by id, in the order of the references.

        Args:
            entries: as :func:`rsbench.tasks.entries.predictions_in` reads them.
            references: id -> reference.
            context: as :meth:`references_of` or :meth:`context` returns it.
            logits: predictions are logits.

        Raises:
            UserError: an id is missing or unknown, or a prediction is not valid; the sentence names the id.
        """
        raise UserError(f"Task '{self.name}' does not score predictions from elsewhere.")

    def as_kept(self, outcome: Outcome) -> Outcome:
        """Return an outcome as :meth:`read` gives it back after :meth:`write`, as far as numbers are rounded."""
        return outcome

    def details(self, outcome: Outcome, specs: Sequence[MetricSpec]) -> dict[str, Any]:
        """Return what ``rsbench score`` says beside metrics and groups."""
        del outcome, specs
        return {}

    def shown(self, store: PreparedStore, samples: Sequence[int]) -> Sequence[int]:
        """Return which *samples* of one image a page shows: the first."""
        del store
        return samples[:1]

    def question(self, store: PreparedStore, sample: int) -> str:
        """Return what is asked of an image, in words; nothing where it is always the same."""
        del store, sample
        return ""

    def truth(self, store: PreparedStore, sample: int) -> tuple[str, ...]:
        """Return what is true of a sample, in words; nothing where the task does not say: it has no samples then."""
        del store, sample
        return ()

    def prediction_text(self, outcome: Outcome, row: int, classes: Sequence[str]) -> str:
        """Return what was predicted of the sample in a row of an outcome, in words; a task that writes ``truth``
        writes it, too."""
        raise UserError(f"Task '{self.name}' does not say in words what was predicted.")

    def blank_columns(
        self, samples: int, outputs: int, dataset: Mapping[str, Any], **asked: str
    ) -> dict[str, list[Any]]:
        """Return columns of samples of which nothing is known but the image, beside ``id``, for predictions of new
        images.

        Args:
            samples: how many.
            outputs: numbers that the network gives of each (:attr:`rsbench.tasks.context.ModelContext.outputs`).
            dataset: a plan's.
            asked: ``question`` and ``question_type``, as far as they were given; they hold for all samples.

        Raises:
            UserError: the task predicts no new images, asks no questions, or needs one.
        """
        raise UserError(f"Task '{self.name}' does not predict new images.")

    def _unasked(self, asked: Mapping[str, str]) -> None:
        """Refuse questions, of a task without."""
        if asked:
            raise UserError(f"Task '{self.name}' asks no questions: leave {', '.join(sorted(asked))} out.")

    def predicted(self, outcome: Outcome, classes: Sequence[str], top: int) -> dict[str, list[Any]]:
        """Return columns of texts and numbers, one value a sample, that tell a reader what was predicted.

        Args:
            top: where predictions are probabilities, the most probable classes that are told.
        """
        del top
        rows = range(len(outcome.predictions))
        return {self.value_field: [self.prediction_text(outcome, row, classes) for row in rows]}

    def synthetic_columns(self, samples: int, texts: Sequence[str], dataset: Mapping[str, Any]) -> dict[str, list[Any]]:
        """Return columns of made-up samples, beside ``id`` and ``label``, for runs that measure speed.

        Args:
            samples: how many.
            texts: sentences in which each word of the vocabulary occurs.
            dataset: a plan's, whose facts are those of ``TaskSpec.sample``.
        """
        del samples, texts, dataset
        return {}

    def workload(self, dataset: Mapping[str, Any], options: Mapping[str, Any]) -> list[str]:
        """Return what a made-up sample asks of a network beside the size of its image, in words."""
        del options
        return [f"{len(dataset['classes'])} classes"] if dataset["classes"] else []


def metric_context(plan: Mapping[str, Any]) -> MetricContext:
    """What metrics are told of a planned run."""
    return get_task(plan["task"]).context(plan["dataset"])


def get_task(name: str) -> Task:
    """Return the task of that name.

    Raises:
        UserError: there is none.
    """
    return load_attribute(registry().get("task", name).definition)
