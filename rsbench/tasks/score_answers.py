"""Scores answers to questions made elsewhere, from plain JSON."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from rsbench.errors import UserError, did_you_mean
from rsbench.metrics.contract import MetricContext
from rsbench.metrics.evaluate import evaluate
from rsbench.specs import MetricSpec
from rsbench.tasks.answers import ANSWERS_LR, TYPES_LR, canonical_answer, plain
from rsbench.tasks.kinds import Outcome, VisualQuestionAnswering
from rsbench.tasks.score import load, matched, metrics_of
from rsbench.tasks.vqa import AnswerReferences, Answers

PRIMARY: Final = "OA"


def outcome_of(
    predictions: Sequence[Mapping[str, Any]],
    references: Sequence[Mapping[str, Any]],
    answers: Sequence[str] = ANSWERS_LR,
    types: Sequence[str] = TYPES_LR,
) -> Outcome:
    """Match answers with references ``{"id", "image", "type", "answer"}``, in the order of the references.

    Counts are put in the bins of RSVQA-LR.  Space around an answer is dropped; one that is none of *answers* counts as
    wrong and as unparsable.

    Raises:
        UserError: an id is missing or unknown, a type is unknown, or a reference's answer fits no bin.
    """
    number = {name: k for k, name in enumerate(answers)}
    _check_references(references, number, types)
    ids = [entry["id"] for entry in references]
    by_id = matched(predictions, set(ids))
    for name in ids:
        if not _is_answer(by_id[name].get("answer")):
            raise UserError(f"Prediction '{name}' has no 'answer' that is a text or a whole number.")
    said = [str(by_id[name]["answer"]).strip() for name in ids]
    images = [str(entry.get("image", entry["id"])) for entry in references]
    made = Answers(
        ids,
        np.array([number.get(canonical_answer(text), -1) for text in said], dtype=np.int64),
        np.array([list(types).index(entry["type"]) for entry in references], dtype=np.int64),
        images,
        _as_stored(np.array([_count(text) for text in said])),
    )
    true = AnswerReferences(
        np.array([number[canonical_answer(str(e["answer"]))] for e in references], dtype=np.int64),
        np.array([_count(str(e["answer"])) if e["type"] == "count" else np.nan for e in references]),
    )
    return Outcome(made, true, clusters=np.unique(np.array(images), return_inverse=True)[1])


def _check_references(references: Sequence[Mapping[str, Any]], answers: Collection[str], types: Sequence[str]) -> None:
    for entry in references:
        if not _is_answer(entry.get("answer")):
            raise UserError(f"Reference '{entry['id']}' has no 'answer'.")
        if canonical_answer(str(entry["answer"])) not in answers:
            raise UserError(
                f"The answer '{entry['answer']}' of reference '{entry['id']}' is none of the {len(answers)}."
            )
        if entry.get("type") not in types:
            hint = did_you_mean(str(entry.get("type")), types)
            raise UserError(f"Reference '{entry['id']}' has type '{entry.get('type')}', not {', '.join(types)}.{hint}")


def _is_answer(value: Any) -> bool:
    return isinstance(value, (str, int)) and not isinstance(value, bool)


def _count(text: str) -> float:
    """The number that a text is, or NaN."""
    text = plain(text)
    return float(text) if text.isascii() and text.isdigit() else np.nan


def _as_stored(counts: np.ndarray) -> np.ndarray:
    """Counts as files keep them: the numbers are the same with --save and without, and can be verified."""
    with np.errstate(over="ignore"):
        return counts.astype(np.float32).astype(np.float64)


def score(
    outcome: Outcome,
    specs: Sequence[MetricSpec],
    primary: str = PRIMARY,
    answers: Sequence[str] = ANSWERS_LR,
    types: Sequence[str] = TYPES_LR,
) -> dict[str, Any]:
    """Return ``{"task", "n", "classes", "metrics", "by_group"}``; intervals are clustered by image."""
    context = MetricContext("vqa", tuple(answers), tuple(types))
    return {
        "task": "vqa",
        "n": len(outcome.predictions),
        "classes": list(answers),
        "metrics": evaluate(
            specs, outcome.predictions, outcome.references, context, primary=primary, clusters=outcome.clusters
        ),
        "by_group": VisualQuestionAnswering().by_group(outcome, context),
    }


def score_files(predictions: Path, references: Path) -> dict[str, Any]:
    """Score a predictions file against a references file by every installed metric of VQA."""
    found = outcome_of(load(predictions, "predictions"), load(references, "references"))
    return score(found, metrics_of("vqa"))
