"""The generated scenes as a source: image i depends on the seed and on i alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

from rsbench.specs import DatasetSpec
from rsbench_scenes.compose import compose
from rsbench_scenes.draw import Canvas
from rsbench_scenes.draws import Draws
from rsbench_scenes.specs import CLASSES, SIZES

SEED: Final = 20_261


def source(root: Path, spec: DatasetSpec) -> SceneSource:
    """Return the source; *root* is not looked at."""
    del root, spec
    return SceneSource()


class SceneSource:
    """Scenes in the order train, val, test; classes follow one another in turn, so every part is balanced."""

    def __init__(self, seed: int = SEED, sizes: dict[str, int] | None = None) -> None:
        self.seed, self.classes = seed, CLASSES
        self.shape, self.dtype = (3, 64, 64), "uint8"
        parts = [part for part, count in (sizes or SIZES).items() for _ in range(count)]
        self.image_ids = [f"{part}-{i:05d}" for i, part in enumerate(parts)]
        labels = [i % len(CLASSES) for i in range(len(parts))]
        self.columns: dict[str, list[Any]] = {"id": self.image_ids, "label": labels, "official_split": parts}

    def read(self, start: int, stop: int, out: np.ndarray) -> None:
        """Draw images into uint8 ``out`` [n, 3, 64, 64]."""
        for i in range(start, stop):
            out[i - start], _ = self.draw(i)

    def draw(self, index: int) -> tuple[np.ndarray, dict[str, Any]]:
        """Return image ``index``, uint8 [3, 64, 64], and its scene graph (see :mod:`rsbench_scenes.compose`)."""
        draws = Draws(self.seed, index)
        canvas = Canvas(draws)
        graph = compose(canvas, CLASSES[index % len(CLASSES)], draws)
        return canvas.finish(), graph

    def scene_graph(self, index: int) -> dict[str, Any]:
        """What is in image ``index``: class, setting, ground, and every object with category, place and size."""
        return self.draw(index)[1]
