"""Boards for programs: JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, overload

from rsbench.leaderboard.aggregate import Table
from rsbench.leaderboard.board import Board
from rsbench.leaderboard.census import Census
from rsbench.leaderboard.render.cells import NOTE
from rsbench.metrics.ranking import LEVEL

# A cell that starts with one of these is a formula to a spreadsheet; the last four are full-width forms of the first.
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def rows(board: Board) -> list[dict[str, Any]]:
    """Return one flat mapping a row; scores are raw values, unknown ones ``None``."""
    return [
        {
            "task": table.task,
            "dataset": table.dataset,
            "protocol": table.protocol,
            "fingerprint": table.fingerprint,
            "rank": row.rank,
            "system": row.system,
            "recipe": row.recipe,
            "division": row.division,
            "baseline": row.baseline,
            "seeds": len(row.seeds),
            "primary": table.primary,
            "mean": row.mean,
            "deviation": row.deviation,
            "scores": " ".join(map(repr, row.scores)),
            "low": digits(row.interval[0]) if row.interval else None,
            "high": digits(row.interval[1]) if row.interval else None,
            "rank_low": row.rank_interval[0] if row.rank_interval else None,
            "rank_high": row.rank_interval[1] if row.rank_interval else None,
            "letters": " ".join(row.letters),
            "p_above": digits(row.p_above),
            "p_above_unadjusted": digits(row.p_unadjusted),
            **row.metrics,
            "params": row.params,
            "train_seconds": row.train_seconds,
            "eval_samples_per_s": row.eval_samples_per_s,
            "flags": "; ".join(row.flags),
            "notes": "; ".join(row.notes),
            "run_ids": " ".join(row.run_ids),
            **statistics(table),
        }
        for table in board.tables
        for row in table.rows
    ]


def statistics(table: Table) -> dict[str, float | int]:
    """Return what the ranks and intervals of a table rest on: how much seeds do, in all systems together (degrees of
    freedom; those that they are worth beside a system's own; variance over seeds, and the part of it that flipped
    samples explain, over the sampling variance of a score), the number of comparisons and their level."""
    pool = table.pool
    return {
        "pool_df": pool.df,
        "pool_nu": pool.nu,
        "pool_rho": digits(pool.rho),
        "pool_kappa": digits(pool.kappa),
        "comparisons": table.comparisons,
        "level": LEVEL,
    }


@overload
def digits(value: float) -> float: ...


@overload
def digits(value: None) -> None: ...


def digits(value: float | None) -> float | None:
    """Return a computed number to ten digits, which are the same on every processor."""
    return None if value is None else float(f"{value:.10g}")


def render_json(board: Board) -> str:
    """Return the rows as JSON, with how to read them and where the records went."""
    return json_of(rows(board), board.census, NOTE)


def render_csv(board: Board) -> str:
    """Return the rows as CSV."""
    return csv_of(rows(board))


def json_of(rows: Sequence[Mapping[str, Any]], census: Census, note: str = "") -> str:
    """Return rows, how to read them, and where the records went, as a JSON object of ``rows``, ``note`` if there is
    one, and ``records``."""
    read = {"note": note} if note else {}
    return json.dumps({"rows": rows, **read, "records": census.to_dict()}, indent=1, allow_nan=False) + "\n"


def csv_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as CSV; text that a spreadsheet would run as a formula is quoted with an apostrophe."""
    names = dict.fromkeys(name for row in rows for name in row)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(_guard, names))
    writer.writerows([_guard(v) if isinstance(v, str) else v for v in map(row.get, names)] for row in rows)
    return text.getvalue()


def _guard(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULA) else text
