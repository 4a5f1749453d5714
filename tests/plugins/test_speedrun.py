from __future__ import annotations

from typing import Any

import pytest
import torch
from rsbench_speedrun.network import (
    Convolution,
    Speedrun,
    WhitenedPatches,
    cosines,
    slowest_waves,
    speedrun,
    symmetries,
)
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from rsbench.engine.input.augmentation import apply_turn
from rsbench.registry import registry
from rsbench.specs import load_attribute
from rsbench.tasks.context import ModelContext

CONTEXT = ModelContext(task="classification", channels=3, size=64, classes=tuple("abcdefghij"))


def built(name: str, **options: Any) -> Speedrun:
    spec = registry().get("model", name)
    torch.manual_seed(0)
    model = load_attribute(spec.factory)(CONTEXT, **({k: o.default for k, o in spec.options.items()} | options))
    return model


def flops(model: Speedrun) -> int:
    with FlopCounterMode(display=False) as counter:
        model.eval()(torch.zeros(1, 3, 64, 64))
    return int(counter.get_total_flops())


@pytest.mark.parametrize("name", ["speedrun", "speedrun-long"])
def test_size_is_as_declared(name: str) -> None:
    model = built(name)
    assert sum(p.numel() for p in model.parameters()) == registry().get("model", name).params
    assert registry().get("recipe", name).validate_from <= registry().get("recipe", name).epochs


def test_one_view_takes_88_million_operations_and_eight_take_eight_times_that() -> None:
    one = flops(built("speedrun", views=1))
    assert one < 88e6
    assert flops(built("speedrun")) == 8 * one


@pytest.mark.parametrize(("size", "channels"), [(64, 3), (32, 3), (64, 13)])
def test_logits(size: int, channels: int) -> None:
    context = ModelContext(task="classification", channels=channels, size=size, classes=tuple("abcd"))
    model = speedrun(context)
    images = torch.randn(2, channels, size, size)
    for training in (True, False):
        assert model.train(training)(images).shape == (2, 4)


def test_cosines_equal_scipy() -> None:
    from scipy.fft import dct

    for n in (3, 4):
        assert torch.allclose(cosines(n), torch.from_numpy(dct(torch.eye(n).numpy(), axis=0, norm="ortho")), atol=1e-6)


def changes_of_sign(wave: torch.Tensor) -> int:
    """Over channels, rows and columns together: a wave of frequency n crosses zero n times."""
    lines = [torch.linalg.svd(wave.movedim(d, 0).flatten(1))[0][:, 0] for d in range(3)]
    return sum(int((line.sign().diff() != 0).sum()) for line in lines)


@pytest.mark.parametrize(("channels", "kept"), [(1, 16), (3, 24), (13, 24)])
def test_waves_are_orthonormal_and_the_slowest(channels: int, kept: int) -> None:
    waves = slowest_waves(channels)
    assert waves.shape == (kept, channels, 4, 4)
    assert torch.allclose(waves.flatten(1) @ waves.flatten(1).T, torch.eye(kept), atol=1e-5)
    assert torch.allclose(waves[0], torch.full((channels, 4, 4), (16 * channels) ** -0.5), atol=1e-6)
    frequencies = [changes_of_sign(wave) for wave in waves]
    assert frequencies == sorted(frequencies)


def photographs(count: int) -> torch.Tensor:
    """Images [count, 3, 64, 64] with the correlations of photographs: neighbors .95 alike, colors .9."""
    places = torch.arange(64)
    along = torch.linalg.cholesky(0.95 ** (places[:, None] - places).abs().double())
    colors = torch.linalg.cholesky(0.1 * torch.eye(3).double() + 0.9)
    noise = torch.randn(count, 3, 64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return torch.einsum("kc,yi,xj,bcij->bkyx", colors, along, along, noise).float()


def test_waves_of_photographs_are_white_and_their_pixels_are_not() -> None:
    images = photographs(200)
    patches = WhitenedPatches(3).train()
    positive, negative = patches(images).chunk(2, dim=1)
    white = (positive - negative).movedim(1, 0).flatten(1)
    raw = nn.functional.pixel_unshuffle(images, 4).movedim(1, 0).flatten(1)
    assert torch.allclose(white.mean(1), torch.zeros(24), atol=1e-3)
    assert torch.allclose(white.var(1), torch.ones(24), atol=0.02)
    off = torch.cov(white) - torch.eye(24)
    assert off.abs().max() < 0.2
    assert torch.linalg.cond(torch.cov(white)) < 3
    assert torch.linalg.cond(torch.cov(raw)) > 500


def test_waves_hold_nearly_what_as_many_principal_components_hold() -> None:
    patches = nn.functional.pixel_unshuffle(photographs(200), 4).movedim(1, 0).flatten(1).double()
    covariance = torch.cov(patches)
    basis = slowest_waves(3).flatten(1).double()
    held = torch.trace(basis @ covariance @ basis.T)
    assert held > 0.99 * torch.linalg.eigvalsh(covariance)[-24:].sum()


def test_filters_that_widen_start_as_the_identity() -> None:
    images = torch.randn(2, 4, 8, 8)
    assert torch.equal(Convolution(4, 6)(images)[:, :4], images)
    assert torch.allclose(Convolution(6, 4)(images[:, [0, 1, 2, 3, 0, 1]]), images)


def test_symmetries_are_those_of_the_augmentation() -> None:
    images = torch.arange(2 * 3 * 16).view(2, 3, 4, 4)
    found = {tuple(view.flatten().tolist()) for view in symmetries(images)}
    assert found == {tuple(apply_turn(images, code).flatten().tolist()) for code in range(8)}
    assert torch.equal(symmetries(images)[0], images)


@pytest.mark.parametrize("views", [1, 2, 4, 8])
def test_evaluation_averages_views_and_training_does_not(views: int) -> None:
    model = built("speedrun", views=views)
    images = torch.randn(4, 3, 64, 64)
    with torch.no_grad():
        model.train()(images)  # running statistics
        one = built("speedrun", views=1)
        one.load_state_dict(model.state_dict())
        explicit = [one.eval()(view) for view in symmetries(images)[:views]]
        assert torch.allclose(model.eval()(images), sum(explicit) / views, atol=1e-5)
        assert torch.allclose(model.train()(images), one.train()(images), atol=1e-6)


def test_all_eight_views_give_every_turned_image_the_same_logits() -> None:
    model, images = built("speedrun").eval(), torch.randn(4, 3, 64, 64)
    with torch.no_grad():
        logits = [model(apply_turn(images, code)) for code in range(8)]
    assert all(torch.allclose(logits[0], other, atol=1e-5) for other in logits)
    with torch.no_grad():
        single = built("speedrun", views=1).eval()
        assert not torch.allclose(single(images), single(images.flip(3)), atol=1e-3)


def test_a_seed_decides_everything() -> None:
    models = [built("speedrun"), built("speedrun")]
    images = torch.randn(8, 3, 64, 64)
    for model in models:
        model.train()(images).square().sum().backward()
    for a, b in zip(*(m.parameters() for m in models), strict=True):
        assert torch.equal(a, b)
        assert torch.equal(a.grad, b.grad)  # type: ignore[arg-type]


def test_gradients_reach_every_parameter() -> None:
    model = built("speedrun")
    model.train()(torch.randn(8, 3, 64, 64)).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
