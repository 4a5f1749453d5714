"""The data of a run: the prepared store and the split of its protocol, or images that belong to no dataset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rsbench.data import few_labels, splits
from rsbench.data.store import PreparedStore
from rsbench.errors import RunError
from rsbench.plan import RunPlan
from rsbench.registry import registry


@dataclass(frozen=True)
class RunData:
    """The data of one run.

    Attributes:
        train, val, test: sample numbers int64; ``val`` may be empty.
        bands: channel numbers that the protocol takes, in its order.
        size: side of the images that the model gets.
        classes: class names in label order.
    """

    store: PreparedStore
    train: np.ndarray
    val: np.ndarray
    test: np.ndarray
    bands: list[int]
    size: int
    classes: tuple[str, ...]

    @property
    def class_counts(self) -> tuple[int, ...]:
        """Training samples per class; empty where the samples have no labels."""
        if "label" not in self.store.columns:
            return ()
        return tuple(np.bincount(self.store.labels[self.train], minlength=len(self.classes)).tolist())

    def blocks(self, images: np.ndarray, length: int = 512) -> Iterator[np.ndarray]:
        """Yield stored images [<= length, C, H, W] by number, in the order given, for estimators."""
        everything = self.bands == list(range(self.store.images.shape[1]))
        for start in range(0, len(images), length):
            block = self.store.images[images[start : start + length]]
            yield block if everything else block[:, self.bands]


def open_data(plan: RunPlan) -> RunData:
    """Open the prepared store and the protocol's split.

    Raises:
        RunError: the store has changed since the plan was made.
    """
    store = PreparedStore.open(Path(plan.dataset["store"]))
    if store.manifest["fingerprint"] != plan.dataset["fingerprint"]:
        raise RunError("The prepared data changed after the run was planned; start the run again.", "data")
    split = splits.resolve(store, registry().get("protocol", plan.protocol["name"].partition("+")[0]))
    train, val, test = split.train, split.val, split.test
    if labels := plan.protocol.get("labels"):
        train, val = (few_labels.reduced(store, part, labels, plan.seed) for part in (train, val))
    if plan.overfit:
        train = test = evenly(train, plan.overfit)
        val = val[:0]
    return taken(plan, store, train, val, test)


def taken(plan: RunPlan, store: PreparedStore, train: np.ndarray, val: np.ndarray, test: np.ndarray) -> RunData:
    """Return the samples of a store with the bands and the size that the plan's protocol takes; by default all.

    Args:
        plan: whose protocol names bands and size.
        store: of the dataset.
        train, val, test: int64 [n], sample numbers of each part of the split.
    """
    names = list(plan.dataset["bands"])
    wanted = plan.protocol.get("bands") or names
    return RunData(
        store=store,
        train=train,
        val=val,
        test=test,
        bands=[names.index(b) for b in wanted],
        size=int(plan.protocol.get("size") or store.images.shape[-1]),
        classes=tuple(plan.dataset["classes"]),
    )


def evenly(samples: np.ndarray, count: int) -> np.ndarray:
    """Return ``count`` of the sample numbers, evenly spaced in stored order, so that every class is among them."""
    ordered = np.sort(samples)
    return ordered[np.linspace(0, len(ordered) - 1, count).round().astype(np.int64)]


class NewStore(PreparedStore):
    """A store that is on no disk: one sample an image, of which nothing more is known.

    Args:
        plan: says what the images are of.
        images: [N, C, H, W] as the plan's dataset stores them.
        names: N ids.
        columns: what the plan's task needs besides (:meth:`rsbench.tasks.task.Task.blank_columns`).
    """

    def __init__(
        self, plan: RunPlan, images: np.ndarray, names: Sequence[str], columns: Mapping[str, list[Any]]
    ) -> None:
        self._samples = {"columns": {"id": [*names], **columns}, "image_ids": [*names]}
        self.manifest = {key: plan.dataset.get(key, ()) for key in ("fingerprint", "classes", "question_types")}
        self.images = images


def new_data(plan: RunPlan, images: np.ndarray, names: Sequence[str], columns: Mapping[str, list[Any]]) -> RunData:
    """Return the data of a run whose test split are these images; no others are known.

    Args:
        plan, images, names, columns: as for :class:`NewStore`.
    """
    everything = np.arange(len(images))
    return taken(plan, NewStore(plan, images, names, columns), everything[:0], everything[:0], everything)
