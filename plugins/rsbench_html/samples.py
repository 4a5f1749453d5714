"""Sample predictions: images of the test split, what is true of them, and what each system predicted."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np

from rsbench.data.store import PreparedStore, find
from rsbench.errors import UserError
from rsbench.leaderboard.aggregate import Row, Table
from rsbench.registry import registry
from rsbench.tasks.task import Outcome, Task, get_task


@dataclass(frozen=True)
class Prediction:
    """What a system predicted of a sample; ``right`` is ``None`` where that is a matter of degree."""

    row: Row
    text: str
    right: bool | None = None


@dataclass(frozen=True)
class Item:
    """One thing asked of an image (``question`` is empty but in VQA), what is true, and what was predicted."""

    question: str
    references: tuple[str, ...]
    predicted: tuple[Prediction, ...]


@dataclass(frozen=True)
class Sample:
    """An image [C, H, W] as stored, the names of its bands, and what is asked of it."""

    name: str
    image: np.ndarray
    bands: tuple[str, ...]
    items: tuple[Item, ...]


@dataclass(frozen=True)
class _Answers:
    """A row's outcome, whether each sample is right, and by sample id the number of its row in the file."""

    row: Row
    outcome: Outcome
    correct: np.ndarray | None
    place: Mapping[str, int]


def collect(table: Table, root: Path, count: int) -> list[Sample]:
    """Return *count* images of the test split, drawn by the hash of their names, with what each row predicted of them.

    A row speaks through its first seed; one whose predictions are not available is silent.

    Raises:
        NotPrepared: the dataset is not prepared below *root*.
        UserError: it is not the data that the records were made on.
    """
    known = [row.plan["dataset"].get("fingerprint") for row in table.rows]
    store = find(root, registry().get("dataset", table.dataset), known[0])
    if any(fingerprint != store.manifest["fingerprint"] for fingerprint in known):
        raise UserError(f"The prepared data of '{table.dataset}' below {root} are not those of the records.")
    answered = [a for row in table.rows if (a := _answers(row, table.task)) is not None]
    if not answered:
        return []
    number = {name: k for k, name in enumerate(store.ids)}
    shared = set.intersection(*(set(a.place) for a in answered))
    images: dict[int, list[int]] = {}
    for name in sorted(shared, key=_drawn):
        images.setdefault(int(store.image_index[number[name]]), []).append(number[name])
    drawn = sorted(images, key=lambda k: _drawn(store.image_ids[k]))[:count]
    bands = tuple(b["name"] for b in store.manifest["bands"])
    items = [tuple(_items(table.task, store, images[k], answered)) for k in drawn]
    return [
        Sample(store.image_ids[k], np.array(store.images[k]), bands, found)
        for k, found in zip(drawn, items, strict=True)
        if found
    ]


def _items(task: str, store: PreparedStore, samples: Sequence[int], answered: Sequence[_Answers]) -> Iterator[Item]:
    """What is shown of an image; nothing where the task does not say what is true of a sample."""
    kind = get_task(task)
    for sample in kind.shown(store, samples):
        if truth := kind.truth(store, sample):
            predicted = tuple(_said(kind, store, a, store.ids[sample]) for a in answered)
            yield Item(kind.question(store, sample), truth, predicted)


def _said(task: Task, store: PreparedStore, answers: _Answers, name: str) -> Prediction:
    row = answers.place[name]
    right = None if answers.correct is None else bool(answers.correct[row])
    return Prediction(answers.row, task.prediction_text(answers.outcome, row, store.manifest["classes"]), right)


def _drawn(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def _answers(row: Row, task: str) -> _Answers | None:
    path = row.records[0].artifact("predictions")
    if path is None:
        return None
    kind = get_task(task)
    outcome = kind.read(path)
    return _Answers(row, outcome, kind.correct(outcome), {name: k for k, name in enumerate(outcome.predictions.ids)})


LARGEST: Final = 192  # pixels
QUALITY: Final = 80


def data_uri(image: np.ndarray, bands: Sequence[str]) -> str:
    """Return an image [C, H, W] as a small JPEG: red, green and blue where *bands* name them, else its first band.

    What is not uint8 is stretched from its 2nd to its 98th percentile.
    """
    from PIL import Image

    wanted = ("red", "green", "blue")
    chosen = [bands.index(b) for b in wanted] if set(wanted) <= set(bands) else [0]
    planes = image[chosen].transpose(1, 2, 0)
    if planes.dtype != np.uint8:
        low, high = np.percentile(planes, (2, 98))
        planes = (255 * np.clip((planes - low) / max(high - low, 1e-9), 0, 1)).astype(np.uint8)
    picture = Image.fromarray(planes[..., 0] if len(chosen) == 1 else np.ascontiguousarray(planes))
    picture.thumbnail((LARGEST, LARGEST))
    stream = BytesIO()
    picture.save(stream, "JPEG", quality=QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()
