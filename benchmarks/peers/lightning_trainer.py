"""Lightning's Trainer over ImageFolder, with a module that logs nothing but the validation accuracy."""

from __future__ import annotations

from collections.abc import Iterator

import lightning.pytorch as pl
import torch
from torch import nn
from torch.nn import functional

from benchmarks.peers import image_folder, networks
from benchmarks.peers.peer import AfterEpoch, Peer, Setting
from benchmarks.peers.trainer import Watch, make_trainer

Labeled = tuple[torch.Tensor, torch.Tensor]


class Classifier(pl.LightningModule):
    """The least that Lightning asks for."""

    def __init__(self, model: nn.Module, lr: float) -> None:
        super().__init__()
        self.model, self.lr = model, lr

    def training_step(self, batch: Labeled, index: int) -> torch.Tensor:
        """Loss of a batch."""
        return functional.cross_entropy(self.model(batch[0]), batch[1])

    def validation_step(self, batch: Labeled, index: int) -> None:
        """Log the share of labels that are right."""
        right = (self.model(batch[0]).argmax(1) == batch[1]).float().mean()
        self.log("val_accuracy", right, batch_size=len(batch[1]))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW, fused."""
        return torch.optim.AdamW(self.parameters(), lr=self.lr, fused=True)


class PlainLightning(Peer):
    """Lightning as its introduction shows it."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.train = image_folder.loader(setting, "train")
        self.val = image_folder.loader(setting, "val")

    def batches(self) -> Iterator[torch.Tensor]:
        """Images as the DataLoader gives them."""
        for images, _ in self.train:
            yield images

    def fit(self, network: str, epochs: int, after_epoch: AfterEpoch) -> None:
        """Train under the Trainer."""
        model = networks.build(network, self.setting.seed, self.setting.layout)
        trainer = make_trainer(epochs, Watch("val_accuracy", after_epoch))
        trainer.fit(Classifier(model, self.setting.lr), self.train, self.val)
