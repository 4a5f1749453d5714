"""Visual question answering: how answers are kept, scored and shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from rsbench.data.store import PreparedStore
from rsbench.errors import UserError
from rsbench.metrics.contract import MetricContext
from rsbench.tasks import sanity_checks, tables
from rsbench.tasks.answers import ANSWERS_LR, TYPES_LR
from rsbench.tasks.task import Entry, Outcome, Parts, Task
from rsbench.tasks.vqa import AnswerReferences, Answers
from rsbench_vqa import score

QUESTIONS: Final = 4  # of one image that a page shows


class VisualQuestionAnswering(Task):
    """References are answer numbers and, for count questions, counts; questions about one image are a cluster."""

    name = "vqa"
    unit = "questions"
    shapes_in_plan = False  # how long questions are depends on those of the dataset
    beside = ("AA", "accuracy_count", "accuracy_presence", "accuracy_comp", "accuracy_rural_urban")
    id_fields, value_field = ("question_id", "id"), "answer"
    hub, stac = "visual-question-answering", "classification"
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
                "kind": pa.array(made.question_types.astype(np.int8)),
                "reference": pa.array(true.answers.astype(np.int16)),
                "prediction": pa.array(made.answers.astype(np.int16)),
                "true_count": pa.array(true.counts, from_pandas=True),
                "count": pa.array(counts.astype(np.float32), from_pandas=True),
            },
        )

    def read(self, path: Path) -> Outcome:
        """Return answers and references, clustered by image."""
        table = tables.read(path, ("id", "image", "kind", "reference", "prediction", "true_count", "count"))
        counts = numbers_or_nan(table["count"])
        images = table["image"].to_pylist()
        made = Answers(
            table["id"].to_pylist(),
            tables.numbers(table, "prediction").astype(np.int64),
            tables.numbers(table, "kind").astype(np.int64),
            images,
            None if np.isnan(counts).all() else counts,
        )
        true = AnswerReferences(
            tables.numbers(table, "reference").astype(np.int64), numbers_or_nan(table["true_count"])
        )
        return Outcome(made, true, clusters=np.unique(np.array(images), return_inverse=True)[1])

    def grouped(self, outcome: Outcome, context: MetricContext) -> tuple[Sequence[str], np.ndarray]:
        """Types of question."""
        return context.question_types, outcome.predictions.question_types

    def correct(self, outcome: Outcome) -> np.ndarray:
        """Whether the answer is the reference."""
        return np.asarray(outcome.predictions.answers == outcome.references.answers)

    def by_group(self, outcome: Outcome, context: MetricContext) -> dict[str, Any]:
        """Questions and correct answers of each type, and the answers given."""
        made, true = outcome.predictions, outcome.references
        correct = made.answers == true.answers
        question_types = {}
        for k, name in enumerate(context.question_types):
            inside = made.question_types == k
            n = int(inside.sum())
            right = int(correct[inside].sum())
            question_types[name] = {"n": n, "correct": right, "accuracy": right / n if n else None}
        given = np.bincount(made.answers[made.answers >= 0], minlength=len(context.classes))
        return {"question_type": question_types, "answers": dict(zip(context.classes, given.tolist(), strict=True))}

    def sanity_checks(
        self, outcome: Outcome, metrics: Mapping[str, Any], checks: Sequence[Mapping[str, Any]]
    ) -> list[sanity_checks.SanityCheck]:
        """Above the most frequent answer; more than one answer given."""
        made, true = outcome.predictions, outcome.references
        correct = int((made.answers == true.answers).sum())
        return [sanity_checks.above_chance(correct, true.answers), several_answers(made.answers)]

    def references_of(
        self, entries: Sequence[Entry], classes: Sequence[str] | None, predictions: Sequence[Entry]
    ) -> tuple[dict[str, Any], MetricContext]:
        """Entries ``{"id", "image", "type", "answer"}``; answers and types are those of RSVQA-LR."""
        del classes, predictions
        return {entry["id"]: entry for entry in entries}, MetricContext(self.name, ANSWERS_LR, TYPES_LR)

    def references_in(self, store: PreparedStore, samples: np.ndarray) -> dict[str, Any]:
        """Entries ``{"id", "image", "type", "answer"}``."""
        classes, columns = store.manifest["classes"], store.columns
        return {
            store.ids[i]: {
                "id": store.ids[i],
                "image": store.image_ids[store.image_index[i]],
                "type": columns["kind"][i],
                "answer": classes[store.labels[i]] if columns["count"][i] is None else columns["count"][i],
            }
            for i in samples
        }

    def outcome_of(
        self, entries: Sequence[Entry], references: Mapping[str, Any], context: MetricContext, *, logits: bool = False
    ) -> Outcome:
        """Answers, clustered by image."""
        del logits
        return score.outcome_of(entries, [*references.values()], context.classes, context.question_types)

    def shown(self, store: PreparedStore, samples: Sequence[int]) -> Sequence[int]:
        """A question of each type."""
        question_types = store.columns["kind"]
        of_type = {question_types[sample]: sample for sample in reversed(samples)}
        return [sample for _, sample in sorted(of_type.items())][:QUESTIONS]

    def question(self, store: PreparedStore, sample: int) -> str:
        """The question."""
        return str(store.columns["question"][sample])

    def blank_columns(
        self, samples: int, outputs: int, dataset: Mapping[str, Any], **asked: str
    ) -> dict[str, list[Any]]:
        """The question, of a type that has to be given where there are several: networks may answer by it."""
        types = dataset.get("question_types", ())
        if "question" not in asked:
            raise UserError("What is asked of the images? Give a question.")
        kind = asked.get("question_type", types[0] if len(types) == 1 else "")
        if kind not in types:
            raise UserError(f"Of which type is the question? Its type is one of {', '.join(types)}; '{kind}' is not.")
        return {
            "question": [asked["question"]] * samples,
            "kind": [kind] * samples,
            "label": [0] * samples,
            "count": [None] * samples,
        }

    def truth(self, store: PreparedStore, sample: int) -> tuple[str, ...]:
        """The answer."""
        return (store.manifest["classes"][int(store.labels[sample])],)

    def prediction_text(self, outcome: Outcome, row: int, classes: Sequence[str]) -> str:
        """The answer."""
        answer = int(outcome.predictions.answers[row])
        return classes[answer] if answer >= 0 else "none of the answers"

    def synthetic_columns(self, samples: int, texts: Sequence[str], dataset: Mapping[str, Any]) -> dict[str, list[Any]]:
        """A question a sample, of each type in turn."""
        types = dataset["question_types"]
        return {
            "question": [" ".join(texts[k::samples]) for k in range(samples)],
            "kind": [types[k % len(types)] for k in range(samples)],
        }

    def workload(self, dataset: Mapping[str, Any], options: Mapping[str, Any]) -> list[str]:
        """Answers and questions an image."""
        return [f"{len(dataset['classes'])} answers", f"{options['questions_per_image']} questions an image"]


def numbers_or_nan(column: Any) -> np.ndarray:
    """Return a column of numbers float64 [N], NaN where there is none."""
    return np.array([np.nan if v is None else v for v in column.to_pylist()], dtype=np.float64)


def several_answers(answers: np.ndarray) -> sanity_checks.SanityCheck:
    """More than one answer is given."""
    given = len(np.unique(answers))
    return {"name": sanity_checks.COLLAPSED, "ok": given > 1, "detail": f"{given} different answers"}


TASK: Final = VisualQuestionAnswering()
