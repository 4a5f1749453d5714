"""Plain PyTorch: a loop of a few lines over ImageFolder."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from benchmarks.peers import image_folder, networks
from benchmarks.peers.peer import AfterEpoch, Peer, Setting


class PlainLoop(Peer):
    """The loop of PyTorch's tutorials, with the fused optimizer."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.train = image_folder.loader(setting, "train")
        self.val = image_folder.loader(setting, "val")

    def batches(self) -> Iterator[torch.Tensor]:
        """Images as the DataLoader gives them."""
        for images, _ in self.train:
            yield images

    def fit(self, network: str, epochs: int, after_epoch: AfterEpoch) -> None:
        """Train, and count what is right of the validation images."""
        model = networks.build(network, self.setting.seed, self.setting.layout)
        optimizer = torch.optim.AdamW(model.parameters(), lr=self.setting.lr, fused=True)
        loss_function = nn.CrossEntropyLoss()
        for _ in range(epochs):
            model.train()
            for images, labels in self.train:
                optimizer.zero_grad()
                loss_function(model(images), labels).backward()
                optimizer.step()
            if after_epoch(self._accuracy(model)):
                return

    @torch.inference_mode()
    def _accuracy(self, model: nn.Module) -> float:
        model.eval()
        right = sum(int((model(images).argmax(1) == labels).sum()) for images, labels in self.val)
        return right / len(self.val.dataset)  # type: ignore[arg-type]
