"""Scores predictions made elsewhere, from plain JSON: what all tasks share, and classification."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from rsbench.errors import UserError, did_you_mean
from rsbench.metrics.contract import MetricContext
from rsbench.metrics.evaluate import evaluate
from rsbench.registry import registry
from rsbench.specs import MetricSpec
from rsbench.tasks.classification import Predictions, breakdown

PRIMARY: Final = "overall_accuracy"
TOLERANCE: Final = 1e-3  # of the sum of probabilities
MOST_CLASSES: Final = 2**15  # what int16 holds


def load(path: Path, what: str) -> list[dict[str, Any]]:
    """Read a JSON list of objects, each with an ``id``.

    Raises:
        UserError: the file is missing, not such a list, or an id is missing or occurs twice.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"The {what} {path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise UserError(f"The {what} {path} are not valid JSON: {error}.") from None
    if not isinstance(content, list) or not content or not all(isinstance(e, dict) for e in content):
        raise UserError(f"The {what} {path} must be a list of objects that each have an 'id'.")
    seen: set[str] = set()
    for number, entry in enumerate(content, start=1):
        if entry.get("id") is None:
            raise UserError(f"The {what} {path} have no 'id' in entry {number}; each must have one.")
        entry["id"] = str(entry["id"])
        if entry["id"] in seen:
            raise UserError(f"The {what} hold id '{entry['id']}' twice.")
        seen.add(entry["id"])
    return content


def references_of(
    entries: Sequence[Mapping[str, Any]], classes: Sequence[str] | None, least: int = 0
) -> tuple[dict[str, int], list[str]]:
    """Return id -> class number and the class names.

    Labels are class names, or whole numbers that stand for themselves.  Without *classes*, names are sorted, and
    numbers give at least *least* classes.

    Raises:
        UserError: a label is missing or not one of the classes.
    """
    labels = {e["id"]: e.get("label") for e in entries}
    for name, label in labels.items():
        if not isinstance(label, (str, int)) or isinstance(label, bool):
            raise UserError(f"Reference '{name}' has no 'label' that is a class name or number.")
    if classes is None:
        numbers = [v for v in labels.values() if isinstance(v, int)]
        if numbers and len(numbers) < len(labels):
            raise UserError("Some references have a class name and others a number as 'label'; use one of the two.")
        if numbers:
            highest = max(*numbers, least - 1, 0)
            if highest >= MOST_CLASSES:
                raise UserError(f"Label {highest} is too high for a class number; name the classes, or use --classes.")
            classes = [str(k) for k in range(highest + 1)]
        else:
            classes = sorted({str(v) for v in labels.values()})
    names = list(classes)
    if len(set(names)) < len(names):
        raise UserError(f"A class is named twice: {', '.join(names)}.")
    place = {name: k for k, name in enumerate(names)}
    return {i: label_number(v, place, f"Reference '{i}'") for i, v in labels.items()}, names


def classes_seen(entries: Sequence[Mapping[str, Any]]) -> int:
    """Return how many classes predictions show, by their highest label or longest list of probabilities."""
    seen = 0
    for entry in entries:
        label, values = entry.get("label"), entry.get("probabilities")
        if isinstance(label, int):
            seen = max(seen, label + 1)
        if isinstance(values, list):
            seen = max(seen, len(values))
    return seen


def label_number(label: Any, classes: Mapping[str, int], owner: str) -> int:
    """Return the number of a class given by name or number; *classes* is name -> number.

    Raises:
        UserError: it is not one of *classes*.
    """
    if isinstance(label, (str, int)) and not isinstance(label, bool):
        if str(label) in classes:
            return classes[str(label)]
        if isinstance(label, int) and 0 <= label < len(classes):
            return label
    hint = did_you_mean(label, classes) if isinstance(label, str) else ""
    raise UserError(f"{owner} has label '{label}', which is not one of the {len(classes)} classes.{hint}")


