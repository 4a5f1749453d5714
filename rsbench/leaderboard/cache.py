"""What boards of many records have read, kept beside the records so that the next reads what is new.

A record is known by the state of its file.  A row's key is a digest of everything that its numbers rest on: the states
of its records and of their predictions, and the code that read them.  Nothing is ever renewed: what does not match is
read anew.  What spoke against a record is not kept.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydantic_core import from_json

from rsbench import __version__
from rsbench.files import sweep, write_atomically
from rsbench.leaderboard.members import Member
from rsbench.leaderboard.rows import Measured
from rsbench.leaderboard.summary import Read, Summary
from rsbench.metrics.two_level import System
from rsbench.plan import digest, source_sha256
from rsbench.records import BOARD_CACHE
from rsbench.records.store import LoadedRecord
from rsbench.registry import registry
from rsbench.states import Listing, state_of
from rsbench.tasks.task import get_task

SUFFIX: Final = ".measured"
FEW: Final = 200  # records, of which a board is made at once
PARTS: Final = 8  # files, each with what one board has read; more become one
ALIGNMENT: Final = 64  # bytes
SHORT: Final = 16  # digits of the code's digest
CODE: Final = ("rsbench.leaderboard.rows", "rsbench.metrics.two_level", "rsbench.records.schema", "rsbench.tasks.task")

State = list[int] | None  # as :func:`rsbench.states.state_of` returns it


@dataclass
class _Content:
    """What parts hold: state of a record's file -> fields of a member; key -> row."""

    members: dict[tuple[int, ...], Sequence[Any]] = field(default_factory=dict)
    rows: dict[str, Read] = field(default_factory=dict)

    def without(self, other: _Content) -> _Content:
        """Return what is not in *other*."""
        members = {key: one for key, one in self.members.items() if key not in other.members}
        return _Content(members, {key: one for key, one in self.rows.items() if key not in other.rows})


class Cache:
    """What was read before; what cannot be read, or is not what was written, counts as nothing.

    A part is a file of a JSON line with an entry for each record and each row, and the numbers of all rows, float64;
    its name holds digests of the code that read it and of its content.  Everything can be deleted at any time.

    Args:
        folder: the one with the records.
        listing: of the records in it, where there may be many.
    """

    def __init__(self, folder: Path, listing: Listing | None = None) -> None:
        self.folder = folder / BOARD_CACHE
        self.code = digest([__version__, np.__version__, *_plugins(), *map(source_sha256, CODE)])[:SHORT]
        self._state_of = listing.state if listing else state_of
        self._sources: dict[tuple[str, str], str] = {}
        self._states: dict[str, State] = {}
        self._used = _Content()
        self._parts = sorted(self.folder.glob(f"*{SUFFIX}"))
        threads = ThreadPoolExecutor(1)  # reading and hashing go on while the records are looked for
        self._contents = [threads.submit(_read, p) for p in self._parts if p.name.startswith(self.code)]
        threads.shutdown(wait=False)

    @cached_property
    def _found(self) -> _Content:
        """What was read before."""
        found = _Content()
        for content in self._contents:
            with suppress(OSError, ValueError, LookupError, TypeError, AttributeError):
                _add(content.result(), found)
        return found

    def files(self, listing: Listing) -> list[str]:
        """Return the files of records; while they are being listed, what was read before is taken up."""
        _ = self._found
        return listing.files

    def members(self, files: Iterable[str]) -> tuple[list[Member], list[str]]:
        """Return what is known of the records in *files*, and the files that have to be loaded."""
        known, new, before = [], [], self._found.members
        for file in files:
            try:
                self._states[file] = found = self._state_of(file)
            except OSError:  # what is wrong with it is found by loading it
                found = None
            state = tuple(found or ())
            fields = before.get(state)
            if fields is None:
                new.append(file)
            else:
                self._used.members[state] = fields
                known.append(Member(LoadedRecord(file), *fields))
        return known, new

    def note(self, members: Iterable[Member]) -> None:
        """Note what was found in records; nothing of those in which something is wrong."""
        for one in members:
            state = self._states.get(one.loaded.file)
            if state and not one.issues:
                self._used.members[tuple(state)] = one[1:-1]

    def key(self, group: Sequence[Member], name: str) -> str | None:
        """Return what a row of these runs and of the primary metric *name* rests on; ``None`` where it cannot be
        kept."""
        try:
            states = [(self._states[m.loaded.file], self._predictions(m)) for m in group]
            task, *_ = group[0].table
            if not all(map(all, states)):
                return None
            text = json.dumps([self._source(name, task), states])
        except Exception:  # of a foreign record or plugin; it is read anew, which says what is wrong
            return None
        return hashlib.sha256(text.encode()).hexdigest()

    def _source(self, name: str, task: str) -> str:
        if (name, task) not in self._sources:
            sources = registry().get("metric", name).factory, type(get_task(task)).__module__
            self._sources[name, task] = digest([name, *map(source_sha256, sources)])
        return self._sources[name, task]

    def _predictions(self, member: Member) -> State | str:
        """The state of a run's predictions; ``None`` where they may be changing."""
        if member.predictions is None:
            return "none"
        (folder, end, _), name = member.loaded.file.rpartition(os.sep), member.predictions
        return self._state_of(folder + end + name) if os.path.basename(name) == name else None

    def get(self, key: str) -> Read | None:
        """Return what is known under a key."""
        return self._found.rows.get(key)

    def add(self, key: str, found: Read) -> None:
        """Note what was read or found here; nothing may speak against it but that there are no predictions."""
        self._used.rows[key] = found

    def save(self) -> None:
        """Write what is new; nothing of few records, or where the folder cannot be written to."""
        new = self._used.without(self._found)
        if not (new.members or new.rows) or len(self._used.members) < FEW:
            return
        merge = len(self._parts) >= PARTS or not all(part.name.startswith(self.code) for part in self._parts)
        try:
            path = _write(self.folder, self.code, self._used if merge else new)
            for part in self._parts if merge else ():
                if part != path:
                    part.unlink(missing_ok=True)
            sweep(self.folder)
        except OSError:
            pass


