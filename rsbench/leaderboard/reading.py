"""What many configurations measured, read by several processes where there are thousands of records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Final

from rsbench.cores import Processes, usable_cores
from rsbench.leaderboard.cache import Cache
from rsbench.leaderboard.census import described
from rsbench.leaderboard.members import Member
from rsbench.leaderboard.rows import NO_PREDICTIONS, Measured, measure
from rsbench.leaderboard.summary import Read, summarize
from rsbench.records.store import LoadedRecord
from rsbench.registry import registry

MANY: Final = 1_000  # records from which on it pays to start processes
CHUNK: Final = 20  # configurations handed over at once


class PredictionReaders(Processes):
    """Processes that read predictions, started while the records are still being loaded.

    Args:
        cache: what was read before.
    """

    def __init__(self, cache: Cache | None = None) -> None:
        super().__init__(_prepare)
        self.cache = cache

    def start(self, records: int) -> None:
        """Start a process for each core where there are many *records* to be read."""
        self.open(usable_cores() if records >= MANY else 1)

    def read(self, groups: Sequence[Sequence[Member]], name: str) -> list[Read]:
        """Return what each group of runs of a configuration says of the metric *name*."""
        keys = [self.cache.key(group, name) if self.cache else None for group in groups]
        known = [self.cache.get(key) if self.cache and key else None for key in keys]
        missing = [[m.loaded for m in group] for group, one in zip(groups, known, strict=True) if one is None]
        new = iter([*self._read(missing, name)])
        found = [one or next(new) for one in known]
        for key, one in zip(keys, found, strict=True):
            if self.cache and key and set(one.issues) <= {NO_PREDICTIONS}:
                self.cache.add(key, one)
        return found

    def _read(self, groups: Sequence[Sequence[LoadedRecord]], name: str) -> Iterator[Read]:
        if sum(map(len, groups)) >= MANY:
            self.open(usable_cores())
        slim = [[_slim(loaded, name) for loaded in group] for group in groups]
        for group, (one, issues) in zip(groups, self.map(partial(_measured, name=name), slim, CHUNK), strict=True):
            yield Read(summarize([loaded.record for loaded in group], name), one, issues)


def _prepare() -> None:
    """Import what reading needs."""
    import pyarrow.parquet  # noqa: F401

    registry()


def _measured(group: Sequence[LoadedRecord], name: str) -> tuple[Measured | None, list[str]]:
    """What cannot be read, or what a plugin cannot make rows of, is an issue of these records and no others."""
    if all("predictions" not in loaded.record["artifacts"] for loaded in group):
        return None, [NO_PREDICTIONS]
    issues: list[str] = []
    try:
        return measure(group, [name], issues).get(name), issues
    except Exception as error:
        return None, [*issues, f"its predictions give no {name}: {described(error)}"]


def _slim(loaded: LoadedRecord, name: str) -> LoadedRecord:
    """What is needed of a record to read its predictions; it has to be sent to another process."""
    record = loaded.record
    plan: dict[str, Any] = {key: record["plan"][key] for key in ("task", "dataset")}
    kept = {"run_id": record["run_id"], "plan": plan, "metrics": {name: record["metrics"][name]}}
    return LoadedRecord(loaded.file, kept | {"artifacts": record["artifacts"]})
