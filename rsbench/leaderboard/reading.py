"""Rows of many configurations, read by several processes where there are thousands of records.

Threads would not do: most of the work on a file of a few thousand predictions is done in Python.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any, Final

from rsbench.cores import usable_cores, without_main
from rsbench.leaderboard.rows import Rows, metric_over_seeds, rows_of
from rsbench.records.store import LoadedRecord

MANY: Final = 1_000  # records from which on it pays to start processes
CHUNK: Final = 20  # configurations handed over at once

# The rows of a configuration, or ``None``, and what speaks against its records.
Read = tuple[Rows | None, list[str]]


def read_rows(groups: Sequence[Sequence[LoadedRecord]], name: str) -> list[Read]:
    """Return, for each group of runs of a configuration, what :func:`rsbench.leaderboard.rows.rows_of` finds of the
    metric *name*."""
    read = partial(_read, name=name)
    workers = usable_cores()
    if workers == 1 or sum(map(len, groups)) < MANY:
        return [read(group) for group in groups]
    slim = [[_slim(loaded, name) for loaded in group] for group in groups]
    with without_main(), ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(read, slim, chunksize=CHUNK))


def _read(group: Sequence[LoadedRecord], name: str) -> Read:
    doubts: list[str] = []
    return rows_of(group, metric_over_seeds(name, group[0].record["plan"]), name, doubts), doubts


def _slim(loaded: LoadedRecord, name: str) -> LoadedRecord:
    """What is needed of a record to read its predictions; it has to be sent to another process."""
    record = loaded.record
    plan: dict[str, Any] = {key: record["plan"][key] for key in ("task", "dataset")}
    kept = {"run_id": record["run_id"], "plan": plan, "metrics": {name: record["metrics"][name]}}
    return LoadedRecord(loaded.path, kept | {"artifacts": record["artifacts"]})
