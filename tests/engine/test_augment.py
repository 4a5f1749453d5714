from __future__ import annotations

import itertools
import zlib
from typing import Any

import numpy as np
import pytest
import torch

from rsbench.engine.input.augmentation import (
    ADDED_COLUMNS,
    COLUMNS,
    Augmentation,
    apply_turn,
    blur,
    color_jitter,
    draw,
    erase,
    rotate_and_scale,
    shift,
)
from rsbench.errors import UserError


def test_draws_depend_on_seed_epoch_and_sample_alone() -> None:
    assert np.array_equal(draw(3, 1, 50)[:20], draw(3, 1, 20))
    assert not np.array_equal(draw(3, 1, 20), draw(3, 2, 20))
    assert not np.array_equal(draw(3, 1, 20), draw(4, 1, 20))
    assert draw(0, 0, 100_000).mean() == pytest.approx(0.5, abs=0.002)


def test_draws_of_earlier_versions_stay_what_they_were() -> None:
    """Bytes as the first records' version drew them, on any processor."""
    assert [zlib.crc32(draw(7, epoch, 100)[:, :16].tobytes()) for epoch in (0, 5)] == [3204490382, 2669309546]
    assert (len(COLUMNS), draw(7, 0, 100).shape) == (16, (100, 16 + len(ADDED_COLUMNS)))


@pytest.mark.parametrize("quarter", [0, 1, 2, 3])
def test_quarter_turn_equals_rot90(quarter: int) -> None:
    draws = np.full((1, len(COLUMNS)), 0.999, dtype=np.float32)
    draws[0, COLUMNS.index("quarter_turns")] = quarter / 4 + 0.1
    code = int(Augmentation({"quarter_turns": True}).dihedral_codes(draws)[0])
    image = torch.arange(2 * 3 * 5 * 5).view(2, 3, 5, 5)
    assert torch.equal(apply_turn(image, code), torch.rot90(image, quarter, (2, 3)))


def test_all_eight_symmetries_come_equally_often_and_differ() -> None:
    augmentation = Augmentation({"hflip": 0.5, "vflip": 0.5, "quarter_turns": True})
    shares = np.bincount(augmentation.dihedral_codes(draw(0, 0, 80_000)), minlength=8) / 80_000
    assert np.allclose(shares, 1 / 8, atol=0.005)
    image = torch.arange(16).view(1, 1, 4, 4)
    assert len({tuple(apply_turn(image, code).flatten().tolist()) for code in range(8)}) == 8


def test_flip_probability() -> None:
    codes = Augmentation({"hflip": 0.3}).dihedral_codes(draw(0, 0, 50_000))
    assert set(np.unique(codes)) == {0, 2}
    assert (codes == 2).mean() == pytest.approx(0.3, abs=0.01)


def test_shift_moves_by_whole_pixels_and_reflects() -> None:
    images = torch.rand(1, 2, 8, 8)
    u, v = np.array([0.999]), np.array([0.0])  # +2 in the column index, -2 in the row index
    moved = shift(images, u, v, 2)
    padded = torch.nn.functional.pad(images, (2, 2, 2, 2), mode="reflect")
    assert torch.equal(moved, padded[:, :, 0:8, 4:12])


def test_rotation_by_quarter_turn_and_identity() -> None:
    images = torch.rand(2, 3, 16, 16)
    turned = rotate_and_scale(images, np.full(2, np.pi / 2), np.ones(2))
    matches = [torch.allclose(turned, torch.rot90(images, k, (2, 3)), atol=1e-4) for k in (1, 3)]
    assert any(matches)
    assert torch.allclose(rotate_and_scale(images, np.zeros(2), np.ones(2)), images, atol=1e-5)


@pytest.mark.parametrize(("mode", "share"), [("nearest", 2e-4), ("bilinear", 0.0)])
def test_rotation_equals_torchvision(mode: str, share: float) -> None:
    """With ``nearest`` some pixels that lie between two are rounded to the other."""
    from torchvision.transforms.v2 import InterpolationMode
    from torchvision.transforms.v2.functional import rotate

    images, degrees = torch.randint(0, 256, (60, 3, 64, 64)).float(), np.linspace(-90, 90, 60) + 0.1
    ours = rotate_and_scale(images, np.deg2rad(degrees), np.ones(60), mode)
    pairs = zip(images, degrees.tolist(), strict=True)
    theirs = torch.stack([rotate(image, angle, InterpolationMode(mode)) for image, angle in pairs])
    differ = (ours - theirs).abs().amax(1) > 0.01
    assert differ.float().mean() <= share
    if mode == "nearest":
        assert ours.frac().count_nonzero() == 0  # no value that was not there


def test_zoom_enlarges_about_the_center() -> None:
    images = torch.zeros(1, 1, 32, 32)
    images[:, :, 12:20, 12:20] = 1
    zoomed = rotate_and_scale(images, np.zeros(1), np.array([2.0]))
    assert zoomed.sum().item() == pytest.approx(16 * 16, rel=0.05)


