"""SpatialNet-ViT's heads on backbones of timm and torchvision: shapes, cached steps, gradients, frozen features."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from rsbench_captioners.beam_search import Search, generate
from torch import nn

from rsbench.engine.input.loader import map_state
from rsbench.engine.run.cached_features import encodes_once
from rsbench.errors import UserError
from rsbench.registry import registry
from rsbench.specs import load_attribute
from rsbench.tasks.answers import ANSWERS_LR, TYPES_LR
from rsbench.tasks.captioning import CaptionTargets
from rsbench.tasks.context import ModelContext
from rsbench.tasks.vqa import Questions

SMALL = {"backbone": "timm:test_resnet", "weights": "none", "dim": 32, "heads": 4, "mlp": 64, "dropout": 0.0}
TASKS = ("classification", "captioning", "vqa")


def build(task: str, **options: Any) -> nn.Module:
    spec = registry().get("model", "spatialnet-timm")
    values = {k: o.default for k, o in spec.options.items()} | SMALL | options
    classes = ANSWERS_LR if task == "vqa" else tuple("abcdefg")
    words = tuple(map(str, range(40)))
    context = ModelContext(task, 3, 64, classes, vocabulary=words, max_length=12, question_types=TYPES_LR)
    torch.manual_seed(0)
    return load_attribute(spec.factory)(context, **values)


def images(count: int = 3) -> torch.Tensor:
    return torch.randn(count, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def questions() -> Questions:
    tokens = torch.randint(1, 40, (6, 7), generator=torch.Generator().manual_seed(2))
    return Questions(tokens, torch.tensor([0, 0, 0, 1, 1, 2]), torch.tensor([0, 1, 2, 3, 2, 1]))


def tokens() -> torch.Tensor:
    return torch.randint(4, 40, (6, 9), generator=torch.Generator().manual_seed(3))


def outputs(model: nn.Module, task: str, shown: Any) -> torch.Tensor:
    if task == "classification":
        return model(shown)
    return model(shown, tokens()) if task == "captioning" else model(shown, questions())[0]


@torch.no_grad()
@pytest.mark.parametrize(
    ("backbone", "width", "places"),
    [
        ("timm:test_resnet", 96, 2 * 2),
        ("timm:test_vit", 64, 4 * 4),
        ("torchvision:squeezenet1_0", 512, 3 * 3),
        ("torchvision:resnet18", 512, 2 * 2),
    ],
)
def test_tokens_are_the_projected_places_and_their_mean(backbone: str, width: int, places: int) -> None:
    encoder = build("classification", backbone=backbone).eval().encoder
    found = encoder(images())
    assert found.shape == (3, 1 + places, 32)
    assert encoder.project.in_features == width
    last = encoder.trunk(images())[-1]
    by_hand = torch.stack([encoder.norm(encoder.project(last[:, :, y, x])) for y, x in np.ndindex(*last.shape[2:])], 1)
    torch.testing.assert_close(found[:, 1:], by_hand, rtol=1e-4, atol=1e-5)
    mean = encoder.norm(encoder.project(last.mean((2, 3))))  # the projection is linear
    torch.testing.assert_close(found[:, 0], mean, rtol=1e-4, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize(("task", "shape"), [("classification", (3, 7)), ("captioning", (6, 9, 40)), ("vqa", (6, 9))])
def test_forward_shapes(task: str, shape: tuple[int, ...]) -> None:
    assert outputs(build(task).eval(), task, images()).shape == shape


@torch.no_grad()
def test_cached_steps_equal_the_whole_pass() -> None:
    model = build("captioning").eval()
    whole = model(images(2), tokens())
    state = map_state(model.start(images(2)), lambda t: t.repeat_interleave(3, 0))
    for place in range(9):
        logits, state = model.step(tokens()[:, place], state)
        torch.testing.assert_close(logits, whole[:, place], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("freeze", [True, False])
def test_gradient_reaches_every_parameter(task: str, freeze: bool) -> None:
    model = build(task, freeze=freeze).train()
    if task == "captioning":
        said = CaptionTargets(torch.randint(4, 40, (3, 12)), torch.tensor([0, 1, 2]))
        model.training_loss(images(), said, F.cross_entropy).backward()
    elif task == "vqa":
        answers, counts = torch.tensor([2, 0, 5, 1, 4, 0]), torch.tensor([np.nan, np.nan, 3, np.nan, 0, np.nan])
        model.training_loss(images(), questions(), answers, counts, F.cross_entropy).backward()
    else:
        model(images()).square().mean().backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []
    assert any(n.startswith("encoder.trunk.") for n, _ in model.named_parameters()) is not freeze


@torch.no_grad()
@pytest.mark.parametrize("task", TASKS)
def test_features_of_a_frozen_encoder_stand_for_images(task: str) -> None:
    model = build(task).train()
    assert encodes_once(model, {})
    assert not encodes_once(model, {"hflip": 0.5})
    features = model.encode(images())
    assert torch.equal(outputs(model, task, features), outputs(model, task, images()))
    if task == "captioning":
        search = Search(max_words=6)
        assert torch.equal(generate(model.eval(), features, search), generate(model.eval(), images(), search))
    assert not encodes_once(build(task, freeze=False), {})


def test_heads_that_do_not_divide_the_width_are_one_sentence() -> None:
    with pytest.raises(UserError, match="dim=32 is not a multiple of heads=5"):
        build("vqa", heads=5)
