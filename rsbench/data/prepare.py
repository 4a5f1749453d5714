"""Turns a dataset's files into memory-mapped arrays, once.

All cores decode blocks of images straight into the array file.  A journal of finished blocks lets a killed
preparation go on; a lock keeps two from colliding; the folder gets its name and its ``complete`` marker last.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
from filelock import FileLock

from rsbench.containment import Origin, Refused, code_of, contained
from rsbench.cores import hide_main_module, process_pool, usable_cores
from rsbench.data import manifest as manifest_files
from rsbench.data import places
from rsbench.data.integrity import fingerprint, marker
from rsbench.data.source import SampleError, Source
from rsbench.data.store import PreparedStore, store_path
from rsbench.errors import UserError
from rsbench.files import regular, write_atomically
from rsbench.reading import LARGEST_NOTE
from rsbench.specs import Band, DatasetSpec, load_attribute

BLOCK: Final = 512
JOURNAL: Final = "journal.jsonl"
IDENTITY: Final = "identity.json"
SPARE_BYTES: Final = 64 << 20
SHOWN_ERRORS: Final = 5
SMALL: Final = 2 * BLOCK  # fewer images than this are not worth starting processes for

OnProgress = Callable[[int, int], None]


def prepare(
    spec: DatasetSpec,
    raw: Path | None,
    root: Path,
    *,
    workers: int | None = None,
    force: bool = False,
    on_progress: OnProgress | None = None,
    tell: Callable[[str], None] | None = None,
) -> PreparedStore:
    """Prepare *spec* from its files at *raw* (the fetched ones if ``None``) into the data root.

    Args:
        spec: of the dataset.
        raw: folder of its files.
        root: data root, which gets the arrays.
        workers: processes; all usable cores if ``None``.
        force: prepare again where it has been done; data at a place also are where their files changed.
        on_progress: called with (images done, images in all).
        tell: called with sentences on why data are prepared again, and on how the source took the files.

    Raises:
        UserError: files are missing or cannot be decoded (named), or the disk is full.  Nothing is left that looks
            complete.  Or what has been prepared before was changed since.
    """
    if spec.reads and raw is not None:
        raise UserError(f"'{spec.name}' is read where it lies: leave out --source, and give its path in its name.")
    target = store_path(root, spec)
    tell = tell or (lambda sentence: None)
    now = places.state(spec) if spec.place else None

    def is_done() -> bool:
        return not force and places.is_prepared(target, spec, now)

    if is_done():
        return PreparedStore.open(target)
    if now and manifest_files.is_complete(target) and (sentence := places.change(target, spec, now)):
        tell(sentence)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(f".{target.name}.lock")):
            if is_done():
                return PreparedStore.open(target)
            source = open_source(spec, raw, root)
            made = _Preparation(spec, source, target, workers, on_progress or (lambda done, total: None), now).run()
            for sentence in made.manifest.get("notes", ()):
                tell(f"{spec.name}: {sentence}.")
            return made
    except BrokenProcessPool:
        raise UserError(
            f"A process that prepares '{spec.name}' was ended (the system ran out of memory?). The same command goes "
            "on from there; fewer --workers need less memory."
        ) from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(f"The disk of {root} is full: free some space, or choose another --data-root.") from None
        raise UserError(f"'{spec.name}' cannot be prepared under {root}: {error}.") from None


def open_source(spec: DatasetSpec, raw: Path | None, root: Path) -> Source:
    """Build the plugin's source over *raw*, or over the fetched files."""
    from rsbench.data.location import raw_folder

    if spec.reads and not spec.place:
        raise UserError(manifest_files.not_at_hand(root, spec))
    folder = Path(spec.place) if spec.place else raw if raw is not None else raw_folder(root, spec.name)
    if not spec.generated and not folder.exists():
        hint = f"type rsbench data fetch {spec.name}, or give" if spec.files else "give"
        raise UserError(f"There are no files of '{spec.name}' at {folder}: {hint} --source PATH.")
    what = f"the source of '{spec.name}'"
    with contained(code_of(spec.source), what, limit=False, quiet=True, passing=(OSError,)):
        source: Source = load_attribute(spec.source)(folder, spec)
        check_columns(source, spec.name, complete=spec.all_classes)
    return source


def check_columns(source: Source, name: str, *, complete: bool = True) -> None:
    """Check ids and labels of a source; every class must occur if the labels are to be *complete*.

    Raises:
        UserError: ids repeat, a column has another length, a label is out of range, or a class is empty.
        Refused: it is no source: what it says is of other types than :class:`Source` has.
    """
    if wrong := _misfit(source):
        raise Refused(f"gave {wrong}")
    ids = list(source.columns["id"])
    if not ids:
        raise UserError(f"No samples of '{name}' were found.")
    if len(set(ids)) != len(ids):
        raise UserError(f"'{name}' has sample ids that occur twice.")
    for column, values in source.columns.items():
        if len(values) != len(ids):
            raise UserError(f"Column '{column}' of '{name}' has {len(values)} values for {len(ids)} samples.")
    if source.classes and "label" in source.columns:
        counts = np.bincount(np.asarray(source.columns["label"]), minlength=len(source.classes))
        if len(counts) > len(source.classes):
            raise UserError(f"'{name}' has label {len(counts) - 1}, but only {len(source.classes)} classes.")
        empty = [c for c, n in zip(source.classes, counts, strict=True) if n == 0]
        if empty and complete:
            raise UserError(f"'{name}' has no image of class {', '.join(empty)}: its files are incomplete.")


