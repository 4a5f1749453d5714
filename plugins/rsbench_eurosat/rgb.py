"""EuroSAT RGB from its archive or its folders.

Found below the given path: ``EuroSAT.zip`` (or the path itself is the archive), ``2750/<Class>/<Class>_<n>.jpg``, or
``<Class>/<Class>_<n>.jpg``; and, optionally, the official lists ``eurosat-{train,val,test}.txt`` there or beside the
archive.  Samples are in ImageFolder order, whatever folders stand above those of the classes: classes alphabetically,
files lexicographically.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np

from rsbench.data.images import decode_rgb
from rsbench.data.tree import JPEG, FileTree, base_name, place_of, stem
from rsbench.errors import UserError
from rsbench.specs import DatasetSpec
from rsbench_eurosat.lists import official_split

ARCHIVE: Final = "EuroSAT.zip"
SIZE: Final = 64


def source(root: Path, spec: DatasetSpec) -> JpegSource:
    """Return the source over *root*.

    Raises:
        UserError: no images are there, a class folder is missing, two images have one name, the archive is damaged, or
            the lists do not fit the images.
    """
    tree = FileTree(place_of(root, ARCHIVE))
    by_class = images_by_class(tree, JPEG, spec.classes)
    missing = [c for c in spec.classes if not by_class[c]]
    if len(missing) == len(spec.classes):
        raise UserError(f"No EuroSAT images (<Class>/<Class>_<n>.jpg) were found in {tree.root}.")
    if missing:
        raise UserError(f"EuroSAT in {tree.root} is incomplete: no images of class {', '.join(missing)}.")
    files = [(label, name) for label, c in enumerate(spec.classes) for name in by_class[c]]
    return JpegSource(tree, files, spec.classes, official_split(tree, [name for _, name in files]))


def images_by_class(tree: FileTree, suffixes: tuple[str, ...], classes: Iterable[str]) -> dict[str, list[str]]:
    """Return class -> its images, sorted by file name.

    Raises:
        UserError: two images that differ have one name.
    """
    wanted = frozenset(classes)
    found: dict[str, list[str]] = defaultdict(list)
    for name in tree.by(stem, (n for n in tree.ending(suffixes) if _class_of(n) in wanted)).values():
        found[_class_of(name)].append(name)
    for names in found.values():
        names.sort(key=base_name)
    return found


def _class_of(name: str) -> str:
    return base_name(name.rpartition("/")[0])


class JpegSource:
    """Decodes 64x64 RGB JPEGs with libjpeg-turbo; pixels equal Pillow's.

    Args:
        tree: the files.
        files: class number and path of each image, in order.
        classes: their names.
        split: part of the official split of each image; ``None`` without lists.
    """

    def __init__(
        self, tree: FileTree, files: list[tuple[int, str]], classes: tuple[str, ...], split: list[str] | None
    ) -> None:
        self.tree, self.names = tree, [name for _, name in files]
        self.shape, self.dtype, self.classes = (3, SIZE, SIZE), "uint8", classes
        self.image_ids = [stem(name) for name in self.names]
        self.columns: dict[str, list[Any]] = {"id": self.image_ids, "label": [label for label, _ in files]}
        if split is not None:
            self.columns["official_split"] = split

    def read(self, start: int, stop: int, out: np.ndarray) -> None:
        """Decode images into uint8 ``out`` [n, 3, 64, 64].

        Raises:
            SampleError: a file is missing, truncated, or not 64x64 pixels of 8 bits.
        """
        for k, name in enumerate(self.names[start:stop]):
            out[k] = decode_rgb(self.tree.read(name), name, (SIZE, SIZE)).transpose(2, 0, 1)
