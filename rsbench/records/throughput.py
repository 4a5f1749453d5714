"""Records of throughput: how they are told from those of runs, and the statistics of their timed windows.

A throughput record is a :class:`rsbench.records.schema.Record` of division :data:`DIVISION` without metrics and
predictions; what was measured is in ``perf`` (see :mod:`rsbench.engine.throughput`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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


def mismatches(record: Mapping[str, Any]) -> list[str]:
    """Return where a stored median or quartile is not that of the stored windows, or a row not one of its points."""
    wrong = []
    for mode in MODES:
        measured = (record["perf"] or {}).get(mode)
        if measured is None:
            continue
        for point in measured["points"]:
            again = Spread.of(rates(point["batch"], point["steps"], point["window_s"]))
            stored = Spread(point["samples_per_s"], *point["quartiles"])
            for name, value in asdict(again).items():
                kept = getattr(stored, name)
                if not math.isclose(kept, value, rel_tol=TOLERANCE):
                    wrong.append(f"{mode}, batch {point['batch']}: {name} {kept} is stored, its windows give {value}")
        waited = measured.get("data_wait")
        if waited and not math.isclose(waited["share"], data_wait_share(waited["fed_s"], waited["still_s"])):
            wrong.append(f"{mode}: data_wait {waited['share']} is stored, its windows give another")
        if chosen(measured) is None:
            wrong.append(f"{mode}: batch {measured['batch']} is reported and was not measured")
    return wrong


def chosen(measured: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the point of the batch that a mode reports."""
    return next((p for p in measured["points"] if p["batch"] == measured["batch"]), None)
