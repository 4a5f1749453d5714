"""Latency: how long one sample takes when nothing else is under way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rsbench.engine.step.timing import Clock, Step
from rsbench_throughput.record import quantile
from rsbench_throughput.windows import warm_up


def latency(clock: Clock, step: Step, rules: Mapping[str, Any], check: Callable[[], None]) -> dict[str, Any]:
    """Return p50, p95 and p99 in milliseconds of single calls, each waited for, and how many there were.

    There are ``latency_calls`` calls, or as many (at least five) as fit in ``latency_s``.

    Args:
        clock: of the device.
        step: does one step; it is not waited for.
        rules: of the measurement; see :mod:`rsbench_throughput.plan`.
        check: called between windows; raises to stop.
    """
    warm_up(clock, step, rules, check)
    taken: list[float] = []
    while len(taken) < rules["latency_calls"] and (sum(taken) < rules["latency_s"] or len(taken) < 5):
        check()
        taken.append(clock.window(step, 1))
    percentiles = {f"p{p}": 1e3 * quantile(taken, p / 100) for p in (50, 95, 99)}
    return {**percentiles, "calls": len(taken)}
