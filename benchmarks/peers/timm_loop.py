"""timm's loader with its prefetcher, optimizer factory and meters, in a loop as in timm's training script."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from timm.data import create_dataset, create_loader
from timm.optim import create_optimizer_v2
from timm.utils import AverageMeter, accuracy
from torch import nn

from benchmarks.peers import networks
from benchmarks.peers.dataset import MEAN, STD
from benchmarks.peers.peer import AfterEpoch, Peer, Setting

LOG_INTERVAL = 50


class TimmLoop(Peer):
    """timm's parts; a crop of the whole image, since its training transform always crops."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        torch.manual_seed(setting.seed)
        whole = {"scale": (1.0, 1.0), "ratio": (1.0, 1.0), "color_jitter": None}
        self.train = self._loader("train", hflip=0.5, vflip=0.5, is_training=True, **whole)
        self.val = self._loader("val", crop_pct=1.0)

    def _loader(self, part: str, **options: Any) -> Any:
        dataset = create_dataset("", root=str(self.setting.selection.jpeg / part))
        return create_loader(
            dataset,
            input_size=(3, 64, 64),
            batch_size=self.setting.batch,
            mean=MEAN,
            std=STD,
            num_workers=self.setting.workers,
            device=torch.device("cpu"),
            **options,
        )

    def batches(self) -> Iterator[torch.Tensor]:
        """Images as the prefetcher gives them, normalized as a batch."""
        for images, _ in self.train:
            yield images

    def fit(self, network: str, epochs: int, after_epoch: AfterEpoch) -> None:
        """Train and validate with timm's meters."""
        model = networks.build(network, self.setting.seed, self.setting.layout)
        optimizer = create_optimizer_v2(
            model, opt="adamw", lr=self.setting.lr, weight_decay=0.01, filter_bias_and_bn=False, fused=True
        )
        for _ in range(epochs):
            self._train_epoch(model, optimizer)
            if after_epoch(self._validate(model)):
                return

    def _train_epoch(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        model.train()
        losses, loss_function = AverageMeter(), nn.CrossEntropyLoss()
        for step, (images, labels) in enumerate(self.train):
            loss = loss_function(model(images), labels)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            if step % LOG_INTERVAL == 0:
                losses.update(loss.item(), len(images))

    @torch.inference_mode()
    def _validate(self, model: nn.Module) -> float:
        model.eval()
        meter = AverageMeter()
        for images, labels in self.val:
            (right,) = accuracy(model(images), labels)
            meter.update(float(right), len(labels))
        return meter.avg / 100
