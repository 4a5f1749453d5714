"""What every peer does: give the training batches of an epoch, and train until it is told to stop."""

from __future__ import annotations

import importlib
import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import torch

from benchmarks.peers.dataset import Selection

AfterEpoch = Callable[[float], bool]
"""Called with the validation accuracy after each epoch; true ends training."""


@dataclass(frozen=True)
class Setting:
    """What all peers share: AdamW with torch's defaults at a constant rate, fp32, flips, one process.

    Attributes:
        workers: DataLoader workers; rsbench has none.
        layout: memory layout of the network, ``contiguous | channels_last``.
        precision: of rsbench alone, to see what its own choice (``auto``) gives; all others compute in fp32.
    """

    selection: Selection
    batch: int = 64
    workers: int = 0
    lr: float = 1e-3
    seed: int = 0
    layout: str = "channels_last"
    precision: str = "fp32"


class Peer(ABC):
    """One way to train on EuroSAT; its module imports what it needs at its top, so that no measure counts it."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting

    @abstractmethod
    def batches(self) -> Iterator[torch.Tensor]:
        """Yield the shuffled images of one training epoch, float32 [B, 3, 64, 64], flipped and normalized."""

    @abstractmethod
    def fit(self, network: str, epochs: int, after_epoch: AfterEpoch) -> None:
        """Train *network* for at most *epochs*, with a pass over the validation images after each."""


@dataclass(frozen=True)
class Entry:
    """Where a peer is, what it needs, and how a table calls it."""

    title: str
    path: str
    needs: tuple[str, ...]
    has_workers: bool = True

    @property
    def missing(self) -> list[str]:
        """Packages that are not installed."""
        return [name for name in self.needs if importlib.util.find_spec(name) is None]

    def load(self) -> type[Peer]:
        """Import the peer."""
        module, _, name = self.path.partition(":")
        return getattr(importlib.import_module(f"benchmarks.peers.{module}"), name)


PEERS: Final = {
    "rsbench": Entry("rsbench", "rsbench_engine:Engine", ("rsbench",), has_workers=False),
    "pytorch": Entry("PyTorch, ImageFolder", "pytorch_loop:PlainLoop", ("torchvision",)),
    "timm": Entry("timm loader and loop", "timm_loop:TimmLoop", ("timm",)),
    "lightning": Entry(
        "Lightning Trainer, ImageFolder", "lightning_trainer:PlainLightning", ("lightning", "torchvision")
    ),
    "torchgeo": Entry("torchgeo task and datamodule", "torchgeo_task:TorchGeo", ("lightning", "torchgeo")),
}
