"""The folders of runs, and what became of each.

Imports neither torch nor NumPy.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any, Final

from rsbench import reading
from rsbench.engine.launch.run_result import LOCK, PLAN, primary_of
from rsbench.engine.training import resume
from rsbench.errors import UserError, did_you_mean, first_of
from rsbench.records import store
from rsbench.records.sources import HasRecord, Source
from rsbench.states import walk

TIME: Final = "%Y-%m-%dT%H:%M:%SZ"
_MARKS: Final = {store.FILE, PLAN, LOCK, resume.FILE, resume.PREVIOUS}


@dataclass(frozen=True)
class RunFolder:
    """One run on disk.

    Attributes:
        path: its folder.
        state: finished, failed, interrupted, running or damaged.  A run that was interrupted resumes by its command.
        record: of a run that finished or failed, else ``None``.
        plan: of the record, or of what was begun; empty where neither is known.
        problem: what is wrong with a damaged record, or why the run failed; else empty.
    """

    path: Path
    state: str
    record: Mapping[str, Any] | None
    plan: Mapping[str, Any]
    problem: str = ""

    @property
    def run_id(self) -> str:
        """Of the record or plan, or the name of the folder."""
        return str((self.record or self.plan).get("run_id") or self.path.resolve().name)

    @property
    def short(self) -> str:
        """The hash at the end of a run's id, which names it as well; of other ids all."""
        end = self.run_id.rpartition("-")[2]
        return end if len(end) == 8 and set(end) <= set("0123456789abcdef") else self.run_id

    @cached_property
    def files(self) -> list[Path]:
        """All that lies in the folder, sorted; links are not followed."""
        found = (Path(place, name) for place, _, names in os.walk(self.path) for name in names)
        return sorted(found)

    @cached_property
    def bytes(self) -> int:
        """Their size."""
        return sum(map(_size, self.files))

    @cached_property
    def when(self) -> str:
        """Start of the run; without a record the time at which its files were last written; UTC, ISO 8601."""
        if self.record is not None:
            return str(self.record["created"])
        newest = max((_written(path) for path in self.files), default=0.0)
        return datetime.fromtimestamp(newest, UTC).strftime(TIME)

    @property
    def primary(self) -> dict[str, Any] | None:
        """``{name, value, ci95, unit}`` of the primary metric."""
        return primary_of(self.record["metrics"]) if self.record else None

    @property
    def resumable(self) -> bool:
        """Whether a training state lies there."""
        return resume.exists(self.path)


def runs_below(root: Path) -> list[RunFolder]:
    """Return all runs in folders at or below *root*, newest first; those equally new by their ids.

    Raises:
        UserError: there is no such folder.
    """
    if not root.is_dir():
        raise UserError(f"There is no folder '{root}' with runs: type rsbench run, or name another with --out.")
    found = [_run(Path(place), {*files}) for place, files in _folders(root)]
    return sorted(sorted(found, key=lambda run: run.run_id), key=lambda run: run.when, reverse=True)


def run_at(folder: Path) -> RunFolder | None:
    """Return the run in a folder; ``None`` where there is none."""
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    return _run(folder, names) if names & _MARKS else None


def find_run(name: str, root: Path) -> RunFolder:
    """Return the run that a user means: by its folder or record, its id, the hash at the end of that, or a beginning of
    either that no other run in *root* has.

    Raises:
        UserError: there is none, or there are several.
    """
    path = Path(name)
    if found := run_at(path.parent if path.name == store.FILE else path):
        return found
    if not root.is_dir():
        raise UserError(f"There is no folder '{root}' with runs: type rsbench run, or name another with --out.")
    folders = [Path(place) for place, _ in _folders(root)]
    known = [(folder.name, folder.name.rpartition("-")[2], folder) for folder in folders]
    for fits in (str.__eq__, str.startswith):
        meant = [folder for run_id, end, folder in known if fits(run_id, name) or fits(end, name)]
        if len(meant) == 1 and (found := run_at(meant[0])):
            return found
        if meant:
            raise UserError(f"{len(meant)} runs in {root} are called '{name}': {first_of([*map(str, meant)])}.")
    raise UserError(f"There is no run '{name}' in {root}.{did_you_mean(name, [run_id for run_id, _, _ in known])}")


def record_of(run: Source, out: Path | str | PathLike[str]) -> store.LoadedRecord:
    """Return the record of a run.

    Raises:
        UserError: there is no such run, or it left no record.
    """
    if isinstance(run, store.LoadedRecord):
        return run
    if isinstance(run, HasRecord):
        if run.record_path is None:
            raise UserError("This run left no record.")
        return store.LoadedRecord(run.record_path)
    found = find_run(str(run), Path(out))
    if found.record is None:
        raise UserError(f"{found.run_id} is {found.state}, so it has no weights.")
    return store.LoadedRecord(found.path / store.FILE, dict(found.record))


def run_names(root: Path) -> list[str]:
    """Return the ids of runs below a folder, for completion; none where there is no such folder."""
    return [Path(place).name for place, _ in _folders(root)]


@contextmanager
def held(run: RunFolder) -> Iterator[bool]:
    """Hold a run, so that none is started in its folder; yield whether it was free."""
    from filelock import FileLock, Timeout

    lock = FileLock(run.path / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _folders(root: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield the folders of runs, and what lies in them; what is below one belongs to it, but for other runs."""
    for place, _, files in walk(root):
        if _MARKS & {*files}:
            yield place, files


def _run(folder: Path, names: set[str]) -> RunFolder:
    note = reading.kept(folder / PLAN) if PLAN in names else None
    lead, plan = _noted(note)
    if any(map(_is_locked, {folder / LOCK, folder.parent / (lead or folder.name) / LOCK})):
        return RunFolder(folder, "running", None, plan)
    if store.FILE not in names:
        return RunFolder(folder, "interrupted", None, plan)
    try:
        record = store.load(folder)
    except UserError as error:
        return RunFolder(folder, "damaged", None, plan, str(error))
    if record["status"] == "ok":
        return RunFolder(folder, "finished", record, record["plan"])
    if note is not None:  # another attempt was begun since
        return RunFolder(folder, "interrupted", None, plan or record["plan"])
    why = record["error"] or {}
    return RunFolder(folder, "failed", record, record["plan"], f"{why.get('stage')}: {why.get('message')}")


def _noted(note: Any) -> tuple[str | None, dict[str, Any]]:
    """Return lead and plan of what :func:`rsbench.engine.launch.run_result.begin` has noted."""
    if not isinstance(note, dict) or not isinstance(note.get("plan"), dict):
        return None, {}
    lead = note.get("lead")
    return (lead if isinstance(lead, str) and Path(lead).name == lead else None), note["plan"]


def _is_locked(path: Path) -> bool:
    """Whether a process holds the lock; it is asked for a moment, and whoever wants it then asks again."""
    from filelock import FileLock, Timeout

    if not path.is_file():
        return False
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True
    except OSError:  # it is not ours to open
        return False


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:  # a run that is under way has removed it
        return 0


def _written(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except OSError:
        return 0.0