def test_color_jitter_without_strength_changes_nothing() -> None:
    images = torch.rand(4, 3, 8, 8) * 255
    assert torch.allclose(color_jitter(images, draw(0, 0, 4), (0, 0, 0, 0), 255.0), images, atol=1e-3)
    changed = color_jitter(images, draw(0, 0, 4), (0.3, 0.3, 0.3, 0.1), 255.0)
    assert changed.min() >= 0
    assert changed.max() <= 255
    assert not torch.allclose(changed, images, atol=1.0)


def test_brightness_factor_matches_torchvision() -> None:
    from torchvision.transforms.v2.functional import adjust_brightness

    images = torch.rand(1, 3, 8, 8) * 255
    draws = draw(5, 0, 1)
    factor = 1 + (float(draws[0, COLUMNS.index("brightness")]) * 2 - 1) * 0.3
    expected = adjust_brightness(images / 255, factor) * 255
    assert torch.allclose(color_jitter(images, draws, (0.3, 0, 0, 0), 255.0), expected, atol=1e-2)


def test_jitter_in_random_order_equals_torchvision() -> None:
    """Each image by torchvision's four operations in its own order; the draws say which order and which factors."""
    from torchvision.transforms.v2 import functional

    images, draws = torch.randint(0, 256, (96, 3, 16, 16)).float(), draw(3, 0, 96)
    orders = list(itertools.permutations(("brightness", "contrast", "saturation", "hue")))
    strengths = {"brightness": (0.3, 1.0), "contrast": (0.3, 1.0), "saturation": (0.3, 1.0), "hue": (0.1, 0.0)}
    expected = []
    for image, row in zip(images / 255, draws.tolist(), strict=True):
        for name in orders[int(row[len(COLUMNS)] * 24)]:
            strength, center = strengths[name]
            factor = center + (2 * row[COLUMNS.index(name)] - 1) * strength
            image = getattr(functional, f"adjust_{name}")(image, factor)
        expected.append(image * 255)
    found = color_jitter(images, draws, (0.3, 0.3, 0.3, 0.1), 255.0, "random")
    assert (found - torch.stack(expected)).abs().max() < 0.03
    assert (found - color_jitter(images, draws, (0.3, 0.3, 0.3, 0.1), 255.0)).abs().max() > 5


def test_all_orders_come_equally_often() -> None:
    drawn = np.bincount((draw(0, 0, 96_000)[:, len(COLUMNS)] * 24).astype(int), minlength=24)
    assert np.allclose(drawn / 4_000, 1, atol=0.08)


def test_an_order_without_hue() -> None:
    images, draws = torch.rand(8, 3, 8, 8) * 255, draw(0, 0, 8)
    assert torch.allclose(color_jitter(images, draws, (0, 0, 0, 0), 255.0, "random"), images, atol=1e-3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"rotation": 9, "interpolation": "cubic"},
            "augmentation.interpolation is bilinear or nearest; 'cubic' is not",
        ),
        ({"color_jitter_order": "drawn"}, "augmentation.color_jitter_order is fixed or random; 'drawn' is not"),
    ],
)
def test_other_choices_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Augmentation(settings)


def test_choices_do_nothing_by_themselves() -> None:
    settings = {"rotation": 0, "interpolation": "nearest", "color_jitter": None, "color_jitter_order": "random"}
    assert not Augmentation({"hflip": 0.5, **settings}).acts_on_floats
    assert Augmentation(settings | {"rotation": 5}).acts_on_floats


def test_color_jitter_needs_rgb() -> None:
    with pytest.raises(UserError, match="3 bands"):
        color_jitter(torch.rand(1, 13, 8, 8), draw(0, 0, 1), (0.1, 0, 0, 0), 255.0)


def test_blur_keeps_the_mean_and_removes_detail() -> None:
    images = torch.rand(2, 3, 32, 32)
    soft = blur(images, np.ones(2, dtype=np.float32), (0.1, 2.0))
    assert soft.mean().item() == pytest.approx(images.mean().item(), abs=0.01)
    assert soft.std() < 0.6 * images.std()


def test_blur_equals_kornia() -> None:
    from kornia.filters import gaussian_blur2d

    images, draws = torch.rand(5, 3, 16, 16) * 255, np.linspace(0, 1, 5, dtype=np.float32)
    sigma = torch.from_numpy(0.1 + 1.9 * draws)[:, None].expand(-1, 2)
    theirs = gaussian_blur2d(images, (3, 3), sigma, border_type="reflect")
    assert torch.allclose(blur(images, draws, (0.1, 2.0)), theirs, atol=1e-3)


def test_erase_blanks_two_to_twenty_percent() -> None:
    images = torch.ones(500, 1, 64, 64)
    blank = (erase(images, draw(0, 0, 500), 1.0) == 0).float().mean((1, 2, 3))
    assert 0.015 < blank.min() < 0.06
    assert 0.15 < blank.max() < 0.22
    assert (erase(images, draw(0, 0, 500), 0.0) == 0).sum() == 0


def test_unknown_name_is_refused_with_a_suggestion() -> None:
    with pytest.raises(UserError, match="Did you mean 'hflip'"):
        Augmentation({"hfilp": 0.5})
