"""The last, smaller batch of an epoch, left out or kept: counts, losses of a plain loop, resumption, refusals."""

from __future__ import annotations

import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from one_run import one_run
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR
from torch.utils.data import DataLoader, TensorDataset

from rsbench.engine.input.augmentation import Augmentation
from rsbench.engine.input.loader import ArrayLoader, Batch
from rsbench.engine.input.normalization import Normalization
from rsbench.engine.parallel.ranks import Ranks
from rsbench.engine.run.compile_selection import shapes_of
from rsbench.engine.run.run import execute
from rsbench.engine.step.oom_recovery import StepRunner
from rsbench.engine.training import trainer
from rsbench.engine.training.single_device import SingleDeviceFabric
from rsbench.errors import UserError, UserErrors
from rsbench.plan import RunPlan
from rsbench.registry import registry
from rsbench.specs import RecipeSpec, to_jsonable

CPU = torch.device("cpu")
EPOCHS = 3


def loader_of(samples: int, batch: int, side: int = 8, **options: Any) -> ArrayLoader:
    images = np.random.default_rng(0).integers(0, 256, (samples, 3, side, side), dtype=np.uint8)
    index = np.arange(samples)
    norm = Normalization((127.0,) * 3, (60.0,) * 3)
    common: dict[str, Any] = {"batch": batch, "device": CPU, "normalization": norm, "bands": [0, 1, 2]}
    return ArrayLoader(images, index, index % 5, index, **common | options)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5))


def plan_of(root: Path, out: Path, **changes: Any) -> RunPlan:
    recipe = {"epochs": EPOCHS, "batch": 8, "schedule": "cosine", "precision": "fp32", "drop_last": False}
    return one_run(root, out, recipe | {"augmentation": {"hflip": 0.5, "rotation": 30}} | changes)


@pytest.mark.parametrize(
    ("samples", "batch", "dropped", "kept", "last"),
    [(18_900, 64, 295, 296, 20), (128, 64, 2, 2, 64), (65, 64, 1, 2, 1), (5, 64, 1, 1, 5), (0, 64, 0, 0, None)],
)
def test_steps_of_an_epoch(samples: int, batch: int, dropped: int, kept: int, last: int | None) -> None:
    """18,900 images in batches of 64 are the 296 steps of BMTA's author."""
    whole, rest = (loader_of(samples, batch, side=1, drop_last=drop) for drop in (True, False))
    assert (len(whole), len(rest)) == (dropped, kept)
    seen = [b.index.copy() for b in rest.training_epoch(0)]
    assert [len(index) for index in seen[:-1]] == [min(batch, samples)] * (kept - 1)
    assert [len(index) for index in seen[-1:]] == ([last] if last else [])
    assert sorted(np.concatenate([[], *seen]).tolist()) == list(range(samples))
    assert rest.batch_samples == pytest.approx(samples / max(kept, 1))
    assert [b.index.tolist() for b in whole.training_epoch(0)] == [index.tolist() for index in seen[:dropped]]


def test_losses_are_those_of_a_plain_loop_in_the_same_order(tmp_path: Path) -> None:
    loader, model = loader_of(21, 8, seed=5, drop_last=False), network()
    plain, losses, expected = copy.deepcopy(model), [], []

    class Labeling:
        def loss(self, model: Any, batch: Any, loss: Any) -> torch.Tensor:
            value = loss(model(batch.images), batch.targets)
            losses.append(value.item())
            return value

        def logs(self) -> dict[str, float]:
            return {}

    recipe = to_jsonable(RecipeSpec(name="r", summary="s", optimizer="sgd", lr=0.1, weight_decay=0.0, epochs=EPOCHS))
    trainer.Trainer(
        Labeling(),  # type: ignore[arg-type]
        model,
        recipe,
        nn.CrossEntropyLoss(),
        loader,
        None,
        fabric=SingleDeviceFabric(CPU, "fp32"),
        selections=[],
        folder=tmp_path,
        identity="",
        emit=lambda event: None,
        on_epoch=lambda epoch, logs: None,
        interrupted=lambda: False,
    ).run()

    images = (torch.from_numpy(loader.source.stored.copy()).float() - 127) / 60  # type: ignore[union-attr]
    data = TensorDataset(images, torch.arange(21) % 5)
    optimizer = torch.optim.SGD(plain.train().parameters(), lr=0.1)
    schedule = CosineAnnealingLR(optimizer, T_max=EPOCHS * 3)
    for epoch in range(EPOCHS):
        for x, y in DataLoader(data, batch_size=8, sampler=loader.order(epoch).tolist(), drop_last=False):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(plain(x), y)
            loss.backward()
            optimizer.step()
            schedule.step()
            expected.append(loss.item())
    assert len(expected) == EPOCHS * 3
    assert losses == pytest.approx(expected, abs=1e-6)
    assert expected[-1] < expected[0] - 0.1


