"""Splits: which samples are for training, validation and test, and a hash that says so."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from rsbench.containment import Refused, code_of, contained
from rsbench.data import manifest
from rsbench.data.store import PreparedStore
from rsbench.errors import UserError
from rsbench.files import regular, write_atomically
from rsbench.specs import ProtocolSpec, load_attribute, to_jsonable

PARTS: Final = ("train", "val", "test")


@dataclass(frozen=True)
class Split:
    """Sample numbers int64 of each part; ``val`` may be empty."""

    train: np.ndarray
    val: np.ndarray
    test: np.ndarray
    sha256: dict[str, str]

    @property
    def sizes(self) -> dict[str, int]:
        """Samples in each part."""
        return {part: len(getattr(self, part)) for part in PARTS}


def stratified(
    ids: Sequence[str], columns: dict[str, np.ndarray], *, fractions: Sequence[float], seed: int = 0
) -> dict[str, np.ndarray]:
    """Split each class by ``fractions`` (train, val, test), rounding to whole samples, test taking the rest.

    Samples are ordered within their class by SHA-256 of (seed, id): the split depends on ids alone, on no generator.

    Args:
        ids: of the samples, N of them.
        columns: has ``label`` int64 [N].
        fractions: of train, val and test in each class; the last is what the others leave.
        seed: of the order within a class.
    """
    labels = columns["label"]
    keys = np.array([hashlib.sha256(f"{seed}:{i}".encode()).hexdigest() for i in ids])
    parts: dict[str, list[np.ndarray]] = {part: [] for part in PARTS}
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        members = members[np.argsort(keys[members])]
        first = round(fractions[0] * len(members))
        second = first + round(fractions[1] * len(members))
        for part, chosen in zip(PARTS, np.split(members, [first, second]), strict=True):
            parts[part].append(chosen)
    return {part: np.sort(np.concatenate(chosen)) for part, chosen in parts.items()}


def from_column(
    ids: Sequence[str], columns: dict[str, np.ndarray], *, column: str = "official_split"
) -> dict[str, np.ndarray]:
    """Take the parts that a column names ``train``, ``val`` and ``test``; other samples belong to none.

    Raises:
        UserError: the column is missing or names no training or test samples.
    """
    del ids
    values = columns.get(column)
    parts = {part: np.flatnonzero(values == part) if values is not None else np.empty(0, int) for part in PARTS}
    if not len(parts["train"]) or not len(parts["test"]):
        raise UserError(
            "The prepared data do not say which samples are for training and test: the split lists were missing when "
            "they were prepared. Put them beside the images and prepare again with --force."
        )
    return parts


def resolve(store: PreparedStore, protocol: ProtocolSpec) -> Split:
    """Return the split of *protocol* on a store, computed once and kept beside it.

    Raises:
        UserError: the protocol's split function finds that it cannot be made, or what is kept is another split.
        PluginError: it raised an error, or its parts overlap or are no numbers of samples.
    """
    found = manifest.split_summary(store.path, store.manifest["fingerprint"], protocol)
    if found is None:
        split = check(store, protocol)
        with suppress(OSError):  # a read-only store: the split is computed again next time
            manifest.note(store.path, protocol.name, manifest.split_state(store.path, protocol))
        return split
    numbers = np.load(regular(manifest.split_path(store.path, protocol).with_suffix(".npy")))
    train, val, test = np.split(numbers, np.cumsum([found["sizes"][p] for p in PARTS])[:-1])
    return Split(train, val, test, found["sha256"])


def check(store: PreparedStore, protocol: ProtocolSpec) -> Split:
    """Compute a split, and keep it or compare it with what is kept of the same data and protocol.

    Raises:
        UserError: see :func:`resolve`.
    """
    split = _compute(store, protocol)
    path = manifest.split_path(store.path, protocol)
    key = manifest.split_key(store.manifest["fingerprint"], protocol)
    summary = {"key": key, "sizes": split.sizes, "sha256": split.sha256}
    numbers = np.concatenate([split.train, split.val, split.test])
    kept = manifest.kept_split(store.path, store.manifest["fingerprint"], protocol)
    if kept is None:
        with suppress(OSError):
            write_atomically(path.with_suffix(".npy"), lambda stream: np.save(stream, numbers))
            write_atomically(path, json.dumps(summary))
    elif kept != to_jsonable(summary) or not _holds(path.with_suffix(".npy"), numbers):
        raise UserError(
            f"{path.with_suffix('.npy')} or {path.name} beside it is not the split that protocol '{protocol.name}' "
            "makes of these data: delete both, and it is made anew."
        )
    return split


def _compute(store: PreparedStore, protocol: ProtocolSpec) -> Split:
    plain = {name for name, values in store.columns.items() if name != "id" and not isinstance(values[0], list)}
    columns = {name: store.column(name) for name in plain}
    with contained(code_of(protocol.split), f"the split of protocol '{protocol.name}'", limit=False, quiet=True):
        parts = load_attribute(protocol.split)(store.ids, columns, **protocol.split_options)
        arrays = _parts(parts, len(store.ids))
    return Split(arrays[0], arrays[1], arrays[2], _hashes(store.ids, arrays))


def _parts(given: Any, samples: int) -> list[np.ndarray]:
    """Return the numbers int64 of the samples in each part."""
    if not isinstance(given, Mapping):
        raise Refused(f"gave {type(given).__name__}, not the samples of {', '.join(PARTS)}")
    arrays = [np.asarray(given.get(part, ())) for part in PARTS]
    if odd := [
        part for part, a in zip(PARTS, arrays, strict=True) if a.ndim != 1 or (a.size and a.dtype.kind not in "iu")
    ]:
        raise Refused(f"gave no list of sample numbers for {', '.join(odd)}")
    arrays = [array.astype(np.int64) for array in arrays]
    together = np.concatenate(arrays)
    if len(together) and not 0 <= together.min() <= together.max() < samples:
        raise Refused(f"counts from {together.min():,} to {together.max():,}, but there are {samples:,} samples")
    if len(np.unique(together)) != len(together):
        raise Refused("has parts that overlap or repeat samples")
    return arrays


def _holds(path: Path, numbers: np.ndarray) -> bool:
    try:
        return np.array_equal(np.load(regular(path)), numbers)
    except (OSError, ValueError, EOFError):
        return False


def _hashes(ids: Sequence[str], arrays: Sequence[np.ndarray]) -> dict[str, str]:
    """SHA-256 over the sorted, newline-joined ids of each part: two routes to the same samples are the same split."""
    joined = ("\n".join(sorted(ids[i] for i in part)) for part in arrays)
    return {part: hashlib.sha256(text.encode()).hexdigest() for part, text in zip(PARTS, joined, strict=True)}
