"""What the kit makes of a dataset, from small fake files in the true format."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np

from rsbench.data import manifest
from rsbench.data.location import data_root
from rsbench.data.prepare import prepare
from rsbench.data.source import Source
from rsbench.data.store import PreparedStore
from rsbench.specs import DatasetSpec, load_attribute
from rsbench.testing.contract import require

N_CHECKED: Final = 256  # images, where there are many


@dataclass
class DatasetTrial:
    """A dataset, its fake files (or what it generates), and the arrays that the core prepares of them."""

    spec: DatasetSpec
    _temporary: tempfile.TemporaryDirectory[str] = field(default_factory=tempfile.TemporaryDirectory)

    @property
    def folder(self) -> Path:
        """A folder that goes away with the trial."""
        return Path(self._temporary.name)

    def files(self, name: str) -> Path:
        """Write fake files into a new folder and return it; a generated dataset needs none.

        Raises:
            CheckFailure: the dataset has files, but no fake ones.
        """
        require(self.spec.fake or self.spec.generated, "it is not generated and names no fake='module:function'")
        place = self.folder / name
        if not place.exists():
            place.mkdir()
            if self.spec.fake:
                load_attribute(self.spec.fake)(place, self.spec)
        return place

    def source(self, name: str = "files") -> Source:
        """Build the plugin's source over fake files."""
        return load_attribute(self.spec.source)(self.files(name), self.spec)

    @cached_property
    def first(self) -> Source:
        """One source, for checks that only look."""
        return self.source()

    @cached_property
    def store(self) -> PreparedStore:
        """The arrays that the core prepares of the fake files, or of a part of what is generated."""
        spec = self.spec if self.spec.fake else replace(self.spec, source="rsbench.testing.sampled:source")
        return prepare(spec, self.files("files"), self.folder, workers=1)

    @cached_property
    def real(self) -> PreparedStore | None:
        """The true data as prepared under the data root; ``None`` where they are not."""
        path = manifest.store_path(data_root(None), self.spec)
        return PreparedStore.open(path) if manifest.is_complete(path) else None

    @property
    def columns(self) -> Mapping[str, Sequence[Any]] | None:
        """Columns of all true samples, generated or prepared; ``None`` where they are not here."""
        if self.spec.generated:
            return self.first.columns
        return self.real.columns if self.real else None

    @property
    def images(self) -> np.ndarray | None:
        """Images [N, C, H, W] of true samples, or of a part of them; ``None`` where they are not here."""
        if self.real is not None:
            return self.real.images
        return self.store.images if self.spec.generated else None

    def read(self, source: Source, numbers: Sequence[int]) -> np.ndarray:
        """Decode single images, [n, C, H, W]."""
        out = np.empty((len(numbers), *source.shape), dtype=source.dtype)
        for place, number in enumerate(numbers):
            source.read(number, number + 1, out[place : place + 1])
        return out
