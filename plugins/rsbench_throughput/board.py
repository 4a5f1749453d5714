"""The board of throughput: a table for each mode, workload, device, precision and compile mode; never mixed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from rsbench.leaderboard.census import FAILED, FILTERED, NO_DEVICE, OLDER, UNREADABLE, Census, LeftOut
from rsbench.leaderboard.machines import machine
from rsbench.leaderboard.members import in_time
from rsbench.records.store import LoadedRecord
from rsbench.tasks.task import get_task
from rsbench_throughput.record import DIVISION, MODES, chosen

SCORES: Final = "without throughput"


@dataclass(frozen=True)
class SpeedRow:
    """The newest measurement of one network in one mode; times in milliseconds, memory in bytes.

    Attributes:
        samples_per_s, low, high: median and quartiles over timed windows, at *batch*.
        latency: p50, p95 and p99 of inference at batch 1.
        macs: multiply-accumulates a sample; peak_share: of the device's measured matrix peak.
        drift: largest difference of the logits from eager fp32.
        data_wait: share of a training step that feeding it by the loader adds; inference has none.
        measurements: how many records there are of it.
        flags: what casts doubt on the numbers.
    """

    system: str
    samples_per_s: float
    low: float
    high: float
    batch: int
    latency: tuple[float, float, float] | None
    params: int | None
    macs: int | None
    memory: int | None
    peak_share: float | None
    energy_j: float | None
    drift: float | None
    data_wait: float | None
    measurements: int
    flags: tuple[str, ...]
    run_id: str
    record: dict[str, Any] = field(repr=False)
    recipe: str = ""
    division: str = DIVISION

    @property
    def facts(self) -> list[dict[str, Any]]:
        """The record itself."""
        return [self.record]


@dataclass(frozen=True)
class SpeedTable:
    """Rows that may be compared, fastest first."""

    task: str
    mode: str
    unit: str
    workload: str
    machine: str
    rows: tuple[SpeedRow, ...]

    @property
    def title(self) -> str:
        """Heading."""
        return f"{self.mode.capitalize()}, {self.unit} a second: {self.workload}; {self.machine}"


@dataclass(frozen=True)
class SpeedBoard:
    """Tables, and where the records went."""

    tables: tuple[SpeedTable, ...]
    census: Census

    @property
    def problems(self) -> list[str]:
        """One sentence for each measurement that failed, whose device is not known, or that cannot be read."""
        return [*self.census.failed, *self.census.problems]


# Task, mode, unit, workload and machine: what the rows of a table have in common.
_Key = tuple[str, str, str, str, str]


def build(
    records: Sequence[LoadedRecord], *, task: str | None = None, tag: str | None = None, unreadable: int = 0
) -> SpeedBoard:
    """Return the board of the throughput records among *records*; *tag* is one of the model's.

    Args:
        records: that were read.
        task, tag: filters; ``None`` is anything.
        unreadable: how many records could not be read.
    """
    census = Census(len(records), unreadable)
    groups: dict[_Key, dict[str, list[SpeedRow]]] = {}
    for loaded in in_time(records, census):
        for key, system, row in census.take(loaded, lambda r: _rows(r, task, tag)) or ():
            groups.setdefault(key, {}).setdefault(system, []).append(row)
    tables = tuple(_table(key, list(systems.values())) for key, systems in sorted(groups.items()))
    rows = [row for table in tables for row in table.rows]
    read = {id(row.record) for systems in groups.values() for same in systems.values() for row in same}
    shown = {id(row.record) for row in rows}
    census.left_out[OLDER] += len(read - shown)
    census.close(len(shown), len(rows))
    return SpeedBoard(tables, census)


def _rows(loaded: LoadedRecord, task: str | None, tag: str | None) -> list[tuple[_Key, str, SpeedRow]]:
    """What a record says of each mode, with the table and the system that it says it of.

    Raises:
        LeftOut: it is not of throughput, does not pass the filters, has failed, or its device is not known.
    """
    record = loaded.record
    plan = record["plan"]
    if plan["division"] != DIVISION:
        raise LeftOut(SCORES)
    if task not in (None, plan["task"]) or (tag is not None and tag not in plan["model"].get("tags", ())):
        raise LeftOut(FILTERED)
    if record["status"] != "ok":
        raise LeftOut(FAILED)
    where = machine(record)
    if where is None:
        raise LeftOut(NO_DEVICE, "its device is not known")
    modes = [mode for mode in MODES if record["perf"].get(mode)]
    if not modes:
        raise LeftOut(UNREADABLE, "it holds no measurement")
    common = plan["task"], record["perf"]["unit"], workload(plan), where
    return [((common[0], mode, *common[1:]), _system(record), _row(record, mode)) for mode in modes]


def _system(record: dict[str, Any]) -> str:
    """What makes two records measurements of the same thing: network, code and options, step, and rules."""
    plan = record["plan"]
    model = {k: plan["model"].get(k) for k in ("name", "version", "options", "source_sha256")}
    recipe = {k: v for k, v in plan["recipe"].items() if k != "batches"}
    return json.dumps([model, recipe, plan["protocol"]["fingerprint"]], sort_keys=True)


def workload(plan: dict[str, Any]) -> str:
    """Return what a sample is, in words: speeds on other samples are not compared."""
    dataset, options = plan["dataset"], plan["recipe"]["task_options"]
    channels, height, width = dataset["image_shape"]
    parts = [f"{channels} x {height} x {width}"]
    parts += get_task(plan["task"]).workload(dataset, options)
    return f"{plan['task']}, {', '.join(parts)}"


def _table(key: _Key, systems: list[list[SpeedRow]]) -> SpeedTable:
    """A row for each system: its newest measurement."""
    rows = [replace(same[-1], measurements=len(same)) for same in systems]
    return SpeedTable(*key, tuple(sorted(rows, key=lambda r: (-r.samples_per_s, r.system, r.run_id))))


def _row(record: dict[str, Any], mode: str) -> SpeedRow:
    perf = record["perf"]
    measured = perf[mode]
    point = chosen(measured)
    assert point is not None, "a record is checked when it is read"
    latency = perf["latency_ms"] if mode == "inference" else None
    return SpeedRow(
        system=record["plan"]["model"]["label"],
        samples_per_s=point["samples_per_s"],
        low=point["quartiles"][0],
        high=point["quartiles"][1],
        batch=point["batch"],
        latency=(latency["p50"], latency["p95"], latency["p99"]) if latency else None,
        params=perf["params"],
        macs=measured["macs"],
        memory=point["peak_memory_bytes"],
        peak_share=measured["peak_share"],
        energy_j=point["energy_j"],
        drift=(perf["drift"] or {}).get("max_abs"),
        data_wait=(measured.get("data_wait") or {}).get("share"),
        measurements=1,
        flags=_flags(record, mode),
        run_id=record["run_id"],
        record=record,
    )


def _flags(record: dict[str, Any], mode: str) -> tuple[str, ...]:
    """Flags of the record, without those of the other mode."""
    others = [m for m in MODES if m != mode]
    flags = [f for f in record["perf"]["flags"] if not f.startswith(tuple(others))]
    return tuple(f.removeprefix(f"{mode} ") for f in flags)
