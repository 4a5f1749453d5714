"""The training state that an interrupted run resumes from: two generations of it, each with a digest of its bytes.

A state is used only where its digest fits, so a damaged one costs the time since the one before it and never alters a
number.  Imports torch only where a state is written or read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

from rsbench.files import sweep, write_atomically

FILE: Final = "resume.pt"
PREVIOUS: Final = "resume.previous.pt"
DIGEST_BYTES: Final = hashlib.sha256().digest_size  # they follow the zip archive that torch reads
CHUNK_BYTES: Final = 1 << 20


def exists(folder: Path) -> bool:
    """Whether there is a state, be it whole or not."""
    return any((folder / name).is_file() for name in (FILE, PREVIOUS))


def save(state: Mapping[str, Any], folder: Path) -> None:
    """Write a training state (tensors, numbers, text, lists and dicts); the one before it is kept."""
    import torch

    def write(stream: IO[bytes]) -> None:
        hashing = _Hashing(stream)
        torch.save(dict(state), hashing)  # type: ignore[arg-type]  # it asks of a stream no more than that
        stream.write(hashing.sha256.digest())

    with suppress(FileNotFoundError):
        (folder / FILE).replace(folder / PREVIOUS)
    write_atomically(folder / FILE, write)


def load(folder: Path, discard: Callable[[str], object] | None = None) -> dict[str, Any] | None:
    """Return the newest intact state in *folder*, or ``None`` where there is none.

    Args:
        discard: gets one sentence where states are damaged, which are then removed; without it they are left alone.
    """
    damaged, state = [], None
    for path in (folder / FILE, folder / PREVIOUS):
        if path.is_file():
            state = read(path)
            if state is not None:
                break
            damaged.append(path)
    if damaged and discard is not None:
        for path in damaged:
            path.unlink(missing_ok=True)
        names = " and ".join(path.name for path in damaged)
        rest = "training starts from the beginning" if state is None else f"training resumes from {PREVIOUS}"
        discard(f"{names} {'is' if len(damaged) == 1 else 'are'} damaged and not used; {rest}.")
    return state


def read(path: Path) -> dict[str, Any] | None:
    """Return the state in a file, or ``None`` where it is not as :func:`save` wrote it."""
    import torch

    try:
        with path.open("rb") as stream:
            if not _is_intact(stream, path.stat().st_size - DIGEST_BYTES):
                return None
            stream.seek(0)
            return dict(torch.load(stream, map_location="cpu", weights_only=True))
    except Exception:  # torch raises errors of many kinds
        return None


def clear(folder: Path) -> None:
    """Remove all states in *folder*, and what killed processes left of writing there."""
    for name in (FILE, PREVIOUS):
        (folder / name).unlink(missing_ok=True)
    sweep(folder)


def _is_intact(stream: IO[bytes], size: int) -> bool:
    """Whether the digest of the first *size* bytes follows them."""
    sha256 = hashlib.sha256()
    while size > 0 and (chunk := stream.read(min(size, CHUNK_BYTES))):
        sha256.update(chunk)
        size -= len(chunk)
    return stream.read() == sha256.digest()


class _Hashing:
    """A stream that hashes what is written to it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream, self.sha256 = stream, hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.sha256.update(data)
        return self.stream.write(data)

    def flush(self) -> None:
        self.stream.flush()
