"""A training epoch in the engine against a bare PyTorch loop: same model, batches, optimizer and precision."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from ratios import paired
from torch import nn

from rsbench.engine.device import make_fabric
from rsbench.engine.jobs.classification import ClassificationJob
from rsbench.engine.loader import ArrayLoader, normalisation_for
from rsbench.engine.selection import Selection
from rsbench.engine.train import Trainer
from rsbench.registry import registry
from rsbench.specs import to_jsonable

CPU = torch.device("cpu")
BATCH, STEPS = 32, 6


def network(name: str) -> nn.Module:
    import timm

    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=10)
    return model.to(memory_format=torch.channels_last)


def loader() -> ArrayLoader:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (BATCH * STEPS, 3, 64, 64), dtype=np.uint8)
    samples = np.arange(len(images))
    return ArrayLoader(
        images,
        samples,
        samples % 10,
        samples,
        batch=BATCH,
        device=CPU,
        normalisation=normalisation_for("imagenet", images, samples, [0, 1, 2]),
        bands=[0, 1, 2],
    )


class Job(ClassificationJob):
    """Batches, logits and losses of classification, without a plan."""

    def __init__(self) -> None:
        self.name = "bench"


def engine_epoch(model: nn.Module, data: ArrayLoader, folder: Path) -> None:
    from rsbench.specs import RecipeSpec

    recipe = RecipeSpec(name="bench", summary="one constant epoch", schedule="constant", epochs=1, batch=BATCH)
    trainer = Trainer(
        Job(),
        model,
        to_jsonable(recipe),
        nn.CrossEntropyLoss(),
        data,
        None,
        fabric=make_fabric(CPU, "fp32"),
        selections=[Selection("last", "val_accuracy")],
        resume_path=folder / "resume.pt",
        identity="bench",
        emit=lambda _: None,
        on_epoch=lambda *_: None,
        interrupted=lambda: False,
    )
    trainer.run()


def bare_epoch(model: nn.Module, data: ArrayLoader) -> None:
    """What a careful researcher writes: the same batches, decay exempt for flat parameters, fused AdamW."""
    flat = [p for p in model.parameters() if p.ndim <= 1]
    rest = [p for p in model.parameters() if p.ndim > 1]
    groups = [{"params": rest, "weight_decay": 0.05}, {"params": flat, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, fused=True)
    loss_function = nn.CrossEntropyLoss()
    model.train()
    for batch in data.training_epoch(0):
        loss = loss_function(model(batch.images), batch.targets)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


@pytest.mark.parametrize("name", ["resnet18"])
def test_engine_overhead(benchmark, tmp_path: Path, name: str) -> None:
    registry()
    model, data = network(name), loader()
    result = paired(lambda: engine_epoch(model, data, tmp_path), lambda: bare_epoch(model, data), rounds=11)
    benchmark.extra_info.update(result)
    benchmark.pedantic(lambda: engine_epoch(model, data, tmp_path), rounds=1)
    assert result["ratio_of_minima"] <= 1.03
