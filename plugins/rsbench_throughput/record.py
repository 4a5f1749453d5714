"""Records of throughput, and the statistics of their timed windows.

Such a record is a :class:`rsbench.records.schema.Record` of division :data:`DIVISION` without metrics and predictions.

``perf`` of a throughput record, times in seconds, memory in bytes, ``None`` where something is not known::

    unit         images | captions | questions
    params       parameters; buffers: other numbers of the network, weights of a frozen encoder among them
    inference, training (those asked for)
        batch           of the row: the knee of the sweep
        stopped         knee | memory | time | largest | listed: why no larger batch was measured
        points[]        batch, steps, window_s[], samples_per_s, quartiles, warmup{...}, peak_memory_bytes
        macs            multiply-accumulates a sample; FLOPs are twice as many
        peak_share      of the device's matrix peak
        energy_j        a sample
        data_wait       training alone: batch, steps, share of a window that the loader adds to it, and the windows
                        fed by it (fed_s[]) and on a batch that is there (still_s[]), taken in turn
    latency_ms   p50, p95, p99, calls: inference at batch 1
    peak         flops (a second), matmul, convolution
    drift        max_abs, reference_max_abs: of the logits against eager fp32
    contention   load, busy_before, cpu_over_wall, switches_per_s, clock_mhz, throttle[]
    flags[]      what casts doubt on the numbers
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

DIVISION: Final = "throughput"
MODES: Final = ("inference", "training")
TOLERANCE: Final = 1e-9  # relative, between a stored statistic and the one that its windows give


@dataclass(frozen=True)
class Spread:
    """Median and quartiles of timed windows, in the unit of the values."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return the spread of at least one value."""
        return cls(quantile(values, 0.5), quantile(values, 0.25), quantile(values, 0.75))

    @property
    def iqr(self) -> float:
        """Interquartile range."""
        return self.high - self.low

    @property
    def relative(self) -> float:
        """Interquartile range over the median."""
        return self.iqr / self.median if self.median else math.inf


def quantile(values: Sequence[float], q: float) -> float:
    """Return the q-quantile by linear interpolation (Hyndman and Fan 1996, type 7; NumPy's default)."""
    ordered = sorted(values)
    place = q * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def rates(batch: int, steps: int, seconds: Sequence[float]) -> list[float]:
    """Return samples a second of each window of *steps* steps of *batch* samples."""
    return [batch * steps / s for s in seconds]


def data_wait_share(fed: Sequence[float], still: Sequence[float]) -> float:
    """Return the share of the median window in *fed* that one in *still*, which waits for no data, does not take.

    Noise may bring it below 0.
    """
    return 1 - quantile(still, 0.5) / quantile(fed, 0.5)


def checked(record: Mapping[str, Any]) -> Iterator[tuple[bool, str, list[tuple[str | int, ...]]]]:
    """Yield for each figure whether the windows give it, a sentence for where not, and its places in ``perf``."""
    for mode in MODES:
        measured = (record["perf"] or {}).get(mode)
        if measured is None:
            continue
        for k, point in enumerate(measured["points"]):
            again = Spread.of(rates(point["batch"], point["steps"], point["window_s"]))
            stored = Spread(point["samples_per_s"], *point["quartiles"])
            places = ("samples_per_s",), ("quartiles", 0), ("quartiles", 1)
            for (name, value), place in zip(asdict(again).items(), places, strict=True):
                kept = getattr(stored, name)
                text = f"{mode}, batch {point['batch']}: {name} {kept} is stored, its windows give {value}"
                yield math.isclose(kept, value, rel_tol=TOLERANCE), text, [(mode, "points", k, *place)]
        waited = measured.get("data_wait")
        if waited:
            same = math.isclose(waited["share"], data_wait_share(waited["fed_s"], waited["still_s"]))
            text = f"{mode}: data_wait {waited['share']} is stored, its windows give another"
            yield same, text, [(mode, "data_wait", "share")]
        text = f"{mode}: batch {measured['batch']} is reported and was not measured"
        yield chosen(measured) is not None, text, [(mode, "batch")]


def run_id(plan: Mapping[str, Any]) -> str:
    """Return the end of a run id, which changes with what is measured: eight digits of a SHA-256 of a plan's model,
    dataset, protocol and recipe, and of the device and threads that were asked for."""
    from rsbench.plan import digest  # listing commands does without plans

    parts = {name: plan[name] for name in ("model", "dataset", "protocol", "recipe")}
    return digest([parts, plan["device"], plan["threads"]])[:8]


def peak_share(measured: Mapping[str, Any], flops: float) -> float | None:
    """Return the share of the matrix peak of *flops* a second that the batch which a mode reports reaches."""
    point = chosen(measured)
    if point is None or measured["macs"] is None:
        return None
    return float(2 * measured["macs"] * point["samples_per_s"] / flops)


def chosen(measured: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the point of the batch that a mode reports."""
    return next((p for p in measured["points"] if p["batch"] == measured["batch"]), None)
