"""What a step costs beside the network: the engine against a bare loop, Lightning Fabric and Lightning's Trainer.

All of them train the same tiny network, whose bare step takes about a millisecond, with the same optimizer on the same
batches, already in memory.  A step is timed from one request for a batch to the next, by this process's time on a core.
The fastest tenth of a round counts, since microseconds drown in the turns that other programs take; and the median over
rounds of what is above the bare loop of the same round, since the speed of a machine drifts.
"""

from __future__ import annotations

import logging
import random
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from loops import TrainingTask
from torch import nn
from torch.nn import functional

from benchmarks.peers import networks
from rsbench.engine.input.loader import Batch
from rsbench.engine.training.device import make_fabric
from rsbench.engine.training.trainer import Trainer
from rsbench.specs import RecipeSpec, to_jsonable

CPU = torch.device("cpu")
BATCH, STEPS, EPOCHS, ROUNDS = 64, 50, 2, 15
FASTEST = 0.1


class Fixed:
    """Batches that cost nothing, the same few again and again; and the seconds on a core from each request to the next."""

    device = CPU
    batch_samples = float(BATCH)

    def __init__(self) -> None:
        draw = torch.Generator().manual_seed(0)
        index = np.arange(BATCH)
        self.spans: list[float] = []
        self.made = [
            Batch(torch.randn(BATCH, 3, 64, 64, generator=draw), torch.randint(0, 10, (BATCH,), generator=draw), index)
            for _ in range(4)
        ]

    def __len__(self) -> int:
        return STEPS

    def training_epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        asked = None
        for step in range(start, STEPS):
            now = time.process_time()
            if asked is not None:
                self.spans.append(now - asked)
            asked = now
            yield self.made[step % len(self.made)]

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for batch in self.training_epoch(0):
            yield batch.images, batch.targets


def network() -> nn.Module:
    return networks.build(networks.TINY, 0, "contiguous")


def fused(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)


def bare(data: Fixed) -> None:
    model = network()
    optimizer = fused(model)

    for _ in range(EPOCHS):
        for images, labels in data:
            functional.cross_entropy(model(images), labels).backward()
            optimizer.step()
            optimizer.zero_grad()


def fabric(data: Fixed) -> None:
    from lightning_fabric import Fabric  # itself: for one process the engine does without

    runner = Fabric(accelerator="cpu", devices=1)
    runner.launch()
    raw = network()
    model, optimizer = runner.setup(raw, fused(raw))

    for _ in range(EPOCHS):
        for images, labels in data:
            runner.backward(functional.cross_entropy(model(images), labels))
            optimizer.step()
            optimizer.zero_grad()


def engine(data: Fixed, folder: Path) -> None:
    recipe = RecipeSpec(name="overhead", summary="Constant rate.", schedule="constant", epochs=EPOCHS, no_decay=())
    trainer = Trainer(
        TrainingTask(),
        network(),
        to_jsonable(recipe),
        nn.CrossEntropyLoss(),
        data,
        None,
        fabric=make_fabric(CPU, "fp32"),
        selections=[],
        folder=folder,
        identity="overhead",
        emit=lambda event: None,
        on_epoch=lambda epoch, logs: None,
        interrupted=lambda: False,
    )
    trainer.run()


def lightning(data: Fixed, log: bool) -> None:
    """Without logger, bar, summary and checkpoints; with *log*, the loss of each step is logged."""
    import lightning.pytorch as pl

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

    class Module(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = network()

        def training_step(self, batch: Any, index: int) -> torch.Tensor:
            loss = functional.cross_entropy(self.model(batch[0]), batch[1])
            if log:
                self.log("loss", loss)
            return loss

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return fused(self.model)

    off = ("logger", "enable_progress_bar", "enable_checkpointing", "enable_model_summary")
    options: dict[str, Any] = {"accelerator": "cpu", "devices": 1, "max_epochs": EPOCHS} | dict.fromkeys(off, False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pl.Trainer(**options).fit(Module(), data)


def test_overhead_of_a_step(benchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("lightning")
    # Optimizers look for a GPU at each step, which costs all ways the same, and several times what is measured.
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    ways: dict[str, Callable[[Fixed], None]] = {
        "bare": bare,
        "fabric": fabric,
        "engine": lambda data: engine(data, tmp_path),
        "lightning": lambda data: lightning(data, log=False),
        "lightning_log": lambda data: lightning(data, log=True),
    }
    rounds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(ROUNDS):
        for name in random.Random(number).sample(list(ways), len(ways)):
            data = Fixed()
            ways[name](data)
            rounds[name].append(float(np.quantile(data.spans, FASTEST)) * 1e6)
    over = {name: float(np.median(np.subtract(found, rounds["bare"]))) for name, found in rounds.items()}
    bare_us = float(np.median(rounds["bare"]))
    benchmark.extra_info.update({"bare_us": bare_us} | {f"{n}_over_us": v for n, v in over.items() if n != "bare"})
    benchmark.pedantic(lambda: engine(Fixed(), tmp_path), rounds=1)
    assert over["engine"] <= 2 * over["fabric"], benchmark.extra_info
    assert over["engine"] <= over["lightning"] / 5, benchmark.extra_info
