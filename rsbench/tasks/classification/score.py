"""Scores predictions made elsewhere: what all tasks share, and classification."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import numpy as np

from rsbench.errors import UserError, did_you_mean
from rsbench.foreign import whole
from rsbench.tasks.classification import Predictions
from rsbench.tasks.distributions import matrix_of, normalized, softmax
from rsbench.tasks.entries import and_more, identity, matched
from rsbench.tasks.task import Outcome

MOST_CLASSES: Final = 2**15  # what int16 holds
_NUMBER: Final = re.compile(r"-?[0-9]{1,18}")


def label_of(value: Any) -> str | None:
    """Return the text of a label, or ``None`` where it is none; 7, 7.0, "7" and "07" are the same."""
    text = identity(value)
    return str(int(text)) if text and _NUMBER.fullmatch(text) else text or None


def references_of(
    entries: Sequence[Mapping[str, Any]], classes: Sequence[str] | None, predictions: Sequence[Mapping[str, Any]] = ()
) -> tuple[dict[str, int], list[str]]:
    """Return id -> class number and the class names.

    Labels are class names or whole numbers, as numbers or as text.  Without *classes* these are the names in
    alphabetical order, or, of numbers, all from 0 on where *predictions* have probabilities, else those that occur.

    Raises:
        UserError: a label is missing or not one of the classes, or the order of the classes cannot be known.
    """
    labels = {e["id"]: label_of(e.get("label")) for e in entries}
    if missing := [name for name, label in labels.items() if label is None]:
        raise UserError(
            f"Reference '{missing[0]}'{and_more(missing)} has no 'label' that is a class name or a whole number."
        )
    if classes is None:
        width = max((len(v) for e in predictions for v in map(e.get, _SCORES) if isinstance(v, list)), default=0)
        said = {label_of(e.get("label")) for e in predictions}
        classes = _classes_of({v for v in labels.values() if v}, {v for v in said if v}, width)
    names = [text.strip() for text in classes]
    place = _places(names)
    return {i: label_number(v, place, f"Reference '{i}'") for i, v in labels.items()}, names


_SCORES: Final = ("probabilities", "logits")


def _places(names: Sequence[str]) -> dict[str, int]:
    """Return class name -> number.

    Raises:
        UserError: a name is empty or there twice.
    """
    place = {label_of(name) or "": k for k, name in enumerate(names)}
    if "" in place:
        raise UserError(f"A class has no name: {', '.join(names)}.")
    if len(place) < len(names):
        raise UserError(f"A class is named twice: {', '.join(names)}.")
    return place


def _classes_of(labels: Collection[str], said: Collection[str], width: int) -> list[str]:
    """Return the classes that references with *labels* have, and predictions that say others or *width* numbers."""
    numbers = sorted(int(text) for text in labels if _NUMBER.fullmatch(text))
    if not numbers:
        return _names_of(labels, width)
    if len(numbers) < len(labels):
        name = next(text for text in labels if not _NUMBER.fullmatch(text))
        raise UserError(
            f"Some references have a class name ('{name}') and others a number ({numbers[0]}) as 'label'; use one of "
            "the two, or list all by --classes."
        )
    if not width:
        numbers = sorted({*numbers, *(n for text in said if _NUMBER.fullmatch(text) and (n := int(text)) >= 0)})
    if numbers[-1] >= MOST_CLASSES:
        raise UserError(f"Label {numbers[-1]} is too high for a class number; name the classes, or use --classes.")
    if not width or (len(numbers) == width and numbers[0] > 0):
        return [str(n) for n in numbers if n >= 0]
    if numbers[-1] < width:
        return [str(n) for n in range(width)]
    raise UserError(
        f"The references have labels up to {numbers[-1]}, and a prediction {width} numbers; list the classes in their "
        "order by --classes."
    )


def _names_of(labels: Collection[str], width: int) -> list[str]:
    """Return names in alphabetical order, which has to be that of probabilities, so that 'b10' before 'b2' is not
    taken for granted."""
    names = sorted(labels)
    if width and names != sorted(names, key=_as_counted):
        raise UserError(
            f"Are classes ordered {_few(names)} or {_few(sorted(names, key=_as_counted))}? List them in the order of "
            "the probabilities by --classes."
        )
    return names


def _as_counted(name: str) -> list[tuple[bool, int, str]]:
    parts = re.split("([0-9]{1,18})", name)
    return [(whole(part) is not None, whole(part) or 0, part) for part in parts]


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", .." if len(names) > 3 else "")


def label_number(label: Any, classes: Mapping[str, int], owner: str) -> int:
    """Return the number of a class given by name or, where no name is a number, by number.

    Args:
        label: as it was read.
        classes: name, as :func:`label_of` gives it, -> number.
        owner: what begins the sentence of an error.

    Raises:
        UserError: it is not one of *classes*.
    """
    text = label_of(label)
    if text is None:
        raise UserError(f"{owner} has no 'label' that is a class name or a whole number.")
    if text in classes:
        return classes[text]
    if _NUMBER.fullmatch(text) and 0 <= int(text) < len(classes) and not any(map(_NUMBER.fullmatch, classes)):
        return int(text)
    raise UserError(
        f"{owner} has label '{text}', which is not one of the {len(classes)} classes.{did_you_mean(text, classes)}"
    )


def outcome_of(
    entries: Sequence[Mapping[str, Any]], references: Mapping[str, int], classes: Sequence[str], *, logits: bool = False
) -> Outcome:
    """Match predictions with class numbers by id, in the order of the references.

    Args:
        entries: each with ``label`` or ``probabilities``, or both; all have probabilities, or none has.
        references: id -> class number.
        classes: their names, in the order of the probabilities.
        logits: ``logits`` or ``probabilities`` hold logits, of which the softmax is taken.

    Raises:
        UserError: an id is missing or unknown, or a prediction is not valid; the sentence names the id.
    """
    by_id = matched(entries, references)
    ids, truth = list(references), np.array(list(references.values()), dtype=np.int64)
    place = _places(classes)
    field = _field_of(by_id, logits)
    if field is None:
        labels = [label_number(entry.get("label"), place, f"Prediction '{n}'") for n, entry in by_id.items()]
        return Outcome(Predictions(ids, np.array(labels, dtype=np.int64)), truth)
    raw = matrix_of(by_id, field, len(classes))
    rows, note = (softmax(raw), None) if logits else normalized(raw, ids)
    best = raw.argmax(axis=1)
    labels = [
        label_number(entry["label"], place, f"Prediction '{n}'") if "label" in entry else int(k)
        for (n, entry), k in zip(by_id.items(), best, strict=True)
    ]
    notes = [note] if note else []
    if other := [n for n, k, row in zip(ids, labels, raw, strict=True) if row[k] < row.max()]:
        notes.append(
            f"The label of prediction '{other[0]}'{and_more(other)} is not its most probable class; labels are scored."
        )
    numbered = [int(name) for name in classes if _NUMBER.fullmatch(name)]
    if numbered[:1] == [0] and len(numbered) == len(classes) and truth.min() > 0:
        notes.append("No reference has label 0; if labels count from 1, list them by --classes.")
    return Outcome(Predictions(ids, np.array(labels, dtype=np.int64), rows), truth, notes=notes)


def _field_of(entries: Mapping[str, Mapping[str, Any]], logits: bool) -> str | None:
    """Return the field with a number for each class, or ``None`` where there are labels only."""
    field = next((f for f in reversed(_SCORES) if any(f in entry for entry in entries.values())), None)
    if field is None and logits:
        raise UserError("With --logits predictions need 'logits', a list of one number for each class.")
    if field == "logits" and not logits:
        raise UserError("The predictions have 'logits'; say --logits to have their softmax scored.")
    if field and (without := [name for name, entry in entries.items() if field not in entry]):
        raise UserError(
            f"Prediction '{without[0]}'{and_more(without)} has no {field}, but others have: give them for all or for "
            "none."
        )
    return field
