"""Sample predictions: images of the test split, what is true of them, and what each system said."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from rsbench.data.store import PreparedStore, find
from rsbench.errors import UserError
from rsbench.leaderboard.aggregate import Row, Table
from rsbench.registry import registry
from rsbench.tasks.kinds import Outcome, kind_of

QUESTIONS: Final = 4  # of one image


@dataclass(frozen=True)
class Said:
    """What a system said of a sample; ``right`` is ``None`` where that is a matter of degree."""

    row: Row
    text: str
    right: bool | None = None


@dataclass(frozen=True)
class Item:
    """One thing asked of an image (``question`` is empty but in VQA), what is true, and what was said."""

    question: str
    references: tuple[str, ...]
    said: tuple[Said, ...]


@dataclass(frozen=True)
class Sample:
    """An image [C, H, W] as stored, the names of its bands, and what is asked of it."""

    name: str
    image: np.ndarray
    bands: tuple[str, ...]
    items: tuple[Item, ...]


@dataclass(frozen=True)
class _Answers:
    """A row's outcome by sample id: number of the row in the file."""

    row: Row
    outcome: Outcome
    place: Mapping[str, int]


def collect(table: Table, root: Path, count: int) -> list[Sample]:
    """Return *count* images of the test split, drawn by the hash of their names, with what each row said of them.

    A row speaks through its first seed; one whose predictions are not at hand is silent.

    Raises:
        NotPrepared: the dataset is not prepared below *root*.
        UserError: it is not the data that the records were made on.
    """
    store = find(root, registry().get("dataset", table.dataset))
    if any(row.plan["dataset"].get("fingerprint") != store.manifest["fingerprint"] for row in table.rows):
        raise UserError(f"The prepared data of '{table.dataset}' below {root} are not those of the records.")
    spoken = [a for row in table.rows if (a := _answers(row, table.task)) is not None]
    items = _ITEMS.get(table.task)
    if items is None or not spoken:
        return []
    number = {name: k for k, name in enumerate(store.ids)}
    shared = set.intersection(*(set(a.place) for a in spoken))
    images: dict[int, list[str]] = {}
    for name in sorted(shared, key=_drawn):
        images.setdefault(int(store.image_index[number[name]]), []).append(name)
    bands = tuple(b["name"] for b in store.manifest["bands"])
    return [
        Sample(store.image_ids[k], np.array(store.images[k]), bands, tuple(items(store, number, names, spoken)))
        for k, names in sorted(images.items(), key=lambda i: _drawn(store.image_ids[i[0]]))[:count]
    ]


def _drawn(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def _answers(row: Row, task: str) -> _Answers | None:
    path = row.records[0].artifact("predictions")
    if path is None:
        return None
    outcome = kind_of(task).read(path)
    return _Answers(row, outcome, {name: k for k, name in enumerate(outcome.predictions.ids)})


def _labels(
    store: PreparedStore, number: Mapping[str, int], names: Sequence[str], spoken: Sequence[_Answers]
) -> Iterable[Item]:
    """The class of an image, and predicted classes with their probability in percent."""
    classes, name = store.manifest["classes"], names[0]
    true = int(store.labels[number[name]])
    said = []
    for answers in spoken:
        made, at = answers.outcome.predictions, answers.place[name]
        label = int(made.labels[at])
        sure = "" if made.probabilities is None else f" {100 * made.probabilities[at, label]:.0f} %"
        said.append(Said(answers.row, classes[label] + sure, label == true))
    yield Item("", (classes[true],), tuple(said))


def _captions(
    store: PreparedStore, number: Mapping[str, int], names: Sequence[str], spoken: Sequence[_Answers]
) -> Iterable[Item]:
    """The reference sentences of an image, each once, and the captions."""
    name = names[0]
    references = dict.fromkeys(store.columns["sentences"][number[name]])
    said = tuple(Said(a.row, a.outcome.predictions.captions[a.place[name]]) for a in spoken)
    yield Item("", tuple(references), said)


def _questions(
    store: PreparedStore, number: Mapping[str, int], names: Sequence[str], spoken: Sequence[_Answers]
) -> Iterable[Item]:
    """A question of each type about an image, and the answers."""
    classes, columns = store.manifest["classes"], store.columns
    of_type = {columns["kind"][number[name]]: name for name in reversed(names)}
    for _, name in sorted(of_type.items())[:QUESTIONS]:
        true = int(store.labels[number[name]])
        said = []
        for answers in spoken:
            answer = int(answers.outcome.predictions.answers[answers.place[name]])
            text = classes[answer] if answer >= 0 else "none of the answers"
            said.append(Said(answers.row, text, answer == true))
        yield Item(columns["question"][number[name]], (classes[true],), tuple(said))


_ITEMS: Final[dict[str, Callable[..., Iterable[Item]]]] = {
    "classification": _labels,
    "captioning": _captions,
    "vqa": _questions,
}
