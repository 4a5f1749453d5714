"""Scores answers to questions made elsewhere."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from rsbench.errors import UserError, did_you_mean
from rsbench.tasks.answers import ANSWERS_LR, TYPES_LR, canonical_answer, plain
from rsbench.tasks.entries import identity, matched
from rsbench.tasks.task import Outcome
from rsbench.tasks.vqa import AnswerReferences, Answers


def outcome_of(
    predictions: Sequence[Mapping[str, Any]],
    references: Sequence[Mapping[str, Any]],
    answers: Sequence[str] = ANSWERS_LR,
    types: Sequence[str] = TYPES_LR,
) -> Outcome:
    """Match answers with references ``{"id", "image", "type", "answer"}``, in the order of the references.

    Counts are put in the bins of RSVQA-LR.  Space around answers and references is dropped; an answer that is none of
    *answers* counts as wrong and as unparsable.

    Args:
        predictions: ``{"id", "answer"}`` each.
        references: ``{"id", "image", "type", "answer"}`` each.
        answers: all that there are, in the order of their numbers.
        types: of questions, in the order of their numbers.

    Raises:
        UserError: an id is missing or unknown, a type is unknown, or a reference's answer fits no bin.
    """
    number = {name: k for k, name in enumerate(answers)}
    truth = {entry["id"]: _reference(entry, number, types) for entry in references}
    by_id = matched(predictions, truth)
    said = [_answer(by_id[name], f"Prediction '{name}'") for name in truth]
    images = [_image(entry) for entry in references]
    made = Answers(
        list(truth),
        np.array([number.get(_listed(text, number), -1) for text in said], dtype=np.int64),
        np.array([list(types).index(kind) for _, kind in truth.values()], dtype=np.int64),
        images,
        _as_stored(np.array([_count(text) for text in said])),
    )
    true = AnswerReferences(
        np.array([number[_listed(text, number)] for text, _ in truth.values()], dtype=np.int64),
        np.array([_count(text) if kind == "count" else np.nan for text, kind in truth.values()]),
    )
    return Outcome(made, true, clusters=np.unique(np.array(images), return_inverse=True)[1])


def _reference(entry: Mapping[str, Any], answers: Collection[str], types: Sequence[str]) -> tuple[str, str]:
    """Return answer and type of a reference."""
    owner = f"Reference '{entry['id']}'"
    text = _answer(entry, owner)
    if _listed(text, answers) not in answers:
        raise UserError(f"The answer '{text}' of reference '{entry['id']}' is none of the {len(answers)}.")
    kind = identity(entry.get("type"))
    if kind is None or kind not in types:
        raise UserError(f"{owner} has type '{kind}', not {', '.join(types)}.{did_you_mean(str(kind), types)}")
    return text, kind


def _listed(text: str, answers: Collection[str]) -> str:
    """Return an answer as it is where a dataset has numbers among its answers, else as RSVQA-LR bins them."""
    known = plain(text)
    return known if known in answers else canonical_answer(text)


def _answer(entry: Mapping[str, Any], owner: str) -> str:
    text = identity(entry.get("answer"))
    if text is None:
        raise UserError(f"{owner} has no 'answer' that is a text or a whole number.")
    return text


def _image(entry: Mapping[str, Any]) -> str:
    """Return what a question is about; one without is about an image of its own."""
    image = next((entry[name] for name in ("image", "image_id") if name in entry), entry["id"])
    return identity(image) or str(image)


def _count(text: str) -> float:
    """The number that a text is, or NaN."""
    text = plain(text)
    return float(text) if text.isascii() and text.isdigit() else np.nan


def _as_stored(counts: np.ndarray) -> np.ndarray:
    """Counts as files keep them: the numbers are the same with --save and without, and can be verified."""
    with np.errstate(over="ignore"):
        return counts.astype(np.float32).astype(np.float64)
