"""The small JSON files of a prepared dataset, read without NumPy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from rsbench.errors import NotPrepared
from rsbench.specs import DatasetSpec, ProtocolSpec, to_jsonable

SCHEMA: Final = "rsbench.store/1"
MANIFEST: Final = "manifest.json"
SAMPLES: Final = "samples.json"
IMAGES: Final = "images.npy"
COMPLETE: Final = "complete"


def store_path(root: Path, spec: DatasetSpec) -> Path:
    """Folder of a dataset's prepared arrays."""
    return root / "prepared" / f"{spec.name.replace(':', '-')}-{spec.version}"


def is_complete(path: Path) -> bool:
    """Whether *path* holds a finished preparation: the marker is written last and names the fingerprint."""
    try:
        return (path / COMPLETE).read_text().strip() == read(path)["fingerprint"]
    except (OSError, ValueError, KeyError):
        return False


def read(path: Path) -> dict[str, Any]:
    """Return the manifest at *path*."""
    return json.loads((path / MANIFEST).read_text(encoding="utf-8"))


def require(root: Path, spec: DatasetSpec) -> dict[str, Any]:
    """Return the manifest of a prepared dataset.

    Raises:
        NotPrepared: it is not there; the sentence says what to type.
    """
    path = store_path(root, spec)
    if not is_complete(path):
        fetch = f"rsbench data fetch {spec.name}, or " if spec.files else ""
        raise NotPrepared(
            f"Dataset '{spec.name}' is not prepared under {root}: type {fetch}"
            f"rsbench data prepare {spec.name} --source PATH with the folder of its files."
        )
    return read(path)


def split_summary(path: Path, fingerprint: str, protocol: ProtocolSpec) -> dict[str, Any] | None:
    """Return ``{"sizes", "sha256"}`` of a split that has been computed before on the same data, else ``None``."""
    return read_split(split_path(path, protocol), split_key(fingerprint, protocol))


def split_path(store: Path, protocol: ProtocolSpec) -> Path:
    """File in which a protocol's split is kept beside the store; its sample numbers are in the ``.npy`` of the name."""
    return store / "splits" / f"{protocol.name}.json"


def split_key(fingerprint: str, protocol: ProtocolSpec) -> list[Any]:
    """What a kept split must agree with to be used."""
    return [fingerprint, protocol.name, protocol.version, protocol.split, to_jsonable(protocol.split_options)]


def read_split(path: Path, key: list[Any]) -> dict[str, Any] | None:
    """Return a kept split's summary if it has the right key."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return found if found.get("key") == key and path.with_suffix(".npy").exists() else None
