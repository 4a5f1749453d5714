"""A prepared dataset: one memory-mapped array of images, and columns of its samples."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from rsbench.data import integrity, places
from rsbench.data import manifest as manifest_files
from rsbench.data.manifest import store_path
from rsbench.errors import NotPrepared
from rsbench.files import regular
from rsbench.specs import DatasetSpec

__all__ = ["PreparedStore", "find", "store_path"]


class PreparedStore:
    """Read access to a prepared dataset.

    Attributes:
        path: its folder.
        manifest: name, version, fingerprint, shape [C, H, W], dtype, classes, bands, images, samples, block, hashes.
        images: read-only memory map [N, C, H, W].
        ids: sample ids.
        labels: class index of each sample, int64 [M].
        image_index: image of each sample, int64 [M].
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest: dict[str, Any] = manifest_files.read(path)
        self._samples = json.loads(regular(path / manifest_files.SAMPLES).read_text(encoding="utf-8"))

    @classmethod
    def open(cls, path: Path) -> PreparedStore:
        """Open a finished preparation whose files are as they were then.

        Raises:
            NotPrepared: *path* is not one.
            UserError: a file was changed (see :func:`rsbench.data.integrity.ensure_intact`).
        """
        if not manifest_files.is_complete(path):
            raise NotPrepared(f"{path} does not hold a prepared dataset; run: rsbench data prepare NAME.")
        integrity.ensure_intact(path)
        return cls(path)

    @cached_property
    def images(self) -> np.ndarray:
        """Images as stored."""
        return np.load(regular(self.path / manifest_files.IMAGES), mmap_mode="r")

    @property
    def ids(self) -> list[str]:
        """Sample ids, in order."""
        return self._samples["columns"]["id"]

    @property
    def image_ids(self) -> list[str]:
        """Names of the images, in order."""
        return self._samples["image_ids"]

    @property
    def columns(self) -> dict[str, list[Any]]:
        """All sample columns."""
        return self._samples["columns"]

    def column(self, name: str) -> np.ndarray:
        """Return one sample column as an array [M]."""
        return np.array(self._samples["columns"][name])

    @cached_property
    def labels(self) -> np.ndarray:
        """Class index of each sample."""
        return self.column("label").astype(np.int64)

    @cached_property
    def image_index(self) -> np.ndarray:
        """Image number of each sample."""
        if "image" in self._samples["columns"]:
            return self.column("image").astype(np.int64)
        return np.arange(len(self.ids), dtype=np.int64)


def find(root: Path, spec: DatasetSpec, fingerprint: str | None = None) -> PreparedStore:
    """Open the prepared arrays of *spec* below the data root; of several of one name, those of the *fingerprint*.

    Raises:
        NotPrepared: they are not there.
        UserError: a file was changed since they were prepared.
    """
    if fingerprint is not None and (path := places.of_fingerprint(root, spec, fingerprint)) != store_path(root, spec):
        return PreparedStore.open(path)
    integrity.require(root, spec)
    return PreparedStore(store_path(root, spec))
