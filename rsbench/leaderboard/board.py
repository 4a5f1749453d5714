"""Builds a board: filters records, groups them, ranks each table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rsbench.leaderboard.aggregate import Table, group
from rsbench.leaderboard.rank import rank
from rsbench.records.store import LoadedRecord


@dataclass
class Board:
    """Ranked tables, one for each protocol fingerprint."""

    tables: list[Table]


def build(
    records: Sequence[LoadedRecord],
    *,
    task: str | None = None,
    dataset: str | None = None,
    protocol: str | None = None,
    division: str | None = None,
) -> Board:
    """Return the board of the records that match every filter given."""
    chosen = [r for r in records if _matches(r.record["plan"], task, dataset, protocol, division)]
    tables = group(chosen)
    for table in tables:
        rank(table)
    return Board(tables)


def _matches(plan: dict, task: str | None, dataset: str | None, protocol: str | None, division: str | None) -> bool:
    wanted = ((task, plan["task"]), (dataset, plan["dataset"]["name"]), (protocol, plan["protocol"]["name"]))
    return all(w in (None, have) for w, have in (*wanted, (division, plan["division"])))
