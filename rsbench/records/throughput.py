"""Records of throughput: how they are told from those of runs, and the statistics of their timed windows.

A throughput record is a :class:`rsbench.records.schema.Record` of division :data:`DIVISION` without metrics and
predictions; what was measured is in ``perf`` (see :mod:`rsbench.engine.throughput`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

DIVISION: Final = "throughput"
MODES: Final = ("inference", "training")
TOLERANCE: Final = 1e-9  # relative, between a stored statistic and the one that its windows give


def is_throughput(record: Mapping[str, Any]) -> bool:
    """Whether a record is one of throughput."""
    return record["plan"].get("division") == DIVISION


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


def content_sha(plan: Mapping[str, Any], device: str, threads: int) -> str:
    """Return the end of a run id, which changes with what is measured: eight digits of a SHA-256.

    Args:
        plan: its model, dataset, protocol and recipe count.
        device, threads: as asked for.
    """
    from rsbench.plan import digest  # listing commands does without plans

    parts = {name: plan[name] for name in ("model", "dataset", "protocol", "recipe")}
    return digest([parts, device, threads])[:8]


def peak_share(measured: Mapping[str, Any], flops: float) -> float | None:
    """Return the share of the matrix peak of *flops* a second that the batch which a mode reports reaches."""
    point = chosen(measured)
    if point is None or measured["macs"] is None:
        return None
    return float(2 * measured["macs"] * point["samples_per_s"] / flops)


def chosen(measured: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the point of the batch that a mode reports."""
    return next((p for p in measured["points"] if p["batch"] == measured["batch"]), None)