def _misfit(source: Any) -> str | None:
    """What of a source is not as :class:`Source` says, in a few words."""
    if missing := [name for name in Source.__annotations__ if not hasattr(source, name)]:
        return f"{type(source).__name__}, which has no {', '.join(missing)}"
    shape = source.shape
    if len(shape) != 3 or not all(isinstance(n, (int, np.integer)) and n > 0 for n in shape):
        return f"{shape} as the shape of its images, not [C, H, W]"
    if not isinstance(source.dtype, str) or np.dtype(source.dtype).kind not in "uif":
        return f"{source.dtype!r} as the type of its images, not the name of one of NumPy's numbers"
    if not isinstance(source.columns, Mapping) or "id" not in source.columns:
        return "columns without 'id'"
    named = {"ids of images": source.image_ids, "ids": source.columns["id"], "classes": source.classes}
    odd = [what for what, names in named.items() if not all(isinstance(name, str) for name in names)]
    return f"{' and '.join(odd)} that are no texts" if odd else None


class _Preparation:
    def __init__(
        self,
        spec: DatasetSpec,
        source: Source,
        target: Path,
        workers: int | None,
        on_progress: OnProgress,
        state: dict[str, Any] | None,
    ) -> None:
        self.spec, self.source, self.target, self.on_progress = spec, source, target, on_progress
        self.author, self.state = code_of(spec.source), state
        self.partial = target.with_name(f".{target.name}.partial")
        self.total = len(source.image_ids)
        self.shape = (self.total, *source.shape)
        self.workers = workers or usable_cores()
        columns = {name: _plain(values) for name, values in source.columns.items()}
        self.samples: dict[str, Any] = {"image_ids": list(source.image_ids), "columns": columns}
        with contained(self.author, f"the source of '{spec.name}'", limit=False):
            self.text = json.dumps(self.samples, sort_keys=True)

    def run(self) -> PreparedStore:
        done = self._resume() or self._start()
        try:
            self._decode(done)
        except UserError:
            shutil.rmtree(self.partial)
            raise
        return self._finish([done[start] for start, _ in self._blocks()])

    def _blocks(self) -> Iterator[tuple[int, int]]:
        for start in range(0, self.total, BLOCK):
            yield start, min(start + BLOCK, self.total)

    def _identity(self) -> dict[str, Any]:
        samples = hashlib.sha256(self.text.encode()).hexdigest()
        return {"version": self.spec.version, "shape": list(self.shape), "dtype": self.source.dtype, "samples": samples}

    def _start(self) -> dict[int, str]:
        """Begin anew: reserve the whole array on disk, so that a full disk shows now and not as a crash later."""
        shutil.rmtree(self.partial, ignore_errors=True)
        self.partial.mkdir(parents=True)
        need = int(np.prod(self.shape)) * np.dtype(self.source.dtype).itemsize + SPARE_BYTES
        free = shutil.disk_usage(self.partial).free
        if free < need:
            shutil.rmtree(self.partial)
            raise UserError(
                f"Preparing '{self.spec.name}' needs {need / 1e9:.2f} GB, but {self.target.parent} has "
                f"{free / 1e9:.2f} GB free: make room, or choose another --data-root."
            )
        path = self.partial / manifest_files.IMAGES
        try:
            np.lib.format.open_memmap(path, mode="w+", dtype=self.source.dtype, shape=self.shape)
            with path.open("r+b") as stream:
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(stream.fileno(), 0, path.stat().st_size)
            write_atomically(self.partial / IDENTITY, json.dumps(self._identity()))
        except OSError:
            shutil.rmtree(self.partial, ignore_errors=True)
            raise
        return {}

    def _resume(self) -> dict[int, str] | None:
        """Return start -> hash of the blocks that a killed preparation finished, each checked on disk."""
        try:
            if json.loads(regular(self.partial / IDENTITY, LARGEST_NOTE).read_text()) != self._identity():
                return None
            lines = regular(self.partial / JOURNAL).read_text().splitlines()
            images = np.load(regular(self.partial / manifest_files.IMAGES), mmap_mode="r")
        except (OSError, ValueError):
            return None
        done = {}
        for line in lines:
            try:
                entry = json.loads(line)
            except ValueError:  # the line that was being written
                continue
            block = images[entry["start"] : entry["stop"]]
            if hashlib.sha256(block).hexdigest() == entry["sha256"]:
                done[entry["start"]] = entry["sha256"]
        return done or None

    def _decode(self, done: dict[int, str]) -> None:
        """Decode what is missing and add it to *done*."""
        todo = [b for b in self._blocks() if b[0] not in done]
        finished = sum(min(start + BLOCK, self.total) - start for start in done)
        self.on_progress(finished, self.total)
        errors: list[str] = []
        with (self.partial / JOURNAL).open("a") as journal, closing(self._results(todo)) as results:
            for start, stop, digest, failed in results:
                errors += failed
                if not failed:
                    done[start] = digest
                    journal.write(json.dumps({"start": start, "stop": stop, "sha256": digest}) + "\n")
                    journal.flush()
                finished += stop - start
                self.on_progress(finished, self.total)
        if errors:
            shown = "; ".join(errors[:SHOWN_ERRORS]) + (
                f"; and {len(errors) - SHOWN_ERRORS} more" if errors[SHOWN_ERRORS:] else ""
            )
            count = "1 image" if len(errors) == 1 else f"{len(errors)} images"
            raise UserError(f"{count} of '{self.spec.name}' cannot be read: {shown}.")

    def _results(self, todo: list[tuple[int, int]]) -> Generator[tuple[int, int, str, list[str]]]:
        path = str(self.partial / manifest_files.IMAGES)
        workers = min(self.workers, len(todo))
        if workers <= 1 or self.total < SMALL:
            yield from (_read_block(self.source, self.author, path, start, stop) for start, stop in todo)
            return
        with process_pool(workers, _start_worker, self.source, self.author, path) as pool:
            with hide_main_module():
                futures = [pool.submit(_work, start, stop) for start, stop in todo]
            for future in as_completed(futures):
                yield future.result()

    def _finish(self, hashes: list[str]) -> PreparedStore:
        manifest: dict[str, Any] = {
            "schema": manifest_files.SCHEMA,
            "name": self.spec.name,
            "version": self.spec.version,
            "shape": list(self.source.shape),
            "dtype": self.source.dtype,
            "classes": list(self.source.classes),
            "bands": [asdict(b) for b in self.spec.bands or default_bands(self.source)],
            "images": self.total,
            "samples": len(self.samples["columns"]["id"]),
            "block": BLOCK,
            "hashes": hashes,
        }
        if kinds := getattr(self.source, "question_types", ()):
            manifest["question_types"] = list(kinds)
        for name in ("tasks", "notes"):
            if given := getattr(self.source, name, ()):
                manifest[name] = list(given)
        manifest["fingerprint"] = fingerprint(manifest, self.samples)
        write_atomically(self.partial / manifest_files.SAMPLES, json.dumps(self.samples))
        text = json.dumps(manifest, indent=1)
        write_atomically(self.partial / manifest_files.MANIFEST, text)
        if self.state is not None:
            places.note(self.partial, self.spec, self.state)
        for name in (JOURNAL, IDENTITY):
            (self.partial / name).unlink(missing_ok=True)
        write_atomically(self.partial / manifest_files.COMPLETE, marker(manifest["fingerprint"], text))
        shutil.rmtree(self.target, ignore_errors=True)
        self.partial.rename(self.target)
        return PreparedStore(self.target)


