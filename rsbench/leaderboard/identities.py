"""What must hold between the numbers of one record, whatever produced it; a row that breaks it is not ranked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, Final

from rsbench.registry import registry

TOLERANCE: Final = 1e-9
# Each is at most the next: the more guesses count, the more are right.
GUESSES: Final = ("overall_accuracy", "top3_accuracy", "top5_accuracy")


def broken(record: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each identity that the metrics of *record* break."""
    values = {name: m["value"] for name, m in record["metrics"].items() if m["value"] is not None}
    groups = record["by_group"]
    found = [*_ranges(values), *_guesses(values)]
    if "class" in groups:
        found += _parts(values, groups["class"], "overall_accuracy", "average_accuracy")
        found += _confusion(groups)
    if "question_type" in groups:
        found += _parts(values, groups["question_type"], "OA", "AA")
        found += _types(values, groups["question_type"])
    return found


def _ranges(values: Mapping[str, float]) -> Iterator[str]:
    for name, value in values.items():
        low, high = registry().get("metric", name).range
        if low is not None and value < low - TOLERANCE:
            yield f"{name} {value:.4f} is below its range, which begins at {low:g}"
        if high is not None and value > high + TOLERANCE:
            yield f"{name} {value:.4f} is above its range, which ends at {high:g}"


def _guesses(values: Mapping[str, float]) -> Iterator[str]:
    known = [(name, values[name]) for name in GUESSES if name in values]
    for (less, a), (more, b) in pairwise(known):
        if a > b + TOLERANCE:
            yield f"{less} {a:.4f} is above {more} {b:.4f}"


def _parts(
    values: Mapping[str, float], groups: Mapping[str, Mapping[str, Any]], overall: str, average: str
) -> Iterator[str]:
    """The overall accuracy is that of all counts, the average one the mean of the groups that occur."""
    n, correct = (sum(g[field] for g in groups.values()) for field in ("n", "correct"))
    accuracies = [g["correct"] / g["n"] for g in groups.values() if g["n"]]
    expected = {overall: correct / n if n else None, average: sum(accuracies) / len(accuracies) if accuracies else None}
    for name, value in expected.items():
        if name in values and value is not None and abs(values[name] - value) > TOLERANCE:
            yield f"{name} {values[name]:.4f} is not the {value:.4f} that its parts give"


def _confusion(groups: Mapping[str, Any]) -> Iterator[str]:
    """Rows of the confusion matrix sum to the classes' sizes, and its diagonal holds what is correct."""
    matrix = groups.get("confusion_matrix")
    if matrix is None:
        return
    for k, (name, figures) in enumerate(groups["class"].items()):
        if sum(matrix[k]) != figures["n"] or matrix[k][k] != figures["correct"]:
            counted = f"{matrix[k][k]} of {sum(matrix[k])}"
            yield f"{name} has {figures['correct']} of {figures['n']} right, in the confusion matrix {counted}"


def _types(values: Mapping[str, float], groups: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for kind, figures in groups.items():
        value, name = figures["accuracy"], f"accuracy_{kind}"
        if name in values and value is not None and abs(values[name] - value) > TOLERANCE:
            yield f"{name} {values[name]:.4f} is not the {value:.4f} of its questions"
