"""What many configurations measured, read by several processes where there are thousands of records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Final

from rsbench.cores import Processes, usable_cores
from rsbench.leaderboard.cache import Cache
from rsbench.leaderboard.census import described
from rsbench.leaderboard.rows import NOT_AT_HAND, Measured, measure
from rsbench.records.store import LoadedRecord
from rsbench.registry import registry

MANY: Final = 1_000  # records from which on it pays to start processes
CHUNK: Final = 20  # configurations handed over at once

# What a configuration measured, or ``None``, and what speaks against its records.
Read = tuple[Measured | None, list[str]]


class Readers(Processes):
    """Processes that read predictions, started while the records are still being loaded.

    Args:
        cache: what was read before.
    """

    def __init__(self, cache: Cache | None = None) -> None:
        super().__init__(_prepare)
        self.cache = cache

    def start(self, records: int) -> None:
        """Start a process for each core where there are many *records* to be read."""
        self.open(usable_cores() if records - (self.cache.runs if self.cache else 0) >= MANY else 1)

    def measured(self, groups: Sequence[Sequence[LoadedRecord]], name: str) -> list[Read]:
        """Return, for each group of runs of a configuration, what :func:`rsbench.leaderboard.rows.measure` finds of
        the metric *name*."""
        slim = [[_slim(loaded, name) for loaded in group] for group in groups]
        keys = [self.cache.key(group, name) if self.cache else None for group in slim]
        known = [self.cache.get(key) if self.cache else None for key in keys]
        new = iter([*self._read([group for group, one in zip(slim, known, strict=True) if one is None], name)])
        found: list[Read] = [next(new) if one is None else (one, []) for one in known]
        for key, (one, doubts) in zip(keys, found, strict=True):
            if self.cache and key and one and not doubts:
                self.cache.add(key, one)
        return found

    def _read(self, groups: Sequence[Sequence[LoadedRecord]], name: str) -> Iterator[Read]:
        read = partial(_read, name=name)
        if sum(map(len, groups)) < MANY:
            return map(read, groups)
        self.open(usable_cores())
        return self.map(read, groups, CHUNK)


def _prepare() -> None:
    """Import what reading needs."""
    import pyarrow.parquet  # noqa: F401

    registry()


def _read(group: Sequence[LoadedRecord], name: str) -> Read:
    """What cannot be read, or what a plugin cannot make rows of, speaks against these records and no others."""
    if all("predictions" not in loaded.record["artifacts"] for loaded in group):
        return None, [NOT_AT_HAND]
    doubts: list[str] = []
    try:
        return measure(group, [name], doubts).get(name), doubts
    except Exception as error:
        return None, [*doubts, f"its predictions give no {name}: {described(error)}"]


def _slim(loaded: LoadedRecord, name: str) -> LoadedRecord:
    """What is needed of a record to read its predictions; it has to be sent to another process."""
    record = loaded.record
    plan: dict[str, Any] = {key: record["plan"][key] for key in ("task", "dataset")}
    kept = {"run_id": record["run_id"], "plan": plan, "metrics": {name: record["metrics"][name]}}
    return LoadedRecord(loaded.path, kept | {"artifacts": record["artifacts"]})
