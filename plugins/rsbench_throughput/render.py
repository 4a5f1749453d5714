"""Boards of throughput, for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from rsbench.leaderboard.recipe_labels import system_labels
from rsbench.leaderboard.render import sheet
from rsbench.leaderboard.render.sheet import Sheet, number
from rsbench_throughput.board import SpeedBoard, SpeedRow, SpeedTable

COLUMNS: Final = (
    "system",
    "median",
    "spread",
    "batch",
    "p50 ms",
    "p95 ms",
    "p99 ms",
    "params",
    "GMACs",
    "memory",
    "of peak",
    "J",
    "drift",
    "data wait",
)
FLAGS: Final = "flags"
WIDE: Final = 110
DROPPED: Final = ("p95 ms", "params", "memory")  # in narrow terminals; the other formats have them
LEFT: Final = ("system", FLAGS)
NOTE: Final = (
    "Median over timed windows at the batch where doubling it stops to pay; spread: interquartile range over median. "
    "Percentiles: latency of inference at batch 1. GMACs: multiply-accumulates a sample. Memory: peak; on a CPU that "
    "of the whole process. Of peak: share of the matrix peak measured in the same process. J: energy a sample. Drift: "
    "largest change of a logit against eager fp32. Data wait: share of a training step fed by the loader that one on "
    "a batch already there does not take. Rows are comparable within a table alone."
)
EMPTY: Final = "No finished throughput measurements."


def cells(row: SpeedRow, name: str) -> list[str]:
    """Return one text for each of :data:`COLUMNS`; *name* is that of the system."""
    return [
        name,
        number(row.samples_per_s),
        f"{100 * (row.high - row.low) / row.samples_per_s:.1f} %",
        str(row.batch),
        *([number(v) for v in row.latency] if row.latency else ["-"] * 3),
        f"{row.params / 1e6:.2f} M" if row.params is not None else "-",
        f"{row.macs / 1e9:.3g}" if row.macs is not None else "-",
        f"{row.memory / 2**20:,.0f} MiB" if row.memory is not None else "-",
        f"{100 * row.peak_share:.1f} %" if row.peak_share is not None else "-",
        f"{row.energy_j:.3g}" if row.energy_j is not None else "-",
        f"{row.drift:.1e}" if row.drift else "0" if row.drift == 0 else "-",
        f"{100 * max(row.data_wait, 0):.1f} %" if row.data_wait is not None else "-",
    ]


def flags(row: SpeedRow) -> str:
    """Return what casts doubt on a row, and how many measurements it stands for."""
    return "; ".join([*row.flags, *([f"newest of {row.measurements}"] if row.measurements > 1 else [])])


def used(table: SpeedTable, dropped: Sequence[str] = ()) -> tuple[list[str], list[list[str]]]:
    """Return headings and rows without the columns that are *dropped* or in which nothing is known."""
    rows = [cells(row, label) for row, label in zip(table.rows, system_labels(table.rows), strict=True)]
    kept = [i for i, name in enumerate(COLUMNS) if name not in dropped and any(r[i] != "-" for r in rows)]
    return [COLUMNS[i] for i in kept], [[r[i] for i in kept] for r in rows]


def terminal(board: SpeedBoard, width: int | None = None) -> str:
    """Return the board as text with tables drawn by rich; *width* columns, the terminal's if ``None``."""

    def sheets(columns: int) -> list[Sheet]:
        return [_sheet(table, DROPPED if columns < WIDE else ()) for table in board.tables]

    return sheet.terminal(sheets, closing(board), width)


def _sheet(table: SpeedTable, dropped: Sequence[str]) -> Sheet:
    """A table with its flags in lines below: there is no room beside it."""
    labels = system_labels(table.rows)
    lines = [f"{label}: {flags(row)}" for row, label in zip(table.rows, labels, strict=True) if flags(row)]
    return Sheet(table.title, *used(table, dropped), LEFT, lines)


def markdown(board: SpeedBoard) -> str:
    """Return the board as Markdown."""
    sheets = []
    for table in board.tables:
        names, rows = used(table)
        rows = [[*texts, flags(row)] for texts, row in zip(rows, table.rows, strict=True)]
        sheets.append(Sheet(table.title, [*names, FLAGS], rows, LEFT))
    return sheet.markdown("Throughput", sheets, closing(board))


def closing(board: SpeedBoard) -> str:
    """Return what follows the tables."""
    return f"{NOTE if board.tables else EMPTY}\n\n{board.census.sentence()}"


def flat(board: SpeedBoard) -> list[dict[str, Any]]:
    """Return one flat mapping a row; unknown values are ``None``."""
    return [
        {
            "task": table.task,
            "mode": table.mode,
            "unit": table.unit,
            "workload": table.workload,
            "machine": table.machine,
            "system": row.system,
            "samples_per_s": row.samples_per_s,
            "low": row.low,
            "high": row.high,
            "batch": row.batch,
            **dict(zip(("p50_ms", "p95_ms", "p99_ms"), row.latency or (None, None, None), strict=True)),
            "params": row.params,
            "macs": row.macs,
            "peak_memory_bytes": row.memory,
            "peak_share": row.peak_share,
            "energy_j": row.energy_j,
            "drift": row.drift,
            "data_wait_share": row.data_wait,
            "measurements": row.measurements,
            "flags": "; ".join(row.flags),
            "run_id": row.run_id,
        }
        for table in board.tables
        for row in table.rows
    ]


RENDER: Final = sheet.formats(terminal, markdown, flat)
