"""Records on disk: written whole or not at all, never overwritten once a run has succeeded."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from rsbench.errors import UserError
from rsbench.files import regular, sweep, write_atomically
from rsbench.reading import collector_paused, content_of
from rsbench.records import FILE
from rsbench.records.seal import sealed
from rsbench.records.upgrade import upgrade
from rsbench.states import walk

PREDICTIONS: Final = "predictions.parquet"
WEIGHTS: Final = "model.safetensors"
LARGEST: Final = 64 << 20  # bytes of a record; a thousand times what one takes


class LoadedRecord:
    """A record and the file it came from; artifacts lie beside it.

    Attributes:
        file: its path as a text, which costs a tenth of a ``Path``.

    Args:
        record: what the file holds; by default it is loaded when it is first asked for.
    """

    __slots__ = ("_record", "file")

    def __init__(self, path: Path | str, record: dict[str, Any] | None = None) -> None:
        self.file = str(path)
        self._record = record

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.file!r})"

    @property
    def path(self) -> Path:
        """The file it came from."""
        return Path(self.file)

    @property
    def record(self) -> dict[str, Any]:
        """The record itself.

        Raises:
            UserError: it was not loaded before, and cannot be.
        """
        if self._record is None:
            self._record = load(self.path)
        return self._record

    def artifact(self, name: str) -> Path | None:
        """Path of an artifact; ``None`` where the record has none of this name, or no regular file beside the record
        has: what a pipe, a device or a link to elsewhere would give is no part of the run."""
        entry = self.record["artifacts"].get(name)
        if entry is None or Path(entry["path"]).name != entry["path"]:
            return None
        try:
            return regular(self.path.parent / entry["path"], links=False)
        except (OSError, ValueError):
            return None


def save(record: dict[str, Any], directory: Path) -> Path:
    """Validate *record* and write it, in the current schema and with its digest, to ``record.json`` in *directory*.

    Raises:
        UserError: a finished record exists already; it would be lost.
    """
    target = directory / FILE
    if finished(directory):
        raise UserError(f"{target} holds a finished record; records are never overwritten. Choose another --out.")
    return _write(record, directory)


def add_checks(checks: Iterable[dict[str, Any]], directory: Path) -> None:
    """Add checks that were made once the record was on disk and renew its digest; nothing else of it can change."""
    record = load(directory)
    record["checks"] += checks
    _write(record, directory)


def rewrite(record: dict[str, Any], file: Path) -> None:
    """Write a record that was amended in place of what *file* holds, and renew its digest."""
    _write(record, file.parent, file.name)


def _write(record: dict[str, Any], directory: Path, name: str = FILE) -> Path:
    target = directory / name
    record = upgrade(record, str(target))
    validate(record, str(target))
    try:
        text = json.dumps(sealed(record), indent=1, allow_nan=False) + "\n"
    except (TypeError, ValueError, RecursionError) as error:
        raise UserError(f"{target} cannot hold this record: {error}.") from None
    _parsed(text.encode(), str(target))  # what cannot be read back is not written
    write_atomically(target, text)
    sweep(directory)
    return target


def validate(record: dict[str, Any], source: str) -> None:
    """Check *record* against its model.

    Raises:
        UserError: one sentence with the file and the first field that does not fit.
    """
    from rsbench.records.schema import misfits

    if found := misfits(record):
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise UserError(f"{source} is not a valid record: {found[0]}{more}.")


def finished(directory: Path) -> bool:
    """Whether *directory* holds the record of a run that succeeded."""
    file = directory / FILE
    try:
        return _parsed(content_of(file, str(file), LARGEST), str(file)).get("status") == "ok"
    except UserError:
        return False


def load(path: Path) -> dict[str, Any]:
    """Read a record (a file, or the folder that holds ``record.json``), upgraded and validated.

    Raises:
        UserError: there is none, or it is not a record.
    """
    file = path / FILE if path.is_dir() else path
    source = str(file)
    return accepted(_parsed(content_of(file, source, LARGEST), source), source)


def _parsed(content: bytes, source: str) -> dict[str, Any]:
    from pydantic_core import from_json

    try:
        record = from_json(content, allow_inf_nan=False)
    except ValueError as error:
        raise UserError(f"{source} cannot be read as a record: {error}.") from None
    if not isinstance(record, dict):
        raise UserError(f"{source} is not an rsbench record: it holds a {type(record).__name__}.")
    return record


def accepted(record: dict[str, Any], source: str) -> dict[str, Any]:
    """Return what a file holds as a record of the current schema.

    Raises:
        UserError: it is not a record, or one whose digest was taken away; *source* is named.
    """
    made = upgrade(record, source)
    validate(made, source)
    if made["digest"] is None and record["schema"] == made["schema"]:
        raise UserError(f"{source} is not a valid record: digest: there is none.")
    return made


def load_all(
    paths: Iterable[Path],
    problems: list[str] | None = None,
    choose: Callable[[list[str]], Iterable[str]] | None = None,
    listed: Callable[[], list[str]] | None = None,
) -> list[LoadedRecord]:
    """Load every record at or below *paths*, sorted by run id and path.

    Args:
        paths: files and folders.
        problems: where it is given, a record that is not valid is named there and left out.
        choose: is given the files before the first is read, and returns those that are to be.
        listed: returns the files at or below *paths*, where somebody else has looked for them.

    Raises:
        UserError: a path is not there, or a record below it is not valid.
    """
    files = listed() if listed else _files(paths)
    loaded = []
    with collector_paused():
        for file in choose(files) if choose else files:
            try:
                loaded.append(LoadedRecord(file, load(Path(file))))
            except UserError as error:
                if problems is None:
                    raise
                problems.append(f"{error} It is left out.")
        return in_order(loaded)


def in_order(loaded: Iterable[LoadedRecord]) -> list[LoadedRecord]:
    """Sort records by run id and path."""
    return sorted(loaded, key=lambda r: (r.record["run_id"], r.file))


def record_files(paths: Iterable[Path]) -> list[Path]:
    """Return the files of the records at or below *paths*, sorted; folders that are links are followed, each once.

    Raises:
        UserError: a path is not there.
    """
    return [*map(Path, _files(paths))]


def _files(paths: Iterable[Path]) -> list[str]:
    files: set[str] = set()
    for path in paths:
        if not path.exists():
            raise UserError(f"There is no file or folder '{path}' to read records from.")
        files.update(_below(path) if path.is_dir() else [str(path)])
    return sorted(files)


def _below(folder: Path) -> Iterator[str]:
    return (os.path.join(place, FILE) for place, _, files in walk(folder) if FILE in files)


def sha256_file(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
