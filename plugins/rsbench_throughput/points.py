"""The points of a sweep: one batch size each, warmed up, timed, and weighed by memory and energy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from rsbench.engine.events import Emit
from rsbench.engine.memory import release
from rsbench.engine.step.timing import Clock, Step
from rsbench_throughput.nvml import Nvml
from rsbench_throughput.peak_memory import PeakMemory
from rsbench_throughput.record import Spread, rates
from rsbench_throughput.subject import Workload
from rsbench_throughput.sweep import sweep
from rsbench_throughput.windows import measure, warm_up


@dataclass(frozen=True)
class Timer:
    """What a batch size is measured with.

    check: called between windows; raises to stop.
    """

    clock: Clock
    rules: Mapping[str, Any]
    device: torch.device
    nvml: Nvml
    emit: Emit
    check: Callable[[], None]
    unit: str

    def point(self, mode: str, batch: int, step_of: Callable[[int], Step]) -> dict[str, Any]:
        """Measure one batch size."""
        release(self.device)
        memory = PeakMemory(self.device)
        step = step_of(batch)
        warmed = warm_up(self.clock, step, self.rules, self.check)
        joules = self.nvml.energy_j()
        seconds = measure(self.clock, step, warmed.steps, self.rules["windows"], self.check)
        spread = Spread.of(rates(batch, warmed.steps, seconds))
        self.emit({"type": "point", "mode": mode, "batch": batch, "samples_per_s": spread.median, "unit": self.unit})
        return {
            "batch": batch,
            "steps": warmed.steps,
            "window_s": seconds,
            "samples_per_s": spread.median,
            "quartiles": [spread.low, spread.high],
            "warmup": warmed.block(),
            "peak_memory_bytes": memory.bytes(),
            "energy_j": self._energy(joules, batch * warmed.steps * len(seconds)),
        }

    def _energy(self, before: float | None, samples: int) -> float | None:
        """Joules a sample since *before*."""
        after = self.nvml.energy_j()
        return None if before is None or after is None else (after - before) / samples


def measured(subject: Workload, mode: str, meter: Timer) -> dict[str, Any]:
    """Return the record's entry of a mode, as far as it is timed."""
    step_of = subject.inference if mode == "inference" else subject.training()
    first, batches = 1, subject.task.plan.recipe["batches"]
    if mode == "training":  # batch normalization cannot learn from a single sample
        first, batches = 2, [b for b in batches or () if b > 1] or batches

    def point(batch: int) -> dict[str, Any]:
        subject.reset_compiled()
        return meter.point(mode, batch, step_of)

    found = sweep(
        point,
        batches,
        meter.rules,
        lambda: release(meter.device),
        first,
    )
    return {"batch": found.batch, "stopped": found.stopped, "points": found.points}