def default_bands(source: Source) -> list[Band]:
    """Bands of a source whose spec names none: RGB for three, numbered otherwise."""
    count = source.shape[0]
    names = ["red", "green", "blue"] if count == 3 else [f"band{i + 1}" for i in range(count)]
    return [Band(name=n, unit="uint8" if source.dtype == "uint8" else "float") for n in names]


def _plain(values: Any) -> list[Any]:
    return values.tolist() if isinstance(values, np.ndarray) else list(values)


_worker: tuple[Source, Origin, str] | None = None


def _start_worker(source: Source, whose: Origin, path: str) -> None:
    global _worker
    _worker = (source, whose, path)


def _work(start: int, stop: int) -> tuple[int, int, str, list[str]]:
    assert _worker is not None
    return _read_block(*_worker, start, stop)


def _read_block(source: Source, whose: Origin, path: str, start: int, stop: int) -> tuple[int, int, str, list[str]]:
    """Decode one block into the array file; return (start, stop, sha256, errors)."""
    out = np.load(path, mmap_mode="r+")[start:stop]
    try:
        _read(source, whose, start, stop, out)
    except SampleError:
        return start, stop, "", _find_errors(source, whose, start, stop, out)
    return start, stop, hashlib.sha256(out).hexdigest(), []


def _read(source: Source, whose: Origin, start: int, stop: int, out: np.ndarray) -> None:
    with contained(whose, "Source.read", limit=False, quiet=True, passing=(SampleError, OSError)):
        source.read(start, stop, out)


def _find_errors(source: Source, whose: Origin, start: int, stop: int, out: np.ndarray) -> list[str]:
    """Read a failed block image by image, to name every image that is at fault."""
    errors = []
    for i in range(start, stop):
        try:
            _read(source, whose, i, i + 1, out[i - start : i - start + 1])
        except SampleError as error:
            errors.append(str(error))
    return errors
