"""How far a run had come after each of its epochs: seconds and samples of training, and the validation score.

The score is that of the validation split, by which epochs are compared too: test data may not steer anything, the end
of a training included.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from rsbench.records import curve

SHORT: Final = 0.01  # share of the training time that may be missing from the epochs of a curve


@dataclass(frozen=True)
class Point:
    """The end of an epoch that was validated.

    Attributes:
        seconds, samples: of training since its start; ``None`` where they are not known.
        score: of the validation split, as the curve has it.
    """

    epoch: int
    seconds: float | None
    samples: int | None
    score: float


def score_name(record: Mapping[str, Any]) -> str | None:
    """Return which validation score the record's curve has, ``None`` where it was never validated."""
    return curve.score_name((record["train"] or {}).get("curve") or ())


def points(record: Mapping[str, Any]) -> list[Point]:
    """Return the validated epochs of a record in order.

    Validation is not part of the seconds.  Every epoch of a run has the same number of samples, but for a batch where
    phases differ in batch size.  The curve of a run that was resumed within an epoch lacks the seconds before;
    its seconds are not known then.
    """
    name, train = score_name(record), record["train"]
    if name is None:
        return []
    curve, found = train["curve"], []
    seconds = _running(curve, train["seconds"])
    for entry, so_far in zip(curve, seconds, strict=True):
        if _known(entry.get(name)):
            samples = round(train["samples"] * entry["epoch"] / train["epochs"]) if train["epochs"] else None
            found.append(Point(entry["epoch"], so_far, samples, float(entry[name])))
    return found


def _running(curve: list[dict[str, Any]], total: float) -> list[float | None]:
    """Seconds of training at the end of each epoch of a curve; ``None`` where they do not add up to *total*."""
    each: list[Any] = [entry.get("seconds") for entry in curve]
    if not all(_known(s) for s in each) or abs(math.fsum(each) - total) > SHORT * total:
        return [None] * len(curve)
    return [math.fsum(each[: k + 1]) for k in range(len(each))]


def _known(value: Any) -> bool:
    return value is not None and math.isfinite(value)
