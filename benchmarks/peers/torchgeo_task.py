"""torchgeo's ClassificationTask and EuroSAT datamodule, unchanged but for flips in the datamodule's augmentation."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import kornia.augmentation as K
import torch
from rasterio.errors import NotGeoreferencedWarning
from torch.utils.data import DataLoader
from torchgeo.datamodules import EuroSATDataModule
from torchgeo.datasets import EuroSAT
from torchgeo.trainers import ClassificationTask

from benchmarks.peers import networks
from benchmarks.peers.peer import AfterEpoch, Peer, Setting
from benchmarks.peers.trainer import Watch, make_trainer

warnings.simplefilter("ignore", NotGeoreferencedWarning)


class TorchGeo(Peer):
    """torchgeo's way, in the RGB bands of its multispectral files."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        torch.manual_seed(setting.seed)
        root = str(setting.selection.torchgeo)
        self.data = EuroSATDataModule(setting.batch, setting.workers, root=root, bands=EuroSAT.rgb_bands)
        self.data.train_aug = K.AugmentationSequential(
            K.Normalize(self.data.mean, self.data.std),
            K.RandomHorizontalFlip(),
            K.RandomVerticalFlip(),
            data_keys=None,
            keepdim=True,
        )

    @cached_property
    def train(self) -> DataLoader[Any]:
        """The datamodule's own loader; a Trainer makes it itself."""
        self.data.setup("fit")
        return self.data.train_dataloader()

    def batches(self) -> Iterator[torch.Tensor]:
        """Images after the datamodule's augmentation, which a Trainer would apply."""
        for batch in self.train:
            yield self.data.train_aug({"image": batch["image"]})["image"]

    def fit(self, network: str, epochs: int, after_epoch: AfterEpoch) -> None:
        """Train under Lightning's Trainer; the task's optimizer is AdamW too, its plateau schedule never acts here."""
        torch.manual_seed(self.setting.seed)
        task = ClassificationTask(model=network, num_classes=10, lr=self.setting.lr, patience=epochs)
        task.model.to(memory_format=networks.memory_format(self.setting.layout))
        trainer = make_trainer(epochs, Watch("val_OverallAccuracy", after_epoch))
        trainer.fit(task, datamodule=self.data)
