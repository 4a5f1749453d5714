"""A part of a generated dataset, as a source: drawing all of it for each check would take minutes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from rsbench.data.source import Source
from rsbench.registry import registry
from rsbench.specs import DatasetSpec, load_attribute

IMAGES: Final = 128


def source(root: Path, spec: DatasetSpec) -> Source:
    """Return evenly spaced images of the dataset that *spec* is a copy of, and one of each class."""
    whole = load_attribute(registry().get("dataset", spec.name).source)(root, spec)
    return whole if len(whole.image_ids) <= IMAGES else SampledSource(whole)


class SampledSource:
    """Some images of a source with all of their samples."""

    def __init__(self, whole: Source) -> None:
        self.whole = whole
        self.shape, self.dtype, self.classes = whole.shape, whole.dtype, whole.classes
        self.question_types = getattr(whole, "question_types", ())
        image = np.asarray(whole.columns.get("image", range(len(whole.image_ids))))
        evenly = np.linspace(0, len(whole.image_ids) - 1, IMAGES).astype(np.int64)
        _, first = np.unique(np.asarray(whole.columns.get("label", ())), return_index=True)
        self.numbers = np.union1d(evenly, image[first])
        self.image_ids: Sequence[str] = [whole.image_ids[i] for i in self.numbers.tolist()]
        kept = np.flatnonzero(np.isin(image, self.numbers))
        columns = {name: [values[i] for i in kept.tolist()] for name, values in whole.columns.items()}
        if "image" in columns:
            columns["image"] = np.searchsorted(self.numbers, image[kept]).tolist()
        self.columns: Mapping[str, Sequence[Any]] = columns

    def read(self, start: int, stop: int, out: np.ndarray) -> None:
        """Decode images one by one."""
        for place, number in enumerate(self.numbers[start:stop].tolist()):
            self.whole.read(number, number + 1, out[place : place + 1])
