"""The source over what lies at a path, and the state of its files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from rsbench.errors import UserError, first_of
from rsbench.specs import DatasetSpec
from rsbench.tasks.answers import plain
from rsbench_folder import listing, pictures, splits
from rsbench_folder.listing import Listing

SEED: Final = 0


def files(spec: DatasetSpec) -> list[Path]:
    """Return the files that a dataset is made of.

    Raises:
        UserError: they are no dataset; see :func:`rsbench_folder.listing.read`.
    """
    place = Path(spec.place)
    found = listing.read(place, spec.settings)
    if found.tree.root.is_file():
        return [found.tree.root]
    return [*([place] if place.is_file() else []), *(found.tree.root / name for name in [*found.files, *found.images])]


def source(root: Path, spec: DatasetSpec) -> FolderSource:
    """Return the source over the images at *root*.

    Raises:
        UserError: they are no dataset, there is one class only, a class has no image for training, or images differ in
            bands.
    """
    return FolderSource(listing.read(root, spec.settings), spec.settings.get("size"), spec.settings.get("seed", SEED))


class FolderSource:
    """Images of one size, with their labels, sentences or questions, in the order of their ids.

    Attributes:
        tasks: what they are for.
        notes: sentences on how files were taken.
    """

    def __init__(self, found: Listing, size: int | None, seed: int) -> None:
        ids = found.ids
        order = sorted(range(len(ids)), key=ids.__getitem__)
        self.tree, self.names = found.tree, [found.images[k] for k in order]
        self.image_ids = [ids[k] for k in order]
        said = [found.said[k] for k in order]
        given = None if found.parts is None else [found.parts[k] for k in order]
        strata = said if found.task == "classification" else [""] * len(order)
        self.parts, how = splits.complete(given, self.image_ids, strata, seed)
        self.tasks = (found.task,)
        self.classes: Sequence[str] = ()
        make = {"classification": self._labels, "captioning": self._sentences, "vqa": self._questions}[found.task]
        self.columns: dict[str, list[Any]] = make(said)
        shape = pictures.survey(self.tree, self.names, size)
        self.shape, self.dtype = (shape.bands, shape.side, shape.side), shape.dtype
        what = f"{len(self.names):,} images for {found.task}, {found.layout}, {how}"
        self.notes = [what, shape.sentence] if shape.sentence else [what]

    def read(self, start: int, stop: int, out: np.ndarray) -> None:
        """Decode images into ``out`` [n, C, side, side].

        Raises:
            SampleError: a file cannot be read, or is of other bands.
        """
        for k, name in enumerate(self.names[start:stop]):
            out[k] = pictures.pixels(self.tree, name, self.shape[1], self.shape, self.dtype)

    def _labels(self, said: list[Any]) -> dict[str, list[Any]]:
        self.classes = in_order(set(said))
        if len(self.classes) < 2:
            raise UserError(
                f"{self.tree.root} has one class only, '{self.classes[0]}': two at least can be told apart."
            )
        trained = {label for label, part in zip(said, self.parts, strict=True) if part == splits.TRAIN}
        if missing := [c for c in self.classes if c not in trained]:
            raise UserError(f"{self.tree.root} has no training image of class {first_of(missing)}.")
        number = {name: k for k, name in enumerate(self.classes)}
        return {"id": self.image_ids, "label": [number[label] for label in said], "official_split": self.parts}

    def _sentences(self, said: list[Any]) -> dict[str, list[Any]]:
        return {"id": self.image_ids, "sentences": said, "official_split": self.parts}

    def _questions(self, said: list[Any]) -> dict[str, list[Any]]:
        rows = [(k, n, *question) for k, questions in enumerate(said) for n, question in enumerate(questions)]
        answers = [plain(row[3]) for row in rows]
        self.classes = in_order(set(answers))
        if len(self.classes) < 2:
            raise UserError(f"{self.tree.root} has one answer only, '{self.classes[0]}', to all of its questions.")
        self.question_types = sorted({row[4] for row in rows})
        number = {name: k for k, name in enumerate(self.classes)}
        given = Counter(row[5] for row in rows)
        own = all(row[5] and given[row[5]] == 1 for row in rows)  # ids that the list has are kept where they are some
        return {
            "id": [row[5] if own else f"{self.image_ids[row[0]]}#{row[1] + 1}" for row in rows],
            "image": [row[0] for row in rows],
            "question": [row[2] for row in rows],
            "kind": [row[4] for row in rows],
            "label": [number[answer] for answer in answers],
            "count": [None] * len(rows),
            "official_split": [self.parts[row[0]] for row in rows],
        }


def in_order(names: set[str]) -> list[str]:
    """Return names sorted: whole numbers by value, where all are some, else by letters."""
    whole = all(name.isascii() and name.isdigit() and len(name) < 19 for name in names)
    return sorted(names, key=(lambda name: (int(name), name)) if whole else None)
