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
AFTER_SETUP: Final = ("train", "fit", "evaluate", "score")  # stages; all others come before the first step


@dataclass(frozen=True)
class Mark:
    """The end of an epoch that was validated.

    Attributes:
        seconds, samples: of training since its start; ``None`` where they are not known.
        score: of the validation split, as the curve has it.
    """

    epoch: int
    seconds: float | None
    samples: int | None
    score: float


@dataclass(frozen=True)
class Arrival:
    """What it took to reach a target for the first time; ``None`` for what is not known."""

    seconds: float | None
    with_setup: float | None
    samples: int | None


def score_name(record: Mapping[str, Any]) -> str | None:
    """Return which validation score the record's curve has, ``None`` where it was never validated."""
    return curve.score_name((record["train"] or {}).get("curve") or ())


def marks(record: Mapping[str, Any]) -> list[Mark]:
    """Return the validated epochs of a record in order.

    Validation is not part of the seconds.  Every epoch of a run has the same number of samples, but for a batch where
    phases differ in batch size.  The curve of a run that was taken up again within an epoch lacks the seconds before;
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
            found.append(Mark(entry["epoch"], so_far, samples, float(entry[name])))
    return found


def arrival(record: Mapping[str, Any], target: float) -> Arrival | None:
    """Return what it took until the validation score first was at least *target*; ``None`` where it never was.

    The seconds of a target that the protocol declares were noted in training; those of others come from the curve.
    """
    noted = {float(k): v for k, v in ((record["train"] or {}).get("time_to") or {}).items()}.get(target)
    mark = next((m for m in marks(record) if m.score >= target), None)
    if mark is None and noted is None:
        return None
    seconds = noted if noted is not None or mark is None else mark.seconds
    setup = setup_seconds(record)
    known = seconds is not None and setup is not None
    return Arrival(seconds, seconds + setup if known else None, mark.samples if mark else None)  # type: ignore[operator]


def setup_seconds(record: Mapping[str, Any]) -> float | None:
    """Return the seconds before the first step of training: opening the data, building and compiling the network,
    preflight, encoding with a frozen backbone.

    ``None`` where the stages are not known, or where the run was taken up again: they are those of its last process.
    """
    stages, train = record["timing"].get("stages") or {}, record["train"]
    if not train or stages.get("train", 0.0) < train["seconds"]:
        return None
    return math.fsum(seconds for name, seconds in stages.items() if name not in AFTER_SETUP)


def _running(curve: list[dict[str, Any]], total: float) -> list[float | None]:
    """Seconds of training at the end of each epoch of a curve; ``None`` where they do not add up to *total*."""
    each: list[Any] = [entry.get("seconds") for entry in curve]
    if not all(_known(s) for s in each) or abs(math.fsum(each) - total) > SHORT * total:
        return [None] * len(curve)
    return [math.fsum(each[: k + 1]) for k in range(len(each))]


def _known(value: Any) -> bool:
    return value is not None and math.isfinite(value)