def predictions_of(
    entries: Sequence[Mapping[str, Any]], references: Mapping[str, int], classes: Sequence[str]
) -> Predictions:
    """Return predictions in the order of the references; all have probabilities, or none has.

    Raises:
        UserError: an id is missing or unknown, or a prediction is not valid; the sentence names the id.
    """
    by_id = matched(entries, references)
    place = {name: k for k, name in enumerate(classes)}
    with_probabilities = [name for name in references if "probabilities" in by_id[name]]
    if not with_probabilities:
        labels = [label_number(by_id[n].get("label"), place, f"Prediction '{n}'") for n in references]
        return Predictions(list(references), np.array(labels, dtype=np.int64))
    if len(with_probabilities) < len(references):
        name = next(n for n in references if "probabilities" not in by_id[n])
        raise UserError(f"Prediction '{name}' has no probabilities, but others have: give them for all or for none.")
    rows = np.array([_probabilities(by_id[n]["probabilities"], len(classes), n) for n in references])
    labels = [
        label_number(by_id[n]["label"], place, f"Prediction '{n}'") if "label" in by_id[n] else int(row.argmax())
        for n, row in zip(references, rows, strict=True)
    ]
    return Predictions(list(references), np.array(labels, dtype=np.int64), rows)


def matched(entries: Sequence[Mapping[str, Any]], references: Collection[str]) -> dict[str, Mapping[str, Any]]:
    """Return id -> prediction.

    Raises:
        UserError: a reference has no prediction, or a prediction no reference.
    """
    by_id = {e["id"]: e for e in entries}
    if missing := [name for name in references if name not in by_id]:
        raise UserError(f"There is no prediction for '{missing[0]}'{_and_more(missing)}.")
    if unknown := [name for name in by_id if name not in references]:
        raise UserError(f"Prediction '{unknown[0]}'{_and_more(unknown)} has no reference.")
    return by_id


def metrics_of(task: str) -> list[MetricSpec]:
    """Every installed metric of a task."""
    return [spec for spec in registry().specs("metric").values() if task in spec.tasks]


def _and_more(names: Sequence[str]) -> str:
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""


def _probabilities(values: Any, classes: int, name: str) -> list[float]:
    if not isinstance(values, list) or len(values) != classes:
        count = len(values) if isinstance(values, list) else "no list of"
        raise UserError(f"Prediction '{name}' has {count} probabilities for {classes} classes.")
    if not all(isinstance(v, (int, float)) and not isinstance(v, bool) and math.isfinite(v) for v in values):
        raise UserError(f"Prediction '{name}' has a probability that is not a finite number.")
    if min(values) < 0:
        raise UserError(f"Prediction '{name}' has a negative probability, {min(values)}.")
    total = math.fsum(values)
    if abs(total - 1) > TOLERANCE:
        raise UserError(f"The probabilities of prediction '{name}' are not a distribution: they sum to {total:.6g}.")
    return [v / total for v in values]


def score(
    predictions: Predictions,
    references: np.ndarray,
    classes: Sequence[str],
    metrics: Sequence[str],
    primary: str = PRIMARY,
) -> dict[str, Any]:
    """Return ``{"task", "n", "classes", "metrics", "by_group"}``; metrics that need probabilities are null without."""
    context = MetricContext("classification", tuple(classes))
    specs = [registry().get("metric", name) for name in metrics]
    return {
        "task": "classification",
        "n": len(references),
        "classes": list(classes),
        "metrics": evaluate(specs, predictions, references, context, primary=primary),
        "by_group": breakdown(predictions, references, classes),
    }


def score_files(predictions: Path, references: Path, classes: Sequence[str] | None = None) -> dict[str, Any]:
    """Score a predictions file against a references file by every installed metric of the task."""
    entries = load(predictions, "predictions")
    labels, names = references_of(load(references, "references"), classes, classes_seen(entries))
    made = predictions_of(entries, labels, names)
    metrics = [spec.name for spec in metrics_of("classification")]
    return score(made, np.array(list(labels.values()), dtype=np.int64), names, metrics)
