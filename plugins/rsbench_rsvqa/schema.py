"""The file schema of RSVQA: questions, answers and images as three lists of JSON objects per split.

A question is ``{"id", "img_id", "type", "question", "answers_ids", "active"}``, an answer ``{"id", "answer"}``.  Lists
hold placeholders ``{"id", "active": false}`` that stand for what belongs to another split.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rsbench.errors import UserError
from rsbench.reading import whole
from rsbench.tasks.answers import ANSWERS_LR, TYPES_LR, canonical_answer, plain

Row = Mapping[str, Any]


def columns(
    questions: Iterable[Row],
    answers: Iterable[Row],
    split: str,
    images: Mapping[int, int],
    classes: Sequence[str] = ANSWERS_LR,
    types: Sequence[str] = TYPES_LR,
) -> dict[str, list[Any]]:
    """Return the columns of a :class:`rsbench.data.source.Source`, one row for each active question.

    The answer is the first of ``answers_ids``; whole numbers are kept in ``count`` and put in the bins of RSVQA-LR.

    Args:
        questions, answers: entries of the published JSON files.
        split: name of the part that they are of.
        classes: answers, in the order of their numbers.
        types: of questions that are known.
        images: image id -> number of the image.

    Raises:
        UserError: a question has no answer or an unknown type, an answer fits no bin, or an image has no file; the
            sentence names the question.
    """
    said = {row["id"]: row["answer"] for row in answers if row.get("active", True) and "answer" in row}
    number = {name: k for k, name in enumerate(classes)}
    found: dict[str, list[Any]] = {
        name: [] for name in ("id", "image", "kind", "question", "label", "count", "official_split")
    }
    for row in questions:
        if not row.get("active", True):
            continue
        name = f"question {row['id']} of split {split}"
        if row["type"] not in types:
            raise UserError(f"The {name} has type '{row['type']}', which is not one of {', '.join(types)}.")
        first = next(iter(row.get("answers_ids", ())), None)
        answer = said.get(first) if isinstance(first, int) else None
        if answer is None:
            raise UserError(f"The {name} has no answer.")
        text = canonical_answer(str(answer))
        if text not in number:
            raise UserError(f"The answer '{answer}' to {name} is none of the {len(classes)} answers and fits no bin.")
        if row["img_id"] not in images:
            raise UserError(f"The {name} is about image {row['img_id']}, which has no file.")
        found["id"].append(str(row["id"]))
        found["image"].append(images[row["img_id"]])
        found["kind"].append(row["type"])
        found["question"].append(row["question"])
        found["label"].append(number[text])
        found["count"].append(count_of(str(answer)) if row["type"] == "count" else None)
        found["official_split"].append(split)
    return found


def count_of(answer: str) -> int | None:
    """Return the whole number that an answer is, or ``None`` where it is a bin or a word."""
    text = plain(answer)
    return whole(text)
