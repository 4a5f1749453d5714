"""What boards of many records have read of predictions, kept beside the records so that the next reads what is new.

A key is a digest of everything that a number rests on: what the records say, which file their predictions are, and the
code that read it.  Nothing is ever renewed: what does not match is read anew.  What spoke against a record is not kept.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from rsbench import __version__
from rsbench.files import state_of, sweep, write_atomically
from rsbench.leaderboard.rows import Measured
from rsbench.metrics.two_level import System
from rsbench.plan import digest, source_sha256
from rsbench.records.sources import OUT
from rsbench.records.store import LoadedRecord
from rsbench.registry import registry
from rsbench.tasks.kinds import kind_of

FOLDER: Final = ".rsbench-board"
SUFFIX: Final = ".measured"
FEW: Final = 200  # records, of which a board is made at once
PARTS: Final = 8  # files, each with what one board has read; more become one
ALIGNMENT: Final = 64  # bytes
CODE: Final = ("rsbench.leaderboard.rows", "rsbench.metrics.two_level", "rsbench.tasks.kinds")


class Cache:
    """What was read before; what cannot be read, or is not what was written, counts as nothing.

    A part is a file of a JSON line with an entry for each configuration and the numbers of all of them, float64; its
    name is the SHA-256 of its content.  Everything in it can be deleted at any time.

    Args:
        folder: the one with the records.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / FOLDER
        self.code = digest([__version__, np.__version__, *_plugins(), *map(source_sha256, CODE)])
        self._read_by: dict[tuple[str, str], str] = {}
        self._found: dict[str, Measured] = {}
        self._used: dict[str, Measured] = {}
        self._parts = sorted(self.folder.glob(f"*{SUFFIX}"))
        for part in self._parts:
            self._found |= _read(part, self.code)

    @property
    def runs(self) -> int:
        """How many runs are known, those included whose files have changed since."""
        return sum(len(one.system.scores) for one in self._found.values())

    def key(self, slim: Sequence[LoadedRecord], name: str) -> str | None:
        """Return what the metric *name* of a configuration rests on; ``None`` where it cannot be kept.

        Args:
            slim: what is needed of its records to read their predictions.
        """
        try:
            files = [_predictions(loaded) for loaded in slim]
            return None if None in files else self._key(files, [loaded.record for loaded in slim], name)
        except Exception:  # of a foreign record or plugin; it is read anew, which says what is wrong
            return None

    def _key(self, files: Sequence[Any], records: Sequence[dict[str, Any]], name: str) -> str:
        task = records[0]["plan"]["task"]
        if (name, task) not in self._read_by:
            sources = registry().get("metric", name).factory, type(kind_of(task)).__module__
            self._read_by[name, task] = digest([name, *map(source_sha256, sources)])
        text = json.dumps([self._read_by[name, task], files, records], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def get(self, key: str | None) -> Measured | None:
        """Return what is known under a key."""
        return self._found.get(key) if key else None

    def add(self, key: str, found: Measured) -> None:
        """Note what was read, without doubts about it, or found here."""
        self._used[key] = found

    def save(self) -> None:
        """Write what is new; nothing of few records, or where the folder cannot be written to."""
        new = {key: one for key, one in self._used.items() if key not in self._found}
        if not new or sum(len(one.system.scores) for one in self._used.values()) < FEW:
            return
        merge = len(self._parts) >= PARTS
        try:
            path = _write(self.folder, self.code, self._used if merge else new)
            for part in self._parts if merge else ():
                if part != path:
                    part.unlink(missing_ok=True)
            sweep(self.folder)
        except OSError:
            pass


def _plugins() -> list[tuple[str, str, str]]:
    return sorted((one.plugin, one.distribution, one.version) for one in registry().plugins.values())


def _predictions(loaded: LoadedRecord) -> list[int] | None:
    """The state of a record's predictions; ``None`` where there are none or they may be changing."""
    path = loaded.artifact("predictions")
    return None if path is None else state_of(path)


def _write(folder: Path, code: str, found: Mapping[str, Measured]) -> Path:
    """Write a part."""
    entries = {key: _entry(one) for key, one in found.items()}
    head = json.dumps({"code": code, "entries": entries}).encode()
    head += b" " * (-(len(head) + 1) % ALIGNMENT) + b"\n"
    pieces: list[Any] = [head, *(np.ascontiguousarray(one.system.effects, "<f8") for one in found.values())]
    sha = hashlib.sha256()
    for piece in pieces:
        sha.update(piece)
    path = folder / f"{sha.hexdigest()}{SUFFIX}"
    write_atomically(path, lambda stream: stream.writelines(pieces))
    return path


def _entry(one: Measured) -> dict[str, Any]:
    system = one.system
    known = {name: getattr(system, name) for name in ("units", "v1", "s2", "c", "identical")}
    scores = [float(score) for score in system.scores]
    return {"scores": scores, "samples": one.samples.hex(), "length": len(system.effects), "known": known}


def _read(part: Path, code: str) -> dict[str, Measured]:
    """Return what a part holds; nothing where it was damaged, or was read by other code."""
    found: dict[str, Measured] = {}
    try:
        content = part.read_bytes()
        if hashlib.sha256(content).hexdigest() != part.name.removesuffix(SUFFIX):
            return {}
        end = content.index(b"\n") + 1
        head = json.loads(content[:end])
        if head["code"] != code:
            return {}
        for key, entry in head["entries"].items():
            effects = np.frombuffer(content, "<f8", entry["length"], end)
            system = System(tuple(entry["scores"]), effects, **entry["known"])
            found[key] = Measured(system, bytes.fromhex(entry["samples"]))
            end += effects.nbytes
    except (OSError, ValueError, LookupError, TypeError):
        return {}
    return found


def beside(sources: Sequence[object]) -> Cache | None:
    """Return what is kept in the first folder among *sources*; there may be none."""
    folders = (Path(source) for source in sources or (OUT,) if isinstance(source, str | os.PathLike))
    return next((Cache(folder) for folder in folders if folder.is_dir()), None)
