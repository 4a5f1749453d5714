"""What must hold between the numbers of one record, whatever produced it; a row that breaks it is not ranked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from rsbench.leaderboard.installed import metric_spec, parts_of
from rsbench.tasks.task import Parts

TOLERANCE: Final = 1e-9
# Each is at most the next: the more guesses count, the more are right.
GUESSES: Final = ("overall_accuracy", "top3_accuracy", "top5_accuracy")


def broken(record: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each identity that the metrics of *record* break.

    Raises:
        LookupError, TypeError: its ``by_group`` is not what its task keeps there.
    """
    values = {name: m["value"] for name, m in record["metrics"].items() if m["value"] is not None}
    groups = record["by_group"]
    found = [*_ranges(values, record), *_guesses(values)]
    parts = parts_of(record)
    if parts is not None and parts.key in groups:
        found += _parts(values, groups[parts.key], parts)
        found += _confusion(groups[parts.key], groups.get("confusion_matrix"))
    return found


def _ranges(values: Mapping[str, float], record: Mapping[str, Any]) -> Iterator[str]:
    for name, value in values.items():
        low, high = metric_spec(name, record).range
        if low is not None and value < low - TOLERANCE:
            yield f"{name} {value:.4f} is below its range, which begins at {low:g}"
        if high is not None and value > high + TOLERANCE:
            yield f"{name} {value:.4f} is above its range, which ends at {high:g}"


def _guesses(values: Mapping[str, float]) -> Iterator[str]:
    known = [(name, values[name]) for name in GUESSES if name in values]
    for (less, a), (more, b) in pairwise(known):
        if a > b + TOLERANCE:
            yield f"{less} {a:.4f} is above {more} {b:.4f}"


def _parts(values: Mapping[str, float], groups: Mapping[str, Mapping[str, Any]], parts: Parts) -> Iterator[str]:
    """The overall score is that of all counts, the average one the mean of the groups that occur."""
    n, correct = (sum(g[field] for g in groups.values()) for field in ("n", "correct"))
    accuracies = [g["correct"] / g["n"] for g in groups.values() if g["n"]]
    average = sum(accuracies) / len(accuracies) if accuracies else None
    for name, value in {parts.overall: correct / n if n else None, parts.average: average}.items():
        if name in values and value is not None and abs(values[name] - value) > TOLERANCE:
            yield f"{name} {values[name]:.4f} is not the {value:.4f} that its parts give"
    for kind, figures in groups.items() if parts.each else ():
        value, name = figures["accuracy"], f"{parts.each}{kind}"
        if name in values and value is not None and abs(values[name] - value) > TOLERANCE:
            yield f"{name} {values[name]:.4f} is not the {value:.4f} of its questions"


def _confusion(groups: Mapping[str, Mapping[str, Any]], matrix: Sequence[Sequence[int]] | None) -> Iterator[str]:
    """Rows of the confusion matrix sum to the classes' sizes, and its diagonal holds what is correct."""
    if matrix is None:
        return
    for k, (name, figures) in enumerate(groups.items()):
        if sum(matrix[k]) != figures["n"] or matrix[k][k] != figures["correct"]:
            counted = f"{matrix[k][k]} of {sum(matrix[k])}"
            yield f"{name} has {figures['correct']} of {figures['n']} right, in the confusion matrix {counted}"
