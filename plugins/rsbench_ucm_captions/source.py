"""UCM-captions from its archive or folders.

Found below the given path: ``UCM_captions.zip`` (or the path itself is the archive), or ``dataset.json`` beside
``imgs/N.tif``, or ``dataset.json`` beside UC Merced's own ``Images/<class>/<class>NN.tif``.  ``N.tif`` is image
``(N - 1) % 100`` of class ``(N - 1) // 100`` in alphabetical order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from rsbench import reading
from rsbench.data.images import decode_rgb
from rsbench.data.tree import TIFF, FileTree, place_of, stem
from rsbench.errors import UserError, did_you_mean
from rsbench.specs import DatasetSpec
from rsbench.tasks.text import words

ARCHIVE: Final = "UCM_captions.zip"
LIST: Final = "dataset.json"
SIZE: Final = 256
PARTS: Final = ("train", "val", "test")
PER_CLASS: Final = 100


def source(root: Path, spec: DatasetSpec) -> TiffSource:
    """Return the source over *root*.

    Raises:
        UserError: files are missing or damaged, or ``dataset.json`` is wrong; the sentence names the item.
    """
    tree = FileTree(place_of(root, ARCHIVE))
    listed = tree.called(LIST)
    if listed is None:
        raise UserError(
            f"There is no {LIST} in {tree.root}: UCM-captions is {LIST} beside imgs/1.tif to imgs/2100.tif."
        )
    entries = _entries(tree.content(listed), f"{tree.root}/{listed}")
    return TiffSource(tree, entries, _paths(entries, tree, spec.classes), spec.classes)


def _entries(content: bytes, where: str) -> list[dict[str, Any]]:
    """Return the images of ``dataset.json``, checked one by one."""
    found = reading.json_document(content, where)
    images = found.get("images") if isinstance(found, dict) else None
    if not isinstance(images, list):
        raise UserError(f"{where} is not a list of captioned images: it has no list 'images'.")
    for number, image in enumerate(images, start=1):
        if not isinstance(image, dict) or not isinstance(image.get("filename"), str):
            raise UserError(f"{where} has an image without a filename, number {number} in the list.")
    names = [image["filename"] for image in images]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise UserError(f"{where} lists image '{twice[0]}' twice.")
    for image in images:
        _check(image, where)
    return images


def _check(image: Mapping[str, Any], where: str) -> None:
    name, part = image["filename"], image.get("split")
    if part not in PARTS:
        hint = did_you_mean(str(part), PARTS)
        if part == "restval":
            hint = " Karpathy's 'restval' images are trained on as well: write 'train', or leave them out."
        raise UserError(f"{where} puts image '{name}' in split '{part!s:.40}', which is not train, val or test.{hint}")
    sentences = image.get("sentences")
    if not isinstance(sentences, list) or not sentences:
        raise UserError(f"{where} has no sentence for image '{name}'.")
    for k, sentence in enumerate(sentences):
        text = sentence.get("raw") if isinstance(sentence, dict) else None
        if not isinstance(text, str) or not text.strip():
            raise UserError(f"{where} has an empty sentence, number {k + 1} of image '{name}'.")
        if not words(text):
            raise UserError(f"{where} has a sentence without words, '{text}', number {k + 1} of image '{name}'.")


def _paths(entries: Sequence[Mapping[str, Any]], tree: FileTree, classes: Sequence[str]) -> list[str]:
    """Return the file of each entry: ``imgs/N.tif``, or UC Merced's own name for it."""
    numbers = [image_number(entry["filename"], len(classes)) for entry in entries]
    names = [{str(n), f"{classes[(n - 1) // PER_CLASS]}{(n - 1) % PER_CLASS:02d}"} for n in numbers]
    wanted = set().union(*names)
    by_stem = tree.by(stem, [name for name in tree.ending(TIFF) if stem(name) in wanted])
    paths = []
    for entry, known in zip(entries, names, strict=True):
        found = [by_stem[name] for name in sorted(known) if name in by_stem]
        if not found:
            raise UserError(f"Image '{entry['filename']}' is listed in {LIST} but is not in {tree.root}.")
        paths.append(found[0])
    return paths


def image_number(name: str, classes: int) -> int:
    """Return N of ``N.tif``.

    Raises:
        UserError: the name is not a number from 1 to 100 times the number of classes.
    """
    number = stem(name)
    if not (number.isdecimal() and len(number) < 9 and 1 <= int(number) <= classes * PER_CLASS):
        raise UserError(f"Image '{name:.40}' of {LIST} is not called 1.tif to {classes * PER_CLASS}.tif.")
    return int(number)


class TiffSource:
    """Decodes the images with Pillow; those of another size are resized bilinearly with antialiasing.

    Args:
        tree: the files.
        entries: of ``dataset.json``, one for each image.
        paths: of the images, in the same order.
        classes: their names.
    """

    def __init__(
        self, tree: FileTree, entries: Sequence[Mapping[str, Any]], paths: list[str], classes: tuple[str, ...]
    ) -> None:
        self.tree, self.paths, self.classes = tree, paths, classes
        self.shape, self.dtype = (3, SIZE, SIZE), "uint8"
        numbers = [image_number(e["filename"], len(classes)) for e in entries]
        self.image_ids = [f"ucm-{n:04d}" for n in numbers]
        self.columns: dict[str, list[Any]] = {
            "id": self.image_ids,
            "label": [(n - 1) // PER_CLASS for n in numbers],
            "official_split": [e["split"] for e in entries],
            "sentences": [[s["raw"].strip() for s in e["sentences"]] for e in entries],
        }

    def read(self, start: int, stop: int, out: np.ndarray) -> None:
        """Decode images into uint8 ``out`` [n, 3, 256, 256].

        Raises:
            SampleError: a file cannot be read as an image of 8 bits.
        """
        from PIL import Image

        for k, name in enumerate(self.paths[start:stop]):
            image = decode_rgb(self.tree.read(name), name)
            if image.shape[:2] != (SIZE, SIZE):
                image = np.asarray(Image.fromarray(image).resize((SIZE, SIZE), Image.Resampling.BILINEAR))
            out[k] = image.transpose(2, 0, 1)
