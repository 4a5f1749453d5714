"""Medians and ratios of the measurements as one markdown table."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.peers.peer import PEERS

OURS: Final = "rsbench"
Rounds = Mapping[int, Mapping[str, Any]]
"""Results by round."""


@dataclass(frozen=True)
class Row:
    """One peer in one measure.

    Attributes:
        values: of each round; ``None`` where an accuracy was not reached.
        ratios, cpu_ratios: how many times faster rsbench was in each round, by the wall and by the time on a core.
        epochs: median number of epochs to the accuracy.
    """

    title: str
    peer: str
    workers: int
    values: tuple[float | None, ...]
    ratios: tuple[float, ...]
    cpu_ratios: tuple[float, ...]
    epochs: float | None

    @property
    def found(self) -> list[float]:
        """Values of the rounds that gave one."""
        return [v for v in self.values if v is not None]

    @property
    def median(self) -> float | None:
        """Median, where every round gave a value."""
        return statistics.median(self.found) if len(self.found) == len(self.values) else None


def rows(results: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Group the results of all rounds; a peer with any number of workers is compared with rsbench, which has none."""
    groups: dict[tuple[str, str, int], dict[int, Mapping[str, Any]]] = {}
    for result in results:
        job = result["job"]
        key = (title_of(job), job["peer"], job["workers"])
        groups.setdefault(key, {})[result["round"]] = result
    order = list(PEERS)
    keys = sorted(groups, key=lambda k: (k[0], order.index(k[1]), k[2]))
    return [_row(key, groups[key], groups.get((key[0], OURS, 0), {})) for key in keys]


def title_of(job: Mapping[str, Any]) -> str:
    """What the rows of a measure have in common; tables are in its order."""
    if job["measure"] == "data":
        return "data only, images/s"
    if job["measure"] == "epoch":
        return f"epoch of {job['network']}, s"
    return f"{job['network']} to {job['target']:.0%} validation accuracy, s"


def _row(key: tuple[str, str, int], theirs: Rounds, ours: Rounds) -> Row:
    epochs = [r["epochs"] for r in theirs.values() if r.get("epochs")]
    return Row(
        *key,
        values=tuple(r["value"] for r in theirs.values()),
        ratios=_ratios(theirs, ours, "value"),
        cpu_ratios=_ratios(theirs, ours, "cpu_value"),
        epochs=statistics.median(epochs) if epochs else None,
    )


def _ratios(theirs: Rounds, ours: Rounds, key: str) -> tuple[float, ...]:
    """Seconds of theirs over ours, images a second of ours over theirs, round by round."""
    pairs = [(theirs[n], ours[n]) for n in theirs if n in ours and theirs[n][key] and ours[n][key]]
    return tuple(o[key] / t[key] if t["job"]["measure"] == "data" else t[key] / o[key] for t, o in pairs)


def markdown(results: Iterable[Mapping[str, Any]]) -> str:
    """Return the table."""
    lines = [
        "| measure | peer | workers | median | range | epochs | rsbench is faster by | range | by time on a core |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows(results):
        other = row.peer != OURS
        cells = [
            row.title,
            PEERS[row.peer].title,
            str(row.workers) if PEERS[row.peer].has_workers else "",
            "not reached" if row.median is None else number(row.median),
            spread(row.found, "{}"),
            "" if row.epochs is None else f"{row.epochs:g}",
            times(row.ratios) if other else "",
            spread(row.ratios, "{}x") if other else "",
            times(row.cpu_ratios) if other else "",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def times(ratios: Sequence[float]) -> str:
    """Median as ``12.3x``; nothing without a ratio."""
    return f"{number(statistics.median(ratios))}x" if ratios else ""


def spread(values: Sequence[float], form: str) -> str:
    """Least and greatest; nothing without a value."""
    return " to ".join(form.format(number(v)) for v in (min(values), max(values))) if values else ""


def number(value: float) -> str:
    """Three digits at least, thousands with commas."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
