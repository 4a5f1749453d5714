"""Everything a run works on, built from its plan: data, loaders, model and loss."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from rsbench.data import splits
from rsbench.data.store import PreparedStore
from rsbench.engine.augment import Augmentation
from rsbench.engine.loader import ArrayLoader, Normalisation, normalisation_for
from rsbench.errors import RunError
from rsbench.plan import RunPlan
from rsbench.registry import registry
from rsbench.specs import load_attribute
from rsbench.tasks.context import LossContext, ModelContext


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
        """Training samples per class."""
        return tuple(np.bincount(self.store.labels[self.train], minlength=len(self.classes)).tolist())


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
    if plan.overfit:
        train = test = evenly(train, plan.overfit)
        val = val[:0]
    names = list(plan.dataset["bands"])
    wanted = plan.protocol["bands"] or names
    return RunData(
        store=store,
        train=train,
        val=val,
        test=test,
        bands=[names.index(b) for b in wanted],
        size=int(plan.protocol["size"] or store.images.shape[-1]),
        classes=tuple(plan.dataset["classes"]),
    )


def evenly(samples: np.ndarray, count: int) -> np.ndarray:
    """Return ``count`` of the sample numbers, evenly spaced in stored order, so that every class is among them."""
    ordered = np.sort(samples)
    return ordered[np.linspace(0, len(ordered) - 1, count).round().astype(np.int64)]


def model_context(plan: RunPlan, data: RunData) -> ModelContext:
    """What the model's factory is told."""
    return ModelContext(
        task=plan.task,
        channels=len(data.bands),
        size=data.size,
        classes=data.classes,
        class_counts=data.class_counts,
        seed=plan.seed,
        weights_dir=str(Path(plan.data_root) / "weights") if plan.data_root else None,
    )


def build_model(plan: RunPlan, context: ModelContext) -> Any:
    """Call the model's factory with the plan's options; an error names the model and its package."""
    factory = load_attribute(plan.model["factory"])
    return factory(context, **plan.model["options"])


def build_loss(plan: RunPlan, data: RunData) -> nn.Module:
    """Build the recipe's loss."""
    spec = registry().get("loss", plan.recipe["loss"])
    context = LossContext(num_classes=len(data.classes), class_counts=data.class_counts, classes=data.classes)
    return load_attribute(spec.factory)(context, **plan.recipe["loss_options"])


def normalisation(plan: RunPlan, data: RunData) -> Normalisation:
    """Normalisation that the model declares, with statistics of the training split where it asks for them."""
    images = data.store.image_index[data.train]
    return normalisation_for(plan.model["accepts"]["normalisation"], data.store.images, images, data.bands)


def make_loader(
    plan: RunPlan, data: RunData, samples: np.ndarray, device: torch.device, norm: Normalisation, *, training: bool
) -> ArrayLoader:
    """Return a loader over *samples*; evaluation takes batches of up to 512 and no augmentation."""
    dtype = data.store.images.dtype
    top = float(np.iinfo(dtype).max) if dtype.kind in "ui" else 1.0
    augmentation = Augmentation(plan.recipe["augmentation"], top) if training else None
    return ArrayLoader(
        data.store.images,
        data.store.image_index,
        data.store.labels,
        samples,
        batch=int(plan.recipe["batch"]) if training else 512 if device.type == "cuda" else 128,
        device=device,
        normalisation=norm,
        bands=data.bands,
        size=data.size,
        augmentation=augmentation,
        seed=plan.seed,
    )


def blocks(data: RunData, samples: np.ndarray, length: int = 512) -> Iterator[np.ndarray]:
    """Yield stored images [<= length, C, H, W] of *samples*, in order, for estimators."""
    everything = data.bands == list(range(data.store.images.shape[1]))
    for start in range(0, len(samples), length):
        block = data.store.images[data.store.image_index[samples[start : start + length]]]
        yield block if everything else block[:, data.bands]
