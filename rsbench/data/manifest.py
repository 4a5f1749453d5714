"""The small JSON files of a prepared dataset, read without NumPy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from rsbench.errors import NotPrepared
from rsbench.specs import DatasetSpec

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
