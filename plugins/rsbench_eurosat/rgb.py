"""EuroSAT RGB from its archive or its folders.

Found below the given path: ``EuroSAT.zip`` (or the path itself is the archive), ``2750/<Class>/<Class>_<n>.jpg``, or
``<Class>/<Class>_<n>.jpg``; and, optionally, the official lists ``eurosat-{train,val,test}.txt`` beside them.  Samples
are in ImageFolder order: class folders alphabetically, files lexicographically.
"""

from __future__ import annotations

import io
import zipfile
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np

from rsbench.data.source import SampleError
from rsbench.errors import UserError
from rsbench.specs import DatasetSpec

ARCHIVE: Final = "EuroSAT.zip"
SIZE: Final = 64


def source(root: Path, spec: DatasetSpec) -> JpegSource:
    """Return the source over *root*.

    Raises:
        UserError: no images are there, a class folder is missing, or the archive is damaged.
    """
    candidate = root if root.is_file() else root / ARCHIVE
    archive = candidate if candidate.is_file() else None
    folder = archive.parent if archive else root
    names = _names_in_archive(archive) if archive else _names_in_folder(root)
    by_class = _by_class(names, spec.classes, archive or root)
    files = [(label, name) for label, c in enumerate(spec.classes) for name in sorted(by_class[c])]
    return JpegSource(archive, folder, files, spec.classes, official_split(folder, [n for _, n in files]))


def _names_in_archive(archive: Path) -> list[str]:
    try:
        with zipfile.ZipFile(archive) as opened:
            return [n for n in opened.namelist() if n.lower().endswith(".jpg")]
    except (zipfile.BadZipFile, OSError) as error:
        raise UserError(f"{archive} is not a readable zip archive ({error}); fetch or copy it again.") from None


def _names_in_folder(root: Path) -> list[str]:
    return [p.relative_to(root).as_posix() for p in root.rglob("*.jpg")]


def _by_class(names: Iterable[str], classes: Iterable[str], where: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for name in names:
        found[PurePosixPath(name).parent.name].append(name)
    missing = [c for c in classes if not found[c]]
    if len(missing) == len(list(classes)):
        raise UserError(f"No EuroSAT images (<Class>/<Class>_<n>.jpg) were found in {where}.")
    if missing:
        raise UserError(f"EuroSAT in {where} is incomplete: no images of class {', '.join(missing)}.")
    return found


def official_split(folder: Path, names: list[str]) -> list[str] | None:
    """Return ``train | val | test | ""`` for each file name by the official lists; ``None`` without the lists."""
    member: dict[str, str] = {}
    for part in ("train", "val", "test"):
        path = folder / f"eurosat-{part}.txt"
        if not path.is_file():
            return None
        member |= {Path(line.strip()).stem: part for line in path.read_text().splitlines() if line.strip()}
    return [member.get(PurePosixPath(n).stem, "") for n in names]


class JpegSource:
    """Decodes 64x64 RGB JPEGs with libjpeg-turbo; pixels equal Pillow's."""

    def __init__(
        self,
        archive: Path | None,
        folder: Path,
        files: list[tuple[int, str]],
        classes: tuple[str, ...],
        split: list[str] | None,
    ) -> None:
        self.archive, self.folder = archive, folder
        self.names = [name for _, name in files]
        self.shape, self.dtype, self.classes = (3, SIZE, SIZE), "uint8", classes
        self.image_ids = [PurePosixPath(n).stem for n in self.names]
        self.columns: dict[str, list[Any]] = {"id": self.image_ids, "label": [label for label, _ in files]}
        if split is not None:
            self.columns["official_split"] = split
        self._opened: zipfile.ZipFile | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_opened": None}

    def read(self, start: int, stop: int, out: np.ndarray) -> None:
        """Decode images into uint8 ``out`` [n, 3, 64, 64].

        Raises:
            SampleError: a file is missing, truncated, or not a 64x64 RGB JPEG.
        """
        for k, name in enumerate(self.names[start:stop]):
            image = decode(self._bytes(name), name)
            if image.shape != (SIZE, SIZE, 3):
                raise SampleError(f"{name} is {image.shape[1]}x{image.shape[0]} pixels, not {SIZE}x{SIZE}")
            out[k] = image.transpose(2, 0, 1)

    def _bytes(self, name: str) -> bytes:
        try:
            if self.archive is None:
                return (self.folder / name).read_bytes()
            if self._opened is None:
                self._opened = zipfile.ZipFile(self.archive)
            return self._opened.read(name)
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            raise SampleError(f"{name} cannot be read ({error})") from None


def decode(data: bytes, name: str) -> np.ndarray:
    """Decode a JPEG to uint8 [H, W, 3]; what libjpeg-turbo refuses gets a second try with Pillow.

    Raises:
        SampleError: the file is truncated or not an RGB image.
    """
    import simplejpeg

    if not data.rstrip(b"\0").endswith(b"\xff\xd9"):
        raise SampleError(f"{name} is truncated: it has no end-of-image marker")
    try:
        return simplejpeg.decode_jpeg(data, "RGB")
    except ValueError:
        return _decode_with_pillow(data, name)


def _decode_with_pillow(data: bytes, name: str) -> np.ndarray:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError) as error:
        raise SampleError(f"{name} is not a readable JPEG ({error})") from None
