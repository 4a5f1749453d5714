"""Builds a board: filters records, groups them, ranks each table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rsbench.leaderboard.aggregate import Table, group
from rsbench.leaderboard.rank import rank
from rsbench.leaderboard.reading import Readers
from rsbench.records.store import LoadedRecord, collector_paused
from rsbench.records.throughput import is_throughput


@dataclass
class Board:
    """Ranked tables, one for each protocol fingerprint, the records of their rows by run id, and runs that failed."""

    tables: list[Table]
    records: Mapping[str, LoadedRecord] = field(default_factory=dict)
    speeds: int = 0  # records of throughput, which are on another board
    failures: Sequence[LoadedRecord] = ()

    @property
    def problems(self) -> list[str]:
        """One sentence for each protocol of which there are two tables, because its data or metrics have changed; and
        one where there are speeds alone."""
        prints: dict[tuple[str, str], list[str]] = {}
        for table in self.tables:
            prints.setdefault((table.dataset, table.protocol), []).append(table.fingerprint[:16])
        hint = "Nothing but throughput was measured in these records: add --throughput."
        return [hint] * (self.speeds > 0 and not self.tables) + [
            f"'{protocol}' of {dataset} stands for {len(found)} fingerprints ({', '.join(found)}): its data or metrics "
            "have changed, and the tables cannot be compared."
            for (dataset, protocol), found in prints.items()
            if len(found) > 1
        ]


def build(
    records: Sequence[LoadedRecord],
    *,
    task: str | None = None,
    dataset: str | None = None,
    protocol: str | None = None,
    division: str | None = None,
    tag: str | None = None,
    readers: Readers | None = None,
) -> Board:
    """Return the board of the records that match every filter given; *tag* is one of the model's.

    Records of throughput have a board of their own: :mod:`rsbench.leaderboard.throughput`.

    Args:
        readers: those that may have been started before the records were read.
    """
    runs = [r for r in records if not is_throughput(r.record)]
    chosen = [r for r in runs if matches(r.record["plan"], task, dataset, protocol, division, tag)]
    with collector_paused(), readers or Readers() as used:
        used.start(len(chosen))
        tables = group(chosen, used)
        for table in tables:
            rank(table)
    ranked = {run_id for table in tables for row in table.rows for run_id in row.run_ids}
    found = {r.record["run_id"]: r for r in chosen if r.record["run_id"] in ranked}
    failures = [r for r in chosen if r.record["status"] == "failed"]
    return Board(tables, found, speeds=len(records) - len(runs), failures=failures)


def matches(
    plan: Mapping[str, Any],
    task: str | None,
    dataset: str | None,
    protocol: str | None,
    division: str | None,
    tag: str | None,
) -> bool:
    """Whether a plan passes every filter that is not ``None``."""
    wanted = (
        (task, plan["task"]),
        (dataset, plan["dataset"]["name"]),
        (protocol, plan["protocol"]["name"]),
        (division, plan["division"]),
    )
    return all(w in (None, have) for w, have in wanted) and (tag is None or tag in plan["model"].get("tags", ()))
