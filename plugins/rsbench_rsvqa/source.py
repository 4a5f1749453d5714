"""RSVQA-LR from its files: ``LR_split_{train,val,test}_{questions,answers,images}.json`` and ``Images_LR/<id>.tif``.

They may lie in one folder, in folders below it, or in zip archives there.  Splits whose files are missing are left out,
which protocols that need them then say.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from rsbench import reading
from rsbench.data.images import decode_rgb
from rsbench.data.tree import TIFF, FileTree, stem
from rsbench.errors import UserError
from rsbench.specs import DatasetSpec
from rsbench.tasks.answers import TYPES_LR
from rsbench_rsvqa.schema import columns

PARTS: Final = ("train", "val", "test")
SIZE: Final = 256
FIELDS: Final[dict[str, dict[str, type]]] = {
    "questions": {"id": int, "img_id": int, "type": str, "question": str, "answers_ids": list},
    "answers": {"id": int},
}
_NUMBER: Final = re.compile("[0-9]{1,9}")


def source(root: Path, spec: DatasetSpec) -> QuestionSource:
    """Return images with their questions.

    Raises:
        UserError: files are missing or damaged, or an item of them is wrong; the sentence names it.
    """
    files = FileTree(root, nested=True)
    asked = _asked(files)
    wanted = sorted({row["img_id"] for rows in asked.values() for row in rows})
    numbers = {str(i) for i in wanted}
    images = [name for name in files.ending(TIFF) if _NUMBER.fullmatch(stem(name)) and str(int(stem(name))) in numbers]
    numbered = files.by(lambda name: int(stem(name)), images)
    paths = {i: numbered[i] for i in wanted if i in numbered}
    table = _table(files, asked, {i: k for k, i in enumerate(paths)})
    return QuestionSource(files, list(paths.values()), [str(i) for i in paths], table, spec.classes)


def questions_only(root: Path, spec: DatasetSpec) -> BlankSource:
    """Return questions about images that are not looked at.

    Raises:
        UserError: as :func:`source`, except for images.
    """
    files = FileTree(root, nested=True)
    asked = _asked(files)
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


def _asked(files: FileTree) -> dict[str, list[dict[str, Any]]]:
    """Return split -> active questions."""
    found = {part: _rows(files, part, "questions") for part in PARTS}
    asked = {part: [row for row in rows if row.get("active", True)] for part, rows in found.items() if rows is not None}
    if not asked:
        raise UserError(f"There are no LR_split_<split>_questions.json in {files.root}.")
    return asked


def _table(
    files: FileTree, asked: Mapping[str, list[dict[str, Any]]], images: Mapping[int, int]
) -> dict[str, list[Any]]:
    parts = []
    for part, rows in asked.items():
        answers = _rows(files, part, "answers")
        if answers is None:
            raise UserError(f"LR_split_{part}_answers.json is missing beside its questions; fetch or copy it.")
        parts.append(columns(rows, answers, part, images))
    return {name: [value for part in parts for value in part[name]] for name in parts[0]}


def _rows(files: FileTree, part: str, what: str) -> list[dict[str, Any]] | None:
    """Return the list *what* of a split, or ``None`` without its file.

    Raises:
        UserError: it is not JSON of that kind, or an entry lacks a field.
    """
    name = f"LR_split_{part}_{what}.json"
    path = files.called(name)
    if path is None:
        return None
    found = reading.json_document(files.content(path), f"The list of {what} {name}")
    rows = found.get(what) if isinstance(found, dict) else None
    if not isinstance(rows, list):
        raise UserError(f"{name} has no list of {what}; fetch it again.")
    for place, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise UserError(f"Entry {place} of {name} is not an object but {row!r:.40}.")
        wrong = [field for field, kind in FIELDS[what].items() if not isinstance(row.get(field), kind)]
        if wrong and row.get("active", True):
            raise UserError(f"Entry {place} of {name} (id {row.get('id')!r:.40}) has no valid '{wrong[0]}'.")
    return rows


class QuestionSource:
    """256x256 RGB images, each stored once, and the questions about them.

    Args:
        files: where the images are.
        paths, ids: of each image.
        table: columns of the questions, as :func:`rsbench_rsvqa.schema.columns` gives them.
        classes: answers, in the order of their numbers.
    """

    question_types: Sequence[str] = TYPES_LR

    def __init__(
        self, files: FileTree, paths: list[str], ids: list[str], table: dict[str, list[Any]], classes: tuple[str, ...]
    ) -> None:
        self.files, self.paths, self.image_ids = files, paths, ids
        self.columns, self.classes = table, classes
        self.shape, self.dtype = (3, SIZE, SIZE), "uint8"

    def read(self, start: int, stop: int, out: np.ndarray) -> None:
        """Decode images into uint8 ``out`` [n, 3, 256, 256].

        Raises:
            SampleError: a file cannot be read, or is of another size.
        """
        for k, name in enumerate(self.paths[start:stop]):
            out[k] = decode_rgb(self.files.read(name), name, (SIZE, SIZE)).transpose(2, 0, 1)


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
