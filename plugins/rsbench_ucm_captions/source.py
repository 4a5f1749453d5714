"""UCM-captions from its archive or folders.

Found below the given path: ``UCM_captions.zip`` (or the path itself is the archive), or ``dataset.json`` beside
``imgs/N.tif``, or ``dataset.json`` beside UC Merced's own ``Images/<class>/<class>NN.tif``.  ``N.tif`` is image
``(N - 1) % 100`` of class ``(N - 1) // 100`` in alphabetical order.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np

from rsbench.data.source import SampleError
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
    candidate = root if root.is_file() else root / ARCHIVE
    archive = candidate if candidate.is_file() else None
    files = _in_archive(archive) if archive else _in_folder(root)
    place = archive or root
    listed = [name for name in files if PurePosixPath(name).name == LIST]
    if not listed:
        raise UserError(f"There is no {LIST} in {place}: UCM-captions is {LIST} beside imgs/1.tif to imgs/2100.tif.")
    opened = Files(archive, root)
    entries = _entries(opened.read(listed[0]), f"{place}/{listed[0]}")
    paths = _paths(entries, files, spec.classes, place)
    return TiffSource(opened, entries, paths, spec.classes)


def _in_archive(archive: Path) -> list[str]:
    try:
        with zipfile.ZipFile(archive) as opened:
            return opened.namelist()
    except (zipfile.BadZipFile, OSError) as error:
        raise UserError(f"{archive} is not a readable zip archive ({error}); fetch or copy it again.") from None


def _in_folder(root: Path) -> list[str]:
    return [p.relative_to(root).as_posix() for p in root.rglob("*") if p.suffix in (".tif", ".json")]


def _entries(content: bytes, where: str) -> list[dict[str, Any]]:
    """Return the images of ``dataset.json``, checked one by one."""
    try:
        images = list(json.loads(content)["images"])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{where} is not a list of captioned images ({type(error).__name__}: {error}).") from None
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
        raise UserError(f"{where} puts image '{name}' in split '{part}', which is not train, val or test.{hint}")
    sentences = image.get("sentences")
    if not isinstance(sentences, list) or not sentences:
        raise UserError(f"{where} has no sentence for image '{name}'.")
    for k, sentence in enumerate(sentences):
        text = sentence.get("raw") if isinstance(sentence, dict) else None
        if not isinstance(text, str) or not text.strip():
            raise UserError(f"{where} has an empty sentence, number {k + 1} of image '{name}'.")
        if not words(text):
            raise UserError(f"{where} has a sentence without words, '{text}', number {k + 1} of image '{name}'.")


def _paths(
    entries: Sequence[Mapping[str, Any]], files: Sequence[str], classes: Sequence[str], place: Path
) -> list[str]:
    """Return the file of each entry: ``imgs/N.tif``, or UC Merced's own name for it."""
    by_name = {PurePosixPath(name).name: name for name in files if name.endswith(".tif")}
    paths = []
    for entry in entries:
        name = entry["filename"]
        number = image_number(name, len(classes))
        label, index = divmod(number - 1, PER_CLASS)
        path = by_name.get(name) or by_name.get(f"{classes[label]}{index:02d}.tif")
        if path is None:
            raise UserError(f"Image '{name}' is listed in {LIST} but is not in {place}.")
        paths.append(path)
    return paths


def image_number(name: str, classes: int) -> int:
    """Return N of ``N.tif``.

    Raises:
        UserError: the name is not a number from 1 to 100 times the number of classes.
    """
    stem = PurePosixPath(name).stem
    if not stem.isdecimal() or not 1 <= int(stem) <= classes * PER_CLASS:
        raise UserError(f"Image '{name}' of {LIST} is not called 1.tif to {classes * PER_CLASS}.tif.")
    return int(stem)


class Files:
    """Reads files of an archive or of a folder; pickled without the open archive."""

    def __init__(self, archive: Path | None, folder: Path) -> None:
        self.archive, self.folder = archive, folder
        self._opened: zipfile.ZipFile | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_opened": None}

    def read(self, name: str) -> bytes:
        """Return the bytes of a file."""
        if self.archive is None:
            return (self.folder / name).read_bytes()
        if self._opened is None:
            self._opened = zipfile.ZipFile(self.archive)
        return self._opened.read(name)


class TiffSource:
    """Decodes the images with Pillow; those of another size are resized bilinearly with antialiasing."""

    def __init__(
        self, files: Files, entries: Sequence[Mapping[str, Any]], paths: list[str], classes: tuple[str, ...]
    ) -> None:
        self.files, self.paths, self.classes = files, paths, classes
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
            SampleError: a file cannot be read as an image.
        """
        from PIL import Image

        for k, name in enumerate(self.paths[start:stop]):
            try:
                with Image.open(io.BytesIO(self.files.read(name))) as opened:
                    image = opened.convert("RGB")
            except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
                raise SampleError(f"{name} cannot be read ({error})") from None
            if image.size != (SIZE, SIZE):
                image = image.resize((SIZE, SIZE), Image.Resampling.BILINEAR)
            out[k] = np.asarray(image).transpose(2, 0, 1)