@pytest.mark.parametrize("world", [2, 3, 5])
def test_ranks_have_slices_of_the_same_batches(world: int) -> None:
    loader = loader_of(21, 8, augmentation=Augmentation({"hflip": 0.5, "shift": 1}), drop_last=False)
    whole = [(b.images.clone(), b.targets) for b in loader.training_epoch(1)]
    parts = [list(map(_copied, loader.shard(Ranks(n, world)).training_epoch(1))) for n in range(world)]
    for number, (images, targets) in enumerate(whole):
        mine = [part[number] for part in parts]
        assert torch.equal(torch.cat([b.images for b in mine]), images)
        assert all(torch.equal(b.targets, targets) for b in mine)
        assert [b.share for b in mine] == [Ranks(n, world).local_slice(len(images)) for n in range(world)]


def _copied(batch: Batch) -> Batch:
    return Batch(batch.images.clone(), batch.targets, batch.index, batch.share)


def test_a_last_batch_with_fewer_images_than_ranks_is_refused() -> None:
    augmentation = Augmentation({})
    loader_of(17, 8, augmentation=augmentation).shard(Ranks(0, 2))
    with pytest.raises(UserError, match=r"A batch of 1 image\(s\) cannot be shared by 2 devices.*drop_last=true"):
        loader_of(17, 8, augmentation=augmentation, drop_last=False).shard(Ranks(0, 2))


def test_more_micro_batches_than_images_in_the_last_batch() -> None:
    images, targets = torch.randn(3, 3, 8, 8), torch.tensor([0, 4, 1])
    task = SimpleNamespace(loss=lambda model, batch, loss: loss(model(batch.images), batch.targets))
    found = []
    for parts in (1, 8):
        model = network().eval()
        gradients = StepRunner(task, nn.CrossEntropyLoss(), SingleDeviceFabric(CPU, "fp32"), model, CPU)
        gradients.parts = parts
        loss = gradients(model, Batch(images, targets, np.arange(3)))
        found.append([loss, *(p.grad for p in model.parameters())])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("stop", [2, 6, 7])
def test_a_run_goes_on_exactly(tiny_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int) -> None:
    """Stopped in the middle of an epoch, before its last batch, and after it."""
    whole = execute(plan_of(tiny_root, tmp_path / "whole"), lambda event: None)
    samples = whole["plan"]["protocol"]["split_sizes"]["train"]
    assert samples % 8
    assert whole["train"]["steps"] == EPOCHS * -(-samples // 8)
    assert whole["train"]["samples"] == EPOCHS * samples
    monkeypatch.setattr(trainer, "PROGRESS_SECONDS", -1.0)
    calls, plan = iter(range(10**6)), plan_of(tiny_root, tmp_path / "parts")
    with pytest.raises(trainer.Interrupted):
        execute(plan, lambda event: None, lambda: next(calls) >= stop - 1)
    rest = execute(plan, lambda event: None)
    assert [e["train_loss"] for e in rest["train"]["curve"]] == [e["train_loss"] for e in whole["train"]["curve"]]
    assert rest["artifacts"]["predictions"]["sha256"] == whole["artifacts"]["predictions"]["sha256"]


def test_one_image_that_batch_norm_refuses_is_told_before_training(
    tiny_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def normalized(context: Any) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(3 * 64 * 64, 4), nn.BatchNorm1d(4), nn.Linear(4, 10))

    monkeypatch.setattr("rsbench_scenes.network.tiny_cnn", normalized)
    samples = plan_of(tiny_root, tmp_path).protocol["split_sizes"]["train"]
    batch = next(b for b in range(2, samples) if samples % b == 1)
    record = execute(plan_of(tiny_root, tmp_path / "kept", batch=batch), lambda event: None)
    assert record["error"]["stage"] == "preflight"
    assert "Expected more than 1 value per channel" in record["error"]["message"]
    assert "leave it out (--set drop_last=true)" in record["error"]["message"]
    record = execute(plan_of(tiny_root, tmp_path / "dropped", batch=batch, drop_last=True), lambda event: None)
    assert record["status"] == "ok"


def test_plans_without_it_are_what_they_were(tiny_root: Path, tmp_path: Path) -> None:
    default, kept = plan_of(tiny_root, tmp_path, drop_last=True), plan_of(tiny_root, tmp_path)
    assert "drop_last" not in default.recipe
    assert kept.recipe["drop_last"] is False
    assert kept.run_id != default.run_id
    for wrong in ("no", 0, None):
        with pytest.raises(UserErrors, match="'drop_last' is true or false"):
            plan_of(tiny_root, tmp_path, drop_last=wrong)


def test_the_last_batch_is_a_shape_to_compile_for(tiny_root: Path, tmp_path: Path) -> None:
    plan = plan_of(tiny_root, tmp_path, augmentation={"sizes": [[32, 1]]})
    assert (shapes_of(plan, True, False), shapes_of(plan, True, True)) == (2, 4)


def test_what_the_author_of_bmta_keeps() -> None:
    found = registry()
    kept = {name for name, spec in found.specs("recipe").items() if not spec.drop_last}
    bmta = {r for m in ("baseline-cnn", "cbam-cnn", "bmta") for r in found.get("model", m).recipes}
    assert (
        kept
        == bmta
        == {
            "baseline-cnn-author",
            "cbam-cnn-author",
            "bmta-author",
            "bmta-author-erase",
            "bmta-author-plain",
        }
    )
