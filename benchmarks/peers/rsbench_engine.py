"""rsbench: its loader over the prepared store, and its training loop."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.peers import networks
from benchmarks.peers.dataset import MEAN, STD, numbers
from benchmarks.peers.peer import AfterEpoch, Peer, Setting
from rsbench.data import store
from rsbench.engine.input.augmentation import Augmentation
from rsbench.engine.input.loader import ArrayLoader
from rsbench.engine.input.normalization import Normalization
from rsbench.engine.tasks.classification import ClassificationTraining
from rsbench.engine.training.device import make_fabric, select_precision
from rsbench.engine.training.trainer import Trainer
from rsbench.registry import registry
from rsbench.specs import RecipeSpec, to_jsonable

CPU = torch.device("cpu")
EVALUATION_BATCH = 128  # as in ClassificationTraining.make_loader on a CPU


class TrainingTask(ClassificationTraining):
    """Losses and scores of classification, without a plan."""

    def __init__(self) -> None:
        self.name = "peers"


class Engine(Peer):
    """The engine on memory-mapped images."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.store = store.find(setting.selection.data_root, registry().get("dataset", "eurosat"))
        self.train = self._loader("train", setting.batch, Augmentation({"hflip": 0.5, "vflip": 0.5}))
        self.val = self._loader("val", EVALUATION_BATCH, None)
        self.epoch = 0

    def _loader(self, part: str, batch: int, augmentation: Augmentation | None) -> ArrayLoader:
        return ArrayLoader(
            self.store.images,
            self.store.image_index,
            self.store.labels,
            numbers(self.store.ids, self.setting.selection.ids(part)),
            batch=batch,
            device=CPU,
            normalization=Normalization(tuple(255 * m for m in MEAN), tuple(255 * s for s in STD)),
            bands=[0, 1, 2],
            augmentation=augmentation,
            seed=self.setting.seed,
        )

    def batches(self) -> Iterator[torch.Tensor]:
        """The loader's buffer, filled anew for each batch."""
        self.epoch += 1
        for batch in self.train.training_epoch(self.epoch):
            yield batch.images

    def fit(self, network: str, epochs: int, after_epoch: AfterEpoch) -> None:
        """Train with the engine's ``Trainer``, which is asked to stop by its observer."""
        stopped = Stop(after_epoch)
        with tempfile.TemporaryDirectory() as folder:
            trainer = Trainer(
                TrainingTask(),
                networks.build(network, self.setting.seed, self.setting.layout),
                to_jsonable(self._recipe(epochs)),
                nn.CrossEntropyLoss(),
                self.train,
                self.val,
                fabric=make_fabric(CPU, select_precision(self.setting.precision, CPU)),
                selections=[],
                folder=Path(folder),
                identity="peers",
                emit=lambda event: None,
                on_epoch=stopped,
                interrupted=lambda: False,
            )
            stopped.trainer = trainer
            trainer.run()

    def _recipe(self, epochs: int) -> RecipeSpec:
        """AdamW as torch has it by default: a decay of 0.01 on all parameters."""
        return RecipeSpec(
            name="peers",
            summary="What all peers do.",
            lr=self.setting.lr,
            weight_decay=0.01,
            no_decay=(),
            schedule="constant",
            batch=self.setting.batch,
            epochs=epochs,
        )


class Stop:
    """Ends training once the caller has seen enough."""

    def __init__(self, after_epoch: AfterEpoch) -> None:
        self.after_epoch = after_epoch
        self.trainer: Trainer | None = None

    def __call__(self, epoch: int, logs: dict[str, Any]) -> None:
        assert self.trainer is not None
        self.trainer.progress.stopped = self.after_epoch(logs["val_accuracy"])
