"""The board of throughput: what may be compared is in one table, and nothing else."""

from __future__ import annotations

import copy
import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from made import run_id
from rsbench_claims import compare as claims
from rsbench_throughput import render
from rsbench_throughput.board import SpeedBoard, build
from rsbench_throughput.plan import ThroughputRequest, expand
from rsbench_throughput.record import checked

from rsbench.errors import UserError
from rsbench.leaderboard import compare
from rsbench.leaderboard.board import build as ranked
from rsbench.records import store
from rsbench.records.blank import blank_record

FIXTURE = json.loads((Path(__file__).parent.parent / "data" / "record-1.json").read_text())


def point(batch: int, speed: float) -> dict[str, Any]:
    """Five windows of two steps at 0.98, 0.99, 1, 1.01 and 1.02 times the speed."""
    return {
        "batch": batch,
        "steps": 2,
        "window_s": [2 * batch / (f * speed) for f in (0.98, 0.99, 1, 1.01, 1.02)],
        "samples_per_s": speed,
        "quartiles": [0.99 * speed, 1.01 * speed],
        "warmup": {"first_s": 1.0, "seconds": 1.0, "windows": 3, "steady": True},
        "peak_memory_bytes": 2**30,
        "energy_j": None,
    }


def record(
    system: str = "tiny-cnn",
    speed: float = 100.0,
    *,
    device: str = "AMD EPYC",
    kind: str = "cpu",
    threads: int = 1,
    precision: str = "fp32",
    compile_: str | None = None,
    created: str = "2026-01-01T00:00:00Z",
    label: str | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Return a record whose inference reports batch 8 of 4 and 8, and training batch 4."""
    (plan,) = expand(ThroughputRequest(models=(system,), **more))
    name = run_id(plan.run_id, created, precision, compile_, threads, device)
    made = blank_record(name, plan.public_dict())
    made["plan"]["recipe"] |= {"compile": compile_, "precision": precision}
    made["plan"]["model"] |= {"label": label or system}
    mode = {"stopped": "knee", "macs": 10**9, "peak_share": 0.5}
    made["perf"] = {
        "unit": "images",
        "params": 1_000_000,
        "inference": {**mode, "batch": 8, "points": [point(4, speed / 2), point(8, speed)]},
        "training": {**mode, "batch": 4, "points": [point(4, speed / 3)]},
        "latency_ms": {"p50": 1.0, "p95": 2.0, "p99": 3.0, "calls": 200},
        "peak": {"flops": 1e12, "matmul": 1e12, "convolution": 5e11},
        "drift": {"max_abs": 1e-3, "reference_max_abs": 4.0},
        "contention": {},
        "flags": ["others kept 50% of the cores busy", "training never became steady"],
    }
    flags = {"precision": precision, "compile": compile_, "threads": threads, "tf32": None}
    made["env"] = {"device": {"type": kind, "name": device, "count": 1}, "flags": flags}
    return made | {"status": "ok", "created": created}


def board(folder: Path, *records: dict[str, Any], **filters: Any) -> SpeedBoard:
    for number, made in enumerate(records):
        store.save(made, folder / f"{number:03d}")
    return build(store.load_all([folder]), **filters)


DIFFERENCES: list[dict[str, Any]] = [
    {"device": "AMD EPYC 2"},
    {"device": "NVIDIA H200", "kind": "cuda"},
    {"threads": 2},
    {"precision": "bf16"},
    {"compile_": "default"},
    {"size": 224},
    {"channels": 13},
    {"classes": 21},
]


@pytest.mark.parametrize("other", DIFFERENCES, ids=lambda d: next(iter(d)))
def test_what_differs_is_in_another_table(tmp_path: Path, other: dict[str, Any]) -> None:
    made = board(tmp_path, record(), record(speed=900, **other), record("bmta", 50))
    inference = [t for t in made.tables if t.mode == "inference"]
    assert sorted([r.system for r in t.rows] for t in inference) == [["tiny-cnn"], ["tiny-cnn", "bmta"]]
    assert len({t.title for t in made.tables}) == len(made.tables) == 4


def test_tasks_do_not_mix(tmp_path: Path) -> None:
    kinds = {"classification": "images", "captioning": "captions", "vqa": "questions"}
    records = [record("spatialnet-vit", task=task, size=64, classes=9) for task in kinds]
    for made, unit in zip(records, kinds.values(), strict=True):
        made["perf"]["unit"] = unit
    tables = board(tmp_path, *records).tables
    assert sorted((t.task, t.mode, t.unit) for t in tables) == sorted(
        (task, mode, unit) for task, unit in kinds.items() for mode in ("inference", "training")
    )
    assert all(len(t.rows) == 1 for t in tables)
    assert {t.task for t in build(store.load_all([tmp_path]), task="vqa").tables} == {"vqa"}


def test_rows_are_sorted_by_speed_and_hold_what_was_measured(tmp_path: Path) -> None:
    made = board(tmp_path, record("bmta", 50), record("tiny-cnn", 300), record("cbam-cnn", 100))
    inference, training = made.tables
    assert [r.system for r in inference.rows] == ["tiny-cnn", "cbam-cnn", "bmta"]
    first = inference.rows[0]
    assert (first.samples_per_s, first.low, first.high, first.batch) == (300, 297, 303, 8)
    assert (first.latency, first.params, first.macs, first.memory) == ((1, 2, 3), 1_000_000, 10**9, 2**30)
    assert (first.peak_share, first.drift, first.energy_j) == (0.5, 1e-3, None)
    assert first.flags == ("others kept 50% of the cores busy",)
    assert training.rows[0].flags == ("others kept 50% of the cores busy", "never became steady")
    assert training.rows[0].latency is None
    assert training.rows[0].samples_per_s == 100


def test_the_newest_of_several_measurements_counts(tmp_path: Path) -> None:
    days = ("2026-01-03", "2026-01-01", "2026-01-02")
    records = [record(speed=100.0 + k, created=f"{day}T00:00:00Z") for k, day in enumerate(days)]
    (row,) = board(tmp_path, *records).tables[0].rows
    assert (row.samples_per_s, row.measurements) == (100, 3)
    assert render.flags(row).endswith("newest of 3")


def test_quick_measurements_do_not_replace_careful_ones(tmp_path: Path) -> None:
    made = board(tmp_path, record(), record(speed=200, quick=True, created="2027-01-01T00:00:00Z"))
    assert [r.samples_per_s for r in made.tables[0].rows] == [200, 100]


def test_failures_are_named_and_have_no_row(tmp_path: Path) -> None:
    failed = record("bmta") | {"status": "failed", "perf": None}
    failed["error"] = {"stage": "inference", "type": "OutOfMemoryError", "message": "The device ran out of memory."}
    made = board(tmp_path, record(), failed)
    assert [r.system for t in made.tables for r in t.rows] == ["tiny-cnn"] * 2
    (problem,) = made.problems
    assert problem.endswith("is left out: it failed: The device ran out of memory.")


def test_boards_of_accuracy_leave_speeds_out(tmp_path: Path) -> None:
    store.save(copy.deepcopy(FIXTURE), tmp_path / "run")
    made = record()
    store.save(made, tmp_path / "speed")
    loaded = store.load_all([tmp_path])
    both = ranked(loaded)
    assert [row.run_ids for table in both.tables for row in table.rows] == [(FIXTURE["run_id"],)]
    assert both.problems == []
    speeds = [r for r in loaded if r.record["run_id"] == made["run_id"]]
    assert "--throughput" in ranked(speeds).problems[0]
    assert claims.compare(speeds, []) == []
    assert all(same for same, *_ in checked(speeds[0].record))
    with pytest.raises(UserError, match="--throughput"):
        compare.compare(speeds, speeds)
    assert [t.rows[0].system for t in build(loaded).tables] == ["tiny-cnn"] * 2


def test_formulas_are_harmless_in_csv(tmp_path: Path) -> None:
    made = board(tmp_path, record(label="=HYPERLINK(1)"), record("bmta", device="@SUM(1)"))
    rows = list(csv.DictReader(io.StringIO(render.RENDER["csv"](made))))
    assert {row["system"] for row in rows} == {"'=HYPERLINK(1)", "bmta"}
    assert {row["machine"][:5] for row in rows} == {"AMD E", "'@SUM"}


def test_formats_say_the_same_and_null_is_not_zero(tmp_path: Path) -> None:
    made = board(tmp_path, record(speed=1234.5))
    rows = json.loads(render.RENDER["json"](made))["rows"]
    assert [r["mode"] for r in rows] == ["inference", "training"]
    assert (rows[0]["samples_per_s"], rows[0]["p95_ms"], rows[0]["energy_j"]) == (1234.5, 2.0, None)
    assert rows[1]["p95_ms"] is None
    text = render.markdown(made)
    assert "| tiny-cnn |" in text
    assert "1,234" in text
    assert " J |" not in text  # a column in which nothing is known
    assert "AMD EPYC, 1 CPU thread, fp32" in text
    shown = render.terminal(made, 160)
    assert "tiny-cnn: others kept 50% of the cores busy" in shown
    assert "p95 ms" in shown
    assert "p95 ms" not in render.terminal(made, 80)


def test_bytes_do_not_depend_on_the_order_of_records(tmp_path: Path) -> None:
    board(tmp_path, record("bmta", 50), record("tiny-cnn", 50), record(precision="bf16"))
    loaded = store.load_all([tmp_path])
    for draw in render.RENDER.values():
        assert draw(build(loaded)) == draw(build(loaded[::-1]))


def test_an_empty_board_says_so() -> None:
    assert render.EMPTY in render.markdown(build([]))
    assert json.loads(render.RENDER["json"](build([])))["rows"] == []