def _plugins() -> list[Any]:
    """What is installed, and what its metrics say of themselves."""
    found: list[Any] = sorted((one.plugin, one.distribution, one.version) for one in registry().plugins.values())
    return found + [(s.name, s.version, *s.range, s.unit) for _, s in sorted(registry().specs("metric").items())]


def _write(folder: Path, code: str, content: _Content) -> Path:
    """Write a part."""
    rows = {key: _entry(one) for key, one in content.rows.items()}
    members = [[state, fields] for state, fields in content.members.items()]
    head = json.dumps({"members": members, "rows": rows}).encode()
    head += b" " * (-(len(head) + 1) % ALIGNMENT) + b"\n"
    measured = (one.measured for one in content.rows.values() if one.measured)
    pieces: list[Any] = [head, *(np.ascontiguousarray(one.system.effects, "<f8") for one in measured)]
    sha = hashlib.sha256()
    for piece in pieces:
        sha.update(piece)
    path = folder / f"{code}-{sha.hexdigest()}{SUFFIX}"
    write_atomically(path, lambda stream: stream.writelines(pieces), durable=False)
    return path


def _entry(one: Read) -> list[Any]:
    """A row in JSON: what its records say, what is wrong with them, what of its predictions is no array."""
    said = [vars(one.summary), [*one.issues]]
    if one.measured is None:
        return [*said, None]
    system = one.measured.system
    known = {name: getattr(system, name) for name in ("units", "v1", "s2", "c", "identical")}
    scores = [float(score) for score in system.scores]
    return [*said, {"scores": scores, "samples": one.measured.samples.hex(), "length": len(system.effects)} | known]


def _read(part: Path) -> bytes:
    """The content of a part, which must be what was written."""
    content = part.read_bytes()
    if hashlib.sha256(content).hexdigest() != part.stem.partition("-")[2]:
        raise ValueError(f"{part} was damaged")
    return content


def _add(content: bytes, found: _Content) -> None:
    """Add what a part holds."""
    end = content.index(b"\n") + 1
    head = from_json(content[:end])
    read = _Content({tuple(state): (tuple(table), *others) for state, (table, *others) in head["members"]})
    for key, (summary, issues, known) in head["rows"].items():
        measured = None
        if known:
            scores, samples, length = (known.pop(name) for name in ("scores", "samples", "length"))
            effects = np.frombuffer(content, "<f8", length, end)
            end += effects.nbytes
            measured = Measured(System(tuple(scores), effects, **known), bytes.fromhex(samples))
        read.rows[key] = Read(Summary(**summary), measured, issues)
    found.members |= read.members
    found.rows |= read.rows
