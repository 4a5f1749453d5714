"""Ratios of durations, measured alternately in one run, since these hold where a machine's speed drifts."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

Clock = Callable[[], float]


def seconds(function: Callable[[], object], clock: Clock = time.perf_counter) -> float:
    begin = clock()
    function()
    return clock() - begin


def paired(
    ours: Callable[[], object], theirs: Callable[[], object], rounds: int = 5, clock: Clock = time.perf_counter
) -> dict[str, float]:
    """Run both once unmeasured, then in turn; return medians in seconds and the median of ours / theirs.

    ``time.process_time`` as *clock* counts what this process has of the cores, where others take turns on them.
    """
    ours(), theirs()
    pairs = [(seconds(ours, clock), seconds(theirs, clock)) for _ in range(rounds)]
    return {
        "ours_s": statistics.median(a for a, _ in pairs),
        "theirs_s": statistics.median(b for _, b in pairs),
        "ratio": statistics.median(a / b for a, b in pairs),
        "ratio_min": min(a / b for a, b in pairs),
        "ratio_max": max(a / b for a, b in pairs),
        # Of the fastest rounds: what is left where other programs take the cores at times.
        "ratio_of_minima": min(a for a, _ in pairs) / min(b for _, b in pairs),
    }
