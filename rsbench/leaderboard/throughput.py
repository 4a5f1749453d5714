"""The board of throughput: a table for each mode, workload, device, precision and compile mode; never mixed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rsbench.leaderboard.machines import machine
from rsbench.records.store import LoadedRecord
from rsbench.records.throughput import MODES, chosen, is_throughput


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
        flags: what speaks against the numbers.
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
    """Tables, and what is not in them: measurements that failed, and those whose device is not known."""

    tables: tuple[SpeedTable, ...]
    problems: tuple[str, ...] = field(default=())


def build(records: Sequence[LoadedRecord], *, task: str | None = None, tag: str | None = None) -> SpeedBoard:
    """Return the board of the throughput records among *records*; *tag* is one of the model's."""
    mine = [r.record for r in records if is_throughput(r.record)]
    mine = [r for r in mine if task in (None, r["plan"]["task"])]
    mine = [r for r in mine if tag is None or tag in r["plan"]["model"].get("tags", ())]
    mine.sort(key=lambda r: (r["created"], r["run_id"]))
    groups: dict[tuple[str, ...], dict[str, list[dict[str, Any]]]] = {}
    problems = []
    for record in mine:
        where = machine(record)
        if record["status"] != "ok" or where is None:
            problems.append(f"{record['run_id']} is not on the board: {_reason(record)}")
            continue
        for mode in MODES:
            if record["perf"].get(mode):
                key = (record["plan"]["task"], mode, workload(record["plan"]), where)
                groups.setdefault(key, {}).setdefault(_system(record), []).append(record)
    tables = (_table(key, list(members.values())) for key, members in sorted(groups.items()))
    return SpeedBoard(tuple(tables), tuple(problems))


def _reason(record: dict[str, Any]) -> str:
    return record["error"]["message"] if record["error"] else "its device is not known."


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
    if plan["task"] == "captioning":
        beam = f"beam {options['beam']}" if options["beam"] > 1 else "greedy"
        parts += [f"{dataset['words']} words known", f"up to {options['max_words']} a caption", beam]
    else:
        parts.append(f"{len(dataset['classes'])} {'answers' if plan['task'] == 'vqa' else 'classes'}")
    if plan["task"] == "vqa":
        parts.append(f"{options['questions_per_image']} questions an image")
    return f"{plan['task']}, {', '.join(parts)}"


def _table(key: tuple[str, ...], members: list[list[dict[str, Any]]]) -> SpeedTable:
    task, mode, words, where = key
    rows = sorted((_row(records, mode) for records in members), key=lambda r: (-r.samples_per_s, r.system, r.run_id))
    return SpeedTable(task, mode, members[0][0]["perf"]["unit"], words, where, tuple(rows))


def _row(records: list[dict[str, Any]], mode: str) -> SpeedRow:
    """The row of the newest of *records*."""
    newest = records[-1]
    perf = newest["perf"]
    measured = perf[mode]
    point = chosen(measured)
    assert point is not None, "a record is checked when it is read"
    latency = perf["latency_ms"] if mode == "inference" else None
    return SpeedRow(
        system=newest["plan"]["model"]["label"],
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
        measurements=len(records),
        flags=_flags(newest, mode),
        run_id=newest["run_id"],
    )


def _flags(record: dict[str, Any], mode: str) -> tuple[str, ...]:
    """Flags of the record, without those of the other mode."""
    others = [m for m in MODES if m != mode]
    flags = [f for f in record["perf"]["flags"] if not f.startswith(tuple(others))]
    return tuple(f.removeprefix(f"{mode} ") for f in flags)
