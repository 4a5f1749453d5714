"""Data that are read where they lie: prepared at their first use, and again when their files are other ones.

What is noted in ``place.json`` beside the arrays is the state of the files that were read: their paths, sizes, inodes
and times.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from rsbench import reading
from rsbench.containment import code_of, contained
from rsbench.data import manifest
from rsbench.files import write_atomically
from rsbench.specs import DatasetSpec, load_attribute
from rsbench.states import state_of

NOTE: Final = "place.json"


def state(spec: DatasetSpec) -> dict[str, Any]:
    """Return ``{"files", "sha256"}`` of what a dataset at a place is read from, without its content.

    The hash is ``None`` where a file has only just been written, and may be written to again unnoticed.

    Raises:
        UserError: the plugin finds that the files are no dataset.
    """
    assert spec.reads is not None
    with contained(code_of(spec.source), f"the files of '{spec.name}'", limit=False):
        paths = sorted(str(path) for path in load_attribute(spec.reads)(spec))
    states: list[Any] = []
    with suppress(OSError):  # it went away meanwhile, which is a change
        states += [(path, state_of(path)) for path in paths]
    settled = len(states) == len(paths) and all(found for _, found in states)
    sha256 = hashlib.sha256(json.dumps(states).encode()).hexdigest() if settled else None
    return {"files": len(paths), "sha256": sha256}


def change(store: Path, spec: DatasetSpec, now: dict[str, Any]) -> str:
    """Return a sentence where the files of a finished preparation may have changed since, else nothing."""
    then = reading.kept(store / NOTE)
    if isinstance(then, dict) and now["sha256"] is not None and then.get("sha256") == now["sha256"]:
        return ""
    known = then if isinstance(then, dict) else {}
    if known.get("sha256") is None:
        return f"The files of '{spec.name}' were written just before they were prepared: they are read again."
    same = known.get("files") == now["files"]
    counts = "some were written to or moved" if same else f"{known.get('files'):,} then, {now['files']:,} now"
    return f"The files of '{spec.name}' are not as they were prepared ({counts}): they are prepared again."


def is_prepared(store: Path, spec: DatasetSpec, now: dict[str, Any] | None = None) -> bool:
    """Whether a preparation is finished and, of data at a place, is of the files as they are *now*."""
    if not manifest.is_complete(store):
        return False
    return not spec.place or not change(store, spec, now or state(spec))


def note(folder: Path, spec: DatasetSpec, now: dict[str, Any]) -> None:
    """Remember the state of the files that were read, and where they lie."""
    write_atomically(folder / NOTE, json.dumps({"place": spec.place, **now}))


def of_fingerprint(root: Path, spec: DatasetSpec, fingerprint: str) -> Path:
    """Return the prepared data of a name that have this fingerprint, where there are some, else those of the spec."""
    if spec.reads:
        for store in manifest.namesakes(root, spec):
            with suppress(OSError, ValueError, KeyError):
                if manifest.read(store)["fingerprint"] == fingerprint:
                    return store
    return manifest.store_path(root, spec)
