"""DropBlock as coded and as published: how much each really drops; and what weight decay alone does to alpha."""

from __future__ import annotations

import math

import pytest
import torch
from rsbench_convnets.bmta import STAGES, make_dropblock
from rsbench_convnets.dropblock import AuthorDropBlock, effective_rate, guard

from rsbench.engine.training.optimizers import Schedule, make_optimizer
from rsbench.registry import registry
from rsbench.specs import to_jsonable

SIZES = (64, 32, 16, 8)
PUBLISHED = {"author": (0.046, 0.085, 0.111, 0.123), "paper": (0.049, 0.094, 0.139, 0.180)}


@pytest.mark.parametrize("kind", ["author", "paper"])
@pytest.mark.parametrize("stage", range(4))
def test_effective_rates(kind, stage):
    p, size = STAGES[stage][3], SIZES[stage]
    rate = effective_rate(make_dropblock(kind, p), size, maps=400 * (stage + 1) ** 2)
    assert rate == pytest.approx(PUBLISHED[kind][stage], rel=0.08)
    guard(make_dropblock(kind, p), p, size)


def test_guard_rejects_timms_dropblock_on_small_maps():
    from timm.layers import DropBlock2d

    assert effective_rate(DropBlock2d(0.2, 7), 8) == pytest.approx(0.847, abs=0.03)
    with pytest.raises(ValueError, match=r"DropBlock2d drops 8\d\.\d% of 8x8 maps at a nominal 20%"):
        guard(DropBlock2d(0.2, 7), 0.2, 8)


def test_author_dropblock_by_a_loop():
    """Every seed zeroes the 7x7 square around it, cut off at the border, in all channels; the mean is kept."""
    module, x = AuthorDropBlock(0.9, 7).train(), torch.rand(3, 4, 11, 13) + 0.5
    torch.manual_seed(1)
    y = module(x)
    torch.manual_seed(1)
    seeds = torch.rand(3, 1, 11, 13) < 0.9 / 49
    keep = torch.ones(3, 1, 11, 13)
    for n, _, i, j in seeds.nonzero().tolist():
        keep[n, 0, max(i - 3, 0) : i + 4, max(j - 3, 0) : j + 4] = 0
    assert 0 < keep.mean() < 1
    torch.testing.assert_close(y, x * keep * keep.numel() / keep.sum())


def test_author_dropblock_evaluates_to_the_identity():
    x = torch.rand(2, 3, 8, 8)
    assert AuthorDropBlock(0.5).eval()(x) is x
    assert AuthorDropBlock(0.0).train()(x) is x


def test_author_dropblock_in_half_precision_keeps_the_mean():
    """More elements than half precision can count (65,504), and a fully dropped batch gives zeros, not NaN."""
    x = torch.ones(64, 2, 64, 64, dtype=torch.float16)
    torch.manual_seed(0)
    y = AuthorDropBlock(0.05).train()(x)
    assert y.dtype == torch.float16
    assert y.float().mean() == pytest.approx(1.0, abs=2e-3)
    assert AuthorDropBlock(49.0).train()(x[:1]).abs().max() == 0


def test_weight_decay_alone_moves_alpha_to_the_reported_value():
    """Without any gradient sigmoid(alpha) falls from .622 to .571 in 60 epochs of the author's recipe.

    The closed form steps the schedule by epochs, as the published figures do; the engine steps by batches.
    """
    recipe = to_jsonable(registry().get("recipe", "bmta-author"))
    steps, published = 296, {15: 0.609, 30: 0.591, 45: 0.5874, 50: 0.581, 55: 0.576, 60: 0.5709, 65: 0.567, 80: 0.5589}
    raw, position, length = 0.5, 0, 15
    by_epoch = {}
    for epoch in range(1, 81):
        lr = recipe["lr"] * 0.5 * (1 + math.cos(math.pi * position / length))
        raw *= (1 - lr * recipe["weight_decay"]) ** steps
        position += 1
        if position == length:
            position, length = 0, 2 * length
        by_epoch[epoch] = 1 / (1 + math.exp(-raw))
    for epoch, value in published.items():
        assert by_epoch[epoch] == pytest.approx(value, abs=6e-4), epoch

    model = torch.nn.Module()
    model.alpha = torch.nn.Parameter(torch.tensor(0.5))
    optimizer = make_optimizer(model, recipe)
    schedule = Schedule(optimizer, recipe, recipe["epochs"], steps)
    model.alpha.grad = torch.zeros(())
    for _ in range(60 * steps):
        optimizer.step()
        schedule.step()
    assert float(torch.sigmoid(model.alpha.detach())) == pytest.approx(0.5709, abs=3e-3)
