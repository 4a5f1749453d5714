"""Ratios of durations, measured alternately in one run, since these hold where a machine's speed drifts."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Clock = Callable[[], float]


def seconds(function: Callable[[], object], clock: Clock = time.perf_counter) -> float:
    begin = clock()
    function()
    return clock() - begin


def paired(
    ours: Callable[[], object], theirs: Callable[[], object], rounds: int = 5, clock: Clock = time.perf_counter
) -> dict[str, Any]:
    """Run both once unmeasured, then in turn; return medians in seconds and the median of ours / peer.

    ``time.process_time`` as *clock* counts what this process has of the cores, where others take turns on them.
    """
    ours(), theirs()
    pairs = [(seconds(ours, clock), seconds(theirs, clock)) for _ in range(rounds)]
    return {
        "ours": statistics.median(a for a, _ in pairs),
        "peer": statistics.median(b for _, b in pairs),
        "unit": "s",
        "ratio": statistics.median(a / b for a, b in pairs),
        "ratio_min": min(a / b for a, b in pairs),
        "ratio_max": max(a / b for a, b in pairs),
        # Of the fastest rounds: what is left where other programs take the cores at times.
        "ratio_of_minima": min(a for a, _ in pairs) / min(b for _, b in pairs),
    }


TIMES = {"s": 1.0, "ms": 1e-3, "us": 1e-6}
OF_SIDES = ("ours", "peer", "unit", "ratio", "ratio_min", "ratio_max")


def shown(value: float, unit: str) -> str:
    """Return a value with its unit; a time in the one in which it is at least 1."""
    if unit in TIMES:
        seconds = value * TIMES[unit]
        unit = next((name for name, size in TIMES.items() if seconds >= size), "us")
        value = seconds / TIMES[unit]
    return f"{value:,.3g} {unit}".rstrip() if abs(value) < 1000 else f"{value:,.0f} {unit}".rstrip()


def sides(info: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """Return both sides of what a benchmark has compared, the ratio of the two, and the least and largest of it."""
    spread = f"{info['ratio_min']:.3g} to {info['ratio_max']:.3g}" if "ratio_min" in info else ""
    return shown(info["ours"], info["unit"]), shown(info["peer"], info["unit"]), f"{info['ratio']:.3g}", spread


def figures(info: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what a benchmark has noted besides: its name in words, and the value in the unit that the name ends in."""
    for name, value in info.items():
        if name not in OF_SIDES:
            words, _, unit = name.rpartition("_")
            per = words.removesuffix("_per").replace("_", " ")
            if words.endswith("_per"):
                yield per, shown(value, f"{per.split()[-1]}/{unit}")
            elif unit in (*TIMES, "mebibytes"):
                yield words.replace("_", " "), shown(value, unit)
            else:
                yield name.replace("_", " "), shown(value, "")
