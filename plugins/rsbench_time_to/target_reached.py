"""What a run took until its validation score first reached a target."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from rsbench.leaderboard.learning_curve import points

AFTER_SETUP: Final = ("train", "fit", "evaluate", "score")  # stages; all others come before the first step


@dataclass(frozen=True)
class TargetReached:
    """What it took to reach a target for the first time; ``None`` for what is not known."""

    seconds: float | None
    with_setup: float | None
    samples: int | None


def target_reached(record: Mapping[str, Any], target: float) -> TargetReached | None:
    """Return what it took until the validation score first was at least *target*; ``None`` where it never was.

    The seconds of a target that the protocol declares were noted in training; those of others come from the curve.
    """
    noted = {float(k): v for k, v in ((record["train"] or {}).get("time_to") or {}).items()}.get(target)
    mark = next((m for m in points(record) if m.score >= target), None)
    if mark is None and noted is None:
        return None
    seconds = noted if noted is not None or mark is None else mark.seconds
    setup = setup_seconds(record)
    known = seconds is not None and setup is not None
    return TargetReached(seconds, seconds + setup if known else None, mark.samples if mark else None)  # type: ignore[operator]


def setup_seconds(record: Mapping[str, Any]) -> float | None:
    """Return the seconds before the first step of training: opening the data, building and compiling the network,
    preflight, encoding with a frozen backbone.

    ``None`` where the stages are not known, or where the run was resumed: they are those of its last process.
    """
    stages, train = record["timing"].get("stages") or {}, record["train"]
    if not train or stages.get("train", 0.0) < train["seconds"]:
        return None
    return math.fsum(seconds for name, seconds in stages.items() if name not in AFTER_SETUP)
