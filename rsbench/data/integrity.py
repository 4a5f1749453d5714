"""Prepared data are what was prepared: looked at whenever they are opened, in full once for each state of the files.

What has been found whole is noted in ``checked.json`` beside the arrays: hashes of the small files, and size, times and
inode of the images, which are too large to be read again for every run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from rsbench.cores import usable_cores
from rsbench.data import manifest as manifest_files
from rsbench.errors import UserError
from rsbench.files import regular
from rsbench.reading import LARGEST_NOTE
from rsbench.specs import DatasetSpec
from rsbench.states import state_of

STORE: Final = "(store)"  # no name of a protocol, which stands for its split


def require(root: Path, spec: DatasetSpec) -> dict[str, Any]:
    """Return the manifest of a dataset that is prepared below the data root, and as it was prepared.

    Raises:
        NotPrepared: it is not there.
        UserError: its files were changed since (see :func:`ensure_intact`).
    """
    found = manifest_files.require(root, spec)
    ensure_intact(manifest_files.store_path(root, spec))
    return found


def ensure_intact(path: Path) -> None:
    """Check the prepared dataset at *path*: in full where its files are not in the state that was checked last.

    Raises:
        UserError: a file is not what was prepared; the sentence names it and says what to type.
    """
    state = None
    with suppress(OSError):  # what is missing is named below
        state = _state(path)
        if manifest_files.is_noted(path, STORE, state):
            return
    if wrong := verify(path):
        name = manifest_files.read(path).get("name") or path.name
        more = f" (and {len(wrong) - 1} more)" if wrong[1:] else ""
        raise UserError(
            f"The data of '{name}' in {path} are not what was prepared: {wrong[0]}{more}. "
            f"Type rsbench data prepare {name} --force."
        )
    if state is not None and state[manifest_files.IMAGES] is not None:  # that of before the check
        manifest_files.note(path, STORE, state)


def verify(path: Path) -> list[str]:
    """Compare what is prepared at *path* with the hashes that were taken then; return what differs, file by file."""
    content = regular(path / manifest_files.MANIFEST, manifest_files.LARGEST_MANIFEST).read_bytes()
    manifest = json.loads(content)
    sealed = regular(path / manifest_files.COMPLETE, LARGEST_NOTE).read_text().split()[1:]
    if sealed and sealed != [_sha256(content)]:
        return [f"{manifest_files.MANIFEST} was changed"]
    try:
        samples = json.loads(regular(path / manifest_files.SAMPLES).read_text(encoding="utf-8"))
        same = fingerprint(manifest, samples) == manifest["fingerprint"]
        counts = len(samples["image_ids"]), len(samples["columns"]["id"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        return [f"{manifest_files.SAMPLES} cannot be read ({error})"]
    wrong = _wrong_images(path / manifest_files.IMAGES, manifest)
    if not same or counts != (manifest["images"], manifest["samples"]):
        wrong.insert(0, f"ids, labels or other columns in {manifest_files.SAMPLES} were changed")
    return wrong


def fingerprint(manifest: Mapping[str, Any], samples: Mapping[str, Any]) -> str:
    """SHA-256 over the block hashes, shape, dtype, classes and all sample columns."""
    facts = {key: manifest[key] for key in ("hashes", "block", "shape", "dtype", "classes")}
    return _sha256(json.dumps([facts, samples], sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode())


def marker(fingerprint: str, manifest: str) -> str:
    """Return what ``complete`` says: the fingerprint, and the hash of the manifest's text (older ones say no more than
    the fingerprint)."""
    return f"{fingerprint}\n{_sha256(manifest.encode())}\n"


def _state(path: Path) -> dict[str, Any]:
    """What tells whether a file was written since: hashes, but of the images size, inode and times."""
    small = (manifest_files.COMPLETE, manifest_files.MANIFEST, manifest_files.SAMPLES)
    images = {manifest_files.IMAGES: state_of(regular(path / manifest_files.IMAGES))}
    return {name: _sha256(regular(path / name).read_bytes()) for name in small} | images


def _wrong_images(path: Path, manifest: Mapping[str, Any]) -> list[str]:
    import numpy as np  # here, since planning needs it only where something was written since

    try:
        images = np.load(regular(path), mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        return [f"{path.name} cannot be read ({error})"]
    size, hashes = manifest["block"], manifest["hashes"]
    if images.shape != (manifest["images"], *manifest["shape"]) or images.dtype != manifest["dtype"]:
        return [f"{path.name} holds {images.dtype} {list(images.shape)}"]
    if len(hashes) != -(-len(images) // size):
        return [f"{manifest_files.MANIFEST} has {len(hashes)} hashes for {len(images)} images"]

    def is_wrong(number: int) -> bool:
        block = np.ascontiguousarray(images[number * size : (number + 1) * size])
        return hashlib.sha256(block.data).hexdigest() != hashes[number]

    with ThreadPoolExecutor(usable_cores()) as pool:  # hashing leaves the interpreter to others
        wrong = [number * size for number, bad in enumerate(pool.map(is_wrong, range(len(hashes)))) if bad]
    return [f"images {k} to {min(k + size, len(images)) - 1} in {path.name} were changed" for k in wrong]


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
