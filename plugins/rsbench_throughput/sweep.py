"""The sweep over batch sizes: doubled to the knee, or to where memory ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from rsbench.engine.memory import is_out_of_memory

Measure = Callable[[int], dict[str, Any]]

MAX_STALE_DOUBLINGS: Final = (
    2  # doublings in a row that end a sweep: from one to two samples many networks gain nothing
)


@dataclass
class Sweep:
    """What was measured: a point for each batch size, the size that is reported, and why no larger one was tried."""

    points: list[dict[str, Any]] = field(default_factory=list)
    batch: int = 0
    stopped: str = ""


def sweep(
    measure: Measure,
    batches: Sequence[int] | None,
    rules: Mapping[str, Any],
    release: Callable[[], None],
    first: int = 1,
) -> Sweep:
    """Measure each of *batches*, or powers of two until :data:`MAX_STALE_DOUBLINGS` of them in a row do not pay: they
    do not bring ``gain`` more samples a second than the last that did.

    The batch that is reported is the last that paid; of given batches, or where memory or time end, the fastest.

    Args:
        batches: to measure; ``None``: powers of two.
        rules: ``largest``, ``gain`` and those of time.
        measure: returns a point, with ``batch``, ``samples_per_s``, ``steps`` and ``window_s``.
        release: frees memory after it ran out.
        first: where doubling begins.

    Raises:
        Exception: whatever *measure* raises, except out of memory after a smaller batch has fitted.
    """
    found = Sweep()
    found.stopped = "listed" if batches else "largest"
    for batch in batches or _doubled(first, rules["largest"]):
        if not batches and _takes_too_long(found.points, rules):
            found.stopped = "time"
            break
        point = _within_memory(measure, batch, release, optional=bool(found.points))
        if point is None:
            found.stopped = "memory"
            break
        found.points.append(point)
        if not batches and len(found.points) - _knee(found.points, rules["gain"]) > MAX_STALE_DOUBLINGS:
            found.stopped = "knee"
            break
    found.batch = _reported(found, rules["gain"])
    return found


def _doubled(first: int, largest: int) -> Iterator[int]:
    while first <= largest:
        yield first
        first *= 2


def _within_memory(
    measure: Measure, batch: int, release: Callable[[], None], *, optional: bool
) -> dict[str, Any] | None:
    """Return a point, or ``None`` where memory ran out and the batch is *optional*; every other error passes."""
    try:
        return measure(batch)
    except Exception as error:
        if not optional or not is_out_of_memory(error):
            raise
    release()  # only here: the error held on to the frames, and they to their tensors
    return None


def _knee(points: Sequence[Mapping[str, Any]], gain: float) -> int:
    """Return the number of the last point that paid; the first does."""
    last = 0
    for k, point in enumerate(points):
        if point["samples_per_s"] >= (1 + gain) * points[last]["samples_per_s"]:
            last = k
    return last


def _takes_too_long(points: Sequence[Mapping[str, Any]], rules: Mapping[str, Any]) -> bool:
    """Whether the windows of twice the last batch would take longer than ``point_s``."""
    if not points:
        return False
    last = points[-1]
    step = 2 * min(last["window_s"]) / last["steps"]
    return max(step, rules["window_s"]) * (rules["windows"] + rules["agree"]) > rules["point_s"]


def _reported(found: Sweep, gain: float) -> int:
    if found.stopped == "knee":
        return int(found.points[_knee(found.points, gain)]["batch"])
    return int(max(found.points, key=lambda p: p["samples_per_s"])["batch"])
