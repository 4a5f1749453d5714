"""RSVQA-LR from its files: ``LR_split_{train,val,test}_{questions,answers,images}.json`` and ``Images_LR/<id>.tif``.

They may lie in one folder, in folders below it, or in zip archives there.  Splits whose files are missing are left out,
which protocols that need them then say.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from rsbench.data.source import SampleError
from rsbench.errors import UserError
from rsbench.specs import DatasetSpec
from rsbench.tasks.answers import TYPES_LR
from rsbench.tasks.rsvqa import columns

PARTS: Final = ("train", "val", "test")
SIZE: Final = 256
FIELDS: Final[dict[str, dict[str, type]]] = {
    "questions": {"id": int, "img_id": int, "type": str, "question": str, "answers_ids": list},
    "answers": {"id": int},
}
_LIST: Final = re.compile(r"LR_split_(train|val|test)_(questions|answers|images)\.json")

_IMAGE: Final = re.compile(r"(?:^|[/\\])(\d+)\.tif$")


def source(root: Path, spec: DatasetSpec) -> QuestionSource:
    """Return images with their questions.

    Raises:
        UserError: files are missing or damaged, or an item of them is wrong; the sentence names it.
    """
    files = Files(root)
    numbered = {int(m[1]): name for name in files.names if (m := _IMAGE.search(name))}
    asked = _asked(files, root)
    wanted = sorted({row["img_id"] for rows in asked.values() for row in rows})
    paths = {i: numbered[i] for i in wanted if i in numbered}
    table = _table(files, asked, {i: k for k, i in enumerate(paths)})
    return QuestionSource(files, list(paths.values()), [str(i) for i in paths], table, spec.classes)


def questions_only(root: Path, spec: DatasetSpec) -> BlankSource:
    """Return questions about images that are not looked at.

    Raises:
        UserError: as :func:`source`, except for images.
    """
    files = Files(root)
    asked = _asked(files, root)
    wanted = sorted({row["img_id"] for rows in asked.values() for row in rows})
    table = _table(files, asked, {i: k for k, i in enumerate(wanted)})
    return BlankSource([str(i) for i in wanted], table, spec.classes)


def val_to_test(ids: Sequence[str], columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Train on validation questions, test on test questions.

    Raises:
        UserError: one of the two is missing.
    """
    del ids
    parts = {part: np.flatnonzero(columns["official_split"] == part) for part in ("val", "test")}
    if not len(parts["val"]) or not len(parts["test"]):
        raise UserError("The prepared data lack the validation or the test questions of RSVQA-LR.")
    return {"train": parts["val"], "test": parts["test"]}


def _asked(files: Files, root: Path) -> dict[str, list[dict[str, Any]]]:
    """Return split -> active questions."""
    found = {
        part: [row for row in files.rows(part, "questions") if row.get("active", True)]
        for part in PARTS
        if files.has(part, "questions")
    }
    if not found:
        raise UserError(f"There are no LR_split_<split>_questions.json in {root}.")
    return found


def _table(files: Files, asked: Mapping[str, list[dict[str, Any]]], images: Mapping[int, int]) -> dict[str, list[Any]]:
    parts = [columns(rows, files.rows(part, "answers"), part, images) for part, rows in asked.items()]
    return {name: [value for part in parts for value in part[name]] for name in parts[0]}


def _check(rows: Any, what: str, name: str) -> None:
    """Raise unless *rows* is a list of objects, of which the active ones have the fields that are read."""
    if not isinstance(rows, list):
        raise UserError(f"{name} has no list of {what}; fetch it again.")
    for place, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise UserError(f"Entry {place} of {name} is not an object but {row!r:.40}.")
        wrong = [field for field, kind in FIELDS[what].items() if not isinstance(row.get(field), kind)]
        if wrong and row.get("active", True):
            raise UserError(f"Entry {place} of {name} (id {row.get('id')}) has no valid '{wrong[0]}'.")


class Files:
    """Files of a folder (or one archive) and of the zip archives in it; pickled without open archives."""

    def __init__(self, root: Path) -> None:
        archives = [root] if root.is_file() else sorted(root.rglob("*.zip"))
        self.places: dict[str, Path | None] = {}
        if root.is_dir():
            self.places = {str(p): None for p in sorted(root.rglob("*")) if p.suffix in (".json", ".tif")}
        for archive in archives:
            try:
                with zipfile.ZipFile(archive) as opened:
                    self.places |= {name: archive for name in opened.namelist() if not name.endswith("/")}
            except (zipfile.BadZipFile, OSError) as error:
                raise UserError(f"{archive} is not a readable zip archive ({error}); fetch it again.") from None
        self.lists = {m.groups(): name for name in self.places if (m := _LIST.search(name))}
        self._opened: dict[Path, zipfile.ZipFile] = {}

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_opened": {}}

    @property
    def names(self) -> list[str]:
        """All files."""
        return list(self.places)

    def has(self, part: str, what: str) -> bool:
        """Whether the list of a split is there."""
        return (part, what) in self.lists

    def rows(self, part: str, what: str) -> list[dict[str, Any]]:
        """Return the list ``what`` of a split.

        Raises:
            UserError: it is missing, or not JSON of that kind, or an entry lacks a field.
        """
        name = f"LR_split_{part}_{what}.json"
        if not self.has(part, what):
            raise UserError(f"{name} is missing beside its questions; fetch or copy it.")
        try:
            found = json.loads(self.read(self.lists[part, what]))[what]
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{name} is not a complete list of {what} ({error}); fetch it again.") from None
        _check(found, what, name)
        return found

    def read(self, name: str) -> bytes:
        """Return the bytes of a file."""
        archive = self.places[name]
        if archive is None:
            return Path(name).read_bytes()
        if archive not in self._opened:
            self._opened[archive] = zipfile.ZipFile(archive)
        return self._opened[archive].read(name)


class QuestionSource:
    """256x256 RGB images, each stored once, and the questions about them."""

    question_types: Sequence[str] = TYPES_LR

    def __init__(
        self, files: Files, paths: list[str], ids: list[str], table: dict[str, list[Any]], classes: tuple[str, ...]
    ) -> None:
        self.files, self.paths, self.image_ids = files, paths, ids
        self.columns, self.classes = table, classes
        self.shape, self.dtype = (3, SIZE, SIZE), "uint8"

    def read(self, start: int, stop: int, out: np.ndarray) -> None:
        """Decode images into uint8 ``out`` [n, 3, 256, 256].

        Raises:
            SampleError: a file cannot be read, or is of another size.
        """
        from PIL import Image

        for k, name in enumerate(self.paths[start:stop]):
            try:
                with Image.open(io.BytesIO(self.files.read(name))) as opened:
                    image = np.asarray(opened.convert("RGB"))
            except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
                raise SampleError(f"{name} cannot be read ({error})") from None
            if image.shape[:2] != (SIZE, SIZE):
                raise SampleError(f"{name} is {image.shape[1]}x{image.shape[0]} pixels, not {SIZE}x{SIZE}")
            out[k] = image.transpose(2, 0, 1)


class BlankSource:
    """A black pixel in place of each image, and the questions about them."""

    question_types: Sequence[str] = TYPES_LR

    def __init__(self, ids: list[str], table: dict[str, list[Any]], classes: tuple[str, ...]) -> None:
        self.image_ids, self.columns, self.classes = ids, table, classes
        self.shape, self.dtype = (3, 1, 1), "uint8"

    def read(self, start: int, stop: int, out: np.ndarray) -> None:
        """Blacken ``out`` [n, 3, 1, 1]."""
        del start, stop
        out[:] = 0
