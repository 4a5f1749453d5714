"""Micro-batches against whole batches, and checkpointed activations against kept ones."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from rsbench_losses.losses import FocalLoss
from rsbench_vqa.training import VqaTargets
from torch import nn

from rsbench.engine.input.loader import Batch
from rsbench.engine.step.activation_checkpointing import checkpoint_activations
from rsbench.engine.step.micro_batches import can_split, slice_batch, split_batch
from rsbench.engine.step.oom_recovery import StepRunner
from rsbench.engine.training.single_device import SingleDeviceFabric
from rsbench.tasks.captioning import CaptionTargets, token_loss
from rsbench.tasks.text import PAD
from rsbench.tasks.vqa import Questions

CPU = torch.device("cpu")
CLASSES = 5
WEIGHTS = torch.tensor([0.1, 1.0, 3.0, 0.5, 2.0])


class Labeling:
    """A task: one label an image."""

    def loss(self, model: Any, batch: Any, loss: Any) -> torch.Tensor:
        return loss(model(batch.images).float(), batch.targets)


class Asking:
    """A task: questions about images, whose answer depends on both."""

    def loss(self, model: Any, batch: Any, loss: Any) -> torch.Tensor:
        questions = batch.targets.questions
        logits = model(batch.images)[questions.image] * (1 + questions.tokens[:, :1])
        return loss(logits, batch.targets.answers)


class Saying:
    """A task: two sentences an image, of different lengths."""

    def loss(self, model: Any, batch: Any, loss: Any) -> torch.Tensor:
        tokens = batch.targets.tokens
        logits = model(batch.images).repeat_interleave(2, 0)[:, None] * (1.0 + tokens[..., None])
        return token_loss(loss, logits, tokens)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, CLASSES))


def images_of(count: int) -> torch.Tensor:
    return torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def labeled(count: int = 7) -> Batch:
    return Batch(images_of(count), torch.arange(count) * 3 % CLASSES, np.arange(count))


def asked() -> Batch:
    image = torch.tensor([0, 0, 1, 2, 2, 2, 4])  # nothing is asked about image 3
    questions = Questions(torch.arange(1, 15).reshape(7, 2), image, torch.zeros(7, dtype=torch.int64))
    targets = VqaTargets(questions, torch.arange(7) % CLASSES, torch.full((7,), torch.nan), np.arange(100, 107))
    return Batch(images_of(5), targets, np.arange(5))


def said() -> Batch:
    tokens = torch.randint(1, CLASSES, (10, 6), generator=torch.Generator().manual_seed(2))
    for row, length in enumerate((6, 2, 3, 4, 5, 6, 2, 2, 3, 6)):
        tokens[row, length:] = PAD
    return Batch(images_of(5), CaptionTargets(tokens, torch.arange(5), 2), np.arange(5))


def gradients_of(task: Any, batch: Batch, loss: Any, parts: int, model: nn.Module) -> tuple[float, list[torch.Tensor]]:
    taken = StepRunner(task, loss, SingleDeviceFabric(CPU, "fp32"), model, CPU)
    taken.parts = parts
    value = float(taken(model, batch))
    return value, [p.grad for p in model.parameters() if p.grad is not None]


@pytest.mark.parametrize(
    ("task", "make", "loss"),
    [
        (Labeling(), labeled, nn.CrossEntropyLoss()),
        (Labeling(), labeled, nn.CrossEntropyLoss(WEIGHTS, label_smoothing=0.1)),
        (Labeling(), labeled, FocalLoss(torch.full((CLASSES,), 2.0), WEIGHTS)),
        (Asking(), asked, nn.CrossEntropyLoss()),
        (Saying(), said, nn.CrossEntropyLoss()),
    ],
    ids=["mean", "class-weights", "focal", "questions", "sentences"],
)
@pytest.mark.parametrize("parts", [2, 3, 5])
def test_gradients_of_parts_are_those_of_the_whole(
    task: Any, make: Callable[[], Batch], loss: nn.Module, parts: int
) -> None:
    if make is asked and parts > 3:
        parts = 3  # a part with image 3 alone has no question
    whole_value, whole = gradients_of(task, make(), loss, 1, network())
    value, found = gradients_of(task, make(), loss, parts, network())
    assert value == pytest.approx(whole_value, abs=1e-6)
    for ours, theirs in zip(found, whole, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)


def test_parts_hold_each_image_once_with_what_is_said_of_it() -> None:
    batch = asked()
    parts = [part.batch for part in split_batch(batch, nn.CrossEntropyLoss(), 3)]
    assert [len(part.index) for part in parts] == [1, 2, 2]
    assert torch.equal(torch.cat([part.images for part in parts]), batch.images)
    assert [part.targets.questions.image.tolist() for part in parts] == [[0, 0], [0, 1, 1, 1], [1]]
    assert np.concatenate([part.targets.index for part in parts]).tolist() == list(range(100, 107))
    sentences = slice_batch(said(), 1, 3).targets
    assert torch.equal(sentences.tokens, said().targets.tokens[2:6])
    assert sentences.labels.tolist() == [1, 2]


def test_unknown_targets_are_not_cut() -> None:
    assert can_split(labeled())
    assert not can_split(labeled(1))
    assert not can_split(Batch(images_of(2), [1, 2], np.arange(2)))
    assert not can_split(object())


def test_one_part_is_one_plain_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is cut, kept or copied in a step once an epoch is under way."""
    for name in ("Snapshot", "split_batch", "checkpoint_activations"):
        monkeypatch.setattr(f"rsbench.engine.step.oom_recovery.{name}", None)
    model, batch = network(), labeled()
    calls: list[int] = []
    model.register_forward_hook(lambda *_: calls.append(1))
    value, found = gradients_of(Labeling(), batch, nn.CrossEntropyLoss(), 1, model)
    expected = nn.CrossEntropyLoss()(model(batch.images), batch.targets)
    assert len(calls) == 2
    assert value == float(expected.detach())
    for ours, theirs in zip(found, torch.autograd.grad(expected, list(model.parameters())), strict=True):
        assert torch.equal(ours, theirs)


class Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.Dropout(0.3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x + self.body(x))


def residual() -> nn.Module:
    layers = [nn.Conv2d(3, 8, 3), Residual(8), Residual(8), nn.AdaptiveAvgPool2d(2), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(32, CLASSES))


def chain() -> nn.Module:
    layers = [nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.SiLU(inplace=True), nn.Dropout(0.3), nn.Conv2d(8, 8, 3)]
    return nn.Sequential(*layers, nn.BatchNorm2d(8), nn.SiLU(inplace=True), nn.Flatten(), nn.Linear(128, CLASSES))


@pytest.mark.parametrize(("make", "blocks"), [(residual, 2), (chain, 3)])
def test_checkpointed_activations_change_no_number(make: Callable[[], nn.Module], blocks: int) -> None:
    torch.manual_seed(0)
    kept = make()
    again = copy.deepcopy(kept)
    names = list(again.state_dict())
    assert checkpoint_activations(again) == blocks
    again = copy.deepcopy(again)  # as preflight and moving averages do
    held: dict[str, int] = {}
    for name, model in (("kept", kept), ("again", again)):
        torch.manual_seed(3)
        total = 0

        def count(tensor: torch.Tensor) -> torch.Tensor:
            nonlocal total
            total += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(count, lambda t: t):
            for _ in range(2):
                nn.functional.cross_entropy(model(labeled().images), labeled().targets).backward()
        held[name] = total
    assert list(again.state_dict()) == names == list(kept.state_dict())
    for (name, ours), theirs in zip(again.state_dict().items(), kept.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs), name
    assert kept.state_dict()[next(n for n in names if n.endswith("num_batches_tracked"))] == 2
    for ours, theirs in zip(again.parameters(), kept.parameters(), strict=True):
        assert ours.grad is not None
        assert theirs.grad is not None
        assert torch.equal(ours.grad, theirs.grad)
    assert held["again"] < held["kept"]


def test_checkpoints_cost_evaluation_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model = residual().eval()
    expected = model(labeled().images).detach()
    assert checkpoint_activations(model) == 2
    monkeypatch.setattr("rsbench.engine.step.activation_checkpointing.checkpoint", None)
    with torch.inference_mode():
        assert torch.equal(model(labeled().images), expected)


@pytest.mark.parametrize(("name", "blocks"), [("resnet18", 8), ("vit_tiny_patch16_224", 12)])
def test_blocks_of_timm_models(name: str, blocks: int) -> None:
    import timm

    assert checkpoint_activations(timm.create_model(name, pretrained=False)) == blocks


def test_a_network_without_blocks_has_no_checkpoints() -> None:
    assert checkpoint_activations(nn.Linear(3, 2)) == 0
    assert checkpoint_activations(nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 2))) == 0
