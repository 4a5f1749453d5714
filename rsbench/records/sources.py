"""Records from wherever they are: files, folders, outcomes of runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from os import PathLike
from pathlib import Path
from typing import Protocol, runtime_checkable

from rsbench.errors import UserError
from rsbench.execution import OUT
from rsbench.records.store import LoadedRecord, in_order, load_all


@runtime_checkable
class HasRecord(Protocol):
    """What a run left, such as :class:`rsbench.engine.launch.run_result.Outcome`; no path where it left no record."""

    @property
    def record_path(self) -> Path | None:
        """The record's file."""


Source = str | PathLike[str] | LoadedRecord | HasRecord


def load_records(
    *sources: Source,
    problems: list[str] | None = None,
    choose: Callable[[list[str]], Iterable[str]] | None = None,
    listed: Callable[[], list[str]] | None = None,
) -> list[LoadedRecord]:
    """Return the records in files, in folders and of outcomes, sorted by run id; by default those in :data:`OUT`.

    Args:
        sources: one or many.
        problems, choose, listed: as in :func:`rsbench.records.store.load_all`.

    Raises:
        UserError: a path is not there, or a record is not valid.
    """
    loaded: list[LoadedRecord] = []
    paths: list[Path] = []
    for source in sources or (OUT,):
        if isinstance(source, LoadedRecord):
            loaded.append(source)
        elif isinstance(source, str | PathLike):
            paths.append(Path(source))
        elif source.record_path is not None:
            paths.append(source.record_path)
    if not sources and not Path(OUT).exists():
        raise UserError(f"There is no folder '{OUT}' here: type rsbench run, or name the folder of your runs.")
    found = load_all(paths, problems, choose, listed)
    return in_order([*loaded, *found]) if loaded else found
