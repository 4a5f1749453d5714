"""Augmentation of whole batches, one draw per sample.

Every draw is a pure function of (seed, epoch, sample), so resuming, batch size and world size change nothing.  Flips
and quarter turns act on the stored integers, the rest on float images in stored units.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F

from rsbench.errors import UserError, did_you_mean

# One column of uniform draws per decision.  What a sample draws depends on how many columns a stream has, so this one
# stays as it is, and new columns have a stream of their own.
COLUMNS: Final = (
    "hflip",
    "vflip",
    "quarter_turns",
    "shift_x",
    "shift_y",
    "rotation",
    "scale",
    "brightness",
    "contrast",
    "saturation",
    "hue",
    "blur",
    "erase",
    "erase_x",
    "erase_y",
    "erase_size",
)
ADDED_COLUMNS: Final = ("color_jitter_order",)
NAMES: Final = (
    "hflip",
    "vflip",
    "quarter_turns",
    "shift",
    "rotation",
    "scale",
    "interpolation",
    "color_jitter",
    "color_jitter_order",
    "blur",
    "erase",
    "sizes",
)
# How something is done that others ask for; the first is what is done by default.
CHOICES: Final = {"interpolation": ("bilinear", "nearest"), "color_jitter_order": ("fixed", "random")}
_ON_INTEGERS: Final = ("hflip", "vflip", "quarter_turns")
_COLUMN: Final = {name: i for i, name in enumerate((*COLUMNS, *ADDED_COLUMNS))}
_JITTER_ORDERS: Final = np.array(list(itertools.permutations(range(4))))


def draw(seed: int, epoch: int, samples: int) -> np.ndarray:
    """Return uniform draws float32 [samples, len(COLUMNS) + len(ADDED_COLUMNS)] in [0, 1) for one epoch."""
    streams = ((epoch, COLUMNS), (epoch + 2**33, ADDED_COLUMNS))  # the loader's order is drawn from epoch + 2**32
    keys = ((np.random.Philox(key=[seed & (2**64 - 1), word]), len(columns)) for word, columns in streams)
    drawn = [np.random.Generator(key).random((samples, columns), dtype=np.float32) for key, columns in keys]
    return np.concatenate(drawn, axis=1)


class Augmentation:
    """The augmentation of a recipe.

    Args:
        settings: name -> strength: ``hflip`` and ``vflip`` (probability), ``quarter_turns`` (bool), ``shift`` (pixels,
            reflected at the border), ``rotation`` (degrees, uniform in +-), ``scale`` ([low, high] zoom),
            ``interpolation`` (of these two: ``bilinear``, the default, or ``nearest``),
            ``color_jitter`` ([brightness, contrast, saturation, hue], RGB only), ``color_jitter_order`` (``fixed``: as
            listed, the default, or ``random``: drawn for each image), ``blur`` ([low, high] sigma of a 3x3 Gaussian),
            ``erase`` (probability of blanking a rectangle of 2-20 % of the area), ``sizes`` ([[pixels, epochs], ...]:
            train that many epochs on images made so small, one entry after another, then on the full size).
        top: the largest value of the stored unit (255 for uint8), to which colors are relative.

    Raises:
        UserError: a name or a choice is not one of these, or ``sizes`` are not pairs of whole numbers above 0.
    """

    def __init__(self, settings: Mapping[str, Any], top: float = 255.0) -> None:
        for name in settings:
            if name not in NAMES:
                raise UserError(
                    f"'{name}' is not an augmentation.{did_you_mean(name, NAMES)} Known: {', '.join(NAMES)}."
                )
        self.settings = {k: v for k, v in settings.items() if v not in (None, False, 0)}
        self.chosen = {name: self._choice(name) for name in CHOICES}
        self.top = top
        self.sizes = checked_sizes(self.settings.get("sizes", []))
        self.has_dihedral = bool(self.settings.keys() & _ON_INTEGERS)
        self.geometric = bool({"rotation", "scale"} & self.settings.keys())

    def _choice(self, name: str) -> str:
        known = CHOICES[name]
        value = self.settings.get(name, known[0])
        if value not in known:
            raise UserError(f"augmentation.{name} is {' or '.join(known)}; '{value}' is not.")
        return str(value)

    def dihedral_codes(self, draws: np.ndarray) -> np.ndarray:
        """Return one of 8 codes per sample, int64 [B]: bit 0 transposes, bit 1 flips columns, bit 2 flips rows.

        The three compose in that order; a quarter turn by 90 degrees is code 5 and equals ``torch.rot90``.
        """
        columns = (draws[:, _COLUMN["hflip"]] < float(self.settings.get("hflip", 0.0))).astype(np.int64)
        rows = (draws[:, _COLUMN["vflip"]] < float(self.settings.get("vflip", 0.0))).astype(np.int64)
        transpose = np.zeros_like(columns)
        if self.settings.get("quarter_turns"):
            quarter = (draws[:, _COLUMN["quarter_turns"]] * 4).astype(np.int64)
            transpose = quarter & 1
            columns ^= (quarter >> 1) & 1
            rows ^= ((quarter + 1) >> 1) & 1
        return transpose | columns << 1 | rows << 2

    def on_floats(self, images: torch.Tensor, draws: np.ndarray) -> torch.Tensor:
        """Apply everything but flips and turns to float32 ``images`` [B, C, H, W] in stored units."""
        s = self.settings
        if "shift" in s:
            images = shift(images, draws[:, _COLUMN["shift_x"]], draws[:, _COLUMN["shift_y"]], int(s["shift"]))
        if self.geometric:
            images = rotate_and_scale(images, *self._angles_and_zooms(draws), self.chosen["interpolation"])
        if "color_jitter" in s:
            images = color_jitter(images, draws, s["color_jitter"], self.top, self.chosen["color_jitter_order"])
        if "blur" in s:
            images = blur(images, draws[:, _COLUMN["blur"]], s["blur"])
        if "erase" in s:
            images = erase(images, draws, float(s["erase"]))
        return images

    def side(self, epoch: int) -> int | None:
        """Return the side in pixels that images have in *epoch* (from 0); ``None`` is the full size."""
        for pixels, epochs in self.sizes:
            if epoch < epochs:
                return pixels
            epoch -= epochs
        return None

    @property
    def acts_on_floats(self) -> bool:
        """Whether anything is left to do after flips and turns."""
        return bool(self.settings.keys() - {*_ON_INTEGERS, *CHOICES, "sizes"})

    def _angles_and_zooms(self, draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        degrees = float(self.settings.get("rotation", 0.0))
        low, high = self.settings.get("scale", (1.0, 1.0))
        angles = np.deg2rad((draws[:, _COLUMN["rotation"]] * 2 - 1) * degrees)
        return angles, low + draws[:, _COLUMN["scale"]] * (high - low)


def checked_sizes(sizes: Any) -> list[tuple[int, int]]:
    """Return ``sizes`` as pairs (pixels, epochs).

    Raises:
        UserError: they are something else.
    """
    pairs = sizes if isinstance(sizes, (list, tuple)) else [sizes]
    if not all(
        isinstance(p, (list, tuple)) and len(p) == 2 and all(type(n) is int and n > 0 for n in p) for p in pairs
    ):
        raise UserError(f"augmentation.sizes are pairs [pixels, epochs] of whole numbers, not {sizes}.")
    return [(pixels, epochs) for pixels, epochs in pairs]


def apply_turn(images: torch.Tensor, code: int) -> torch.Tensor:
    """Return square ``images`` [..., S, S] turned by one code of :meth:`Augmentation.dihedral_codes`."""
    if code & 1:
        images = images.transpose(-1, -2)
    dims = [d for d, bit in ((-1, 2), (-2, 4)) if code & bit]
    return torch.flip(images, dims) if dims else images


def shift(images: torch.Tensor, u: np.ndarray, v: np.ndarray, pixels: int) -> torch.Tensor:
    """Move each image by up to +-``pixels`` in x (draw ``u``) and y (draw ``v``), reflecting at the border.

    Args:
        images: [B, C, H, W], any dtype.
        u, v: draws [B] in [0, 1).
        pixels: the largest shift.
    """
    b, _, height, width = images.shape
    rows = _moved_index(v, pixels, height).to(images.device, non_blocking=True)
    columns = _moved_index(u, pixels, width).to(images.device, non_blocking=True)
    batch = torch.arange(b, device=images.device)[:, None, None]
    return images.permute(0, 2, 3, 1)[batch, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _moved_index(draws: np.ndarray, pixels: int, length: int) -> torch.Tensor:
    move = (draws * (2 * pixels + 1)).astype(np.int64) - pixels
    index = np.abs(np.arange(length)[None, :] + move[:, None])
    return torch.from_numpy(np.where(index >= length, 2 * (length - 1) - index, index))


def rotate_and_scale(
    images: torch.Tensor, angles: np.ndarray, zooms: np.ndarray, interpolation: str = "bilinear"
) -> torch.Tensor:
    """Rotate by ``angles`` (radians, counter-clockwise) and enlarge by ``zooms`` about the center; outside is 0.

    Args:
        images: [B, C, H, W].
        angles, zooms: [B].
        interpolation: ``bilinear`` or ``nearest``.
    """
    cos, sin = np.cos(angles) / zooms, np.sin(angles) / zooms
    zero = np.zeros_like(cos)
    theta = np.stack([np.stack([cos, -sin, zero], 1), np.stack([sin, cos, zero], 1)], 1).astype(np.float32)
    matrices = torch.from_numpy(theta).to(images.device, non_blocking=True)
    grid = F.affine_grid(matrices, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode=interpolation, padding_mode="zeros", align_corners=False)


def color_jitter(
    images: torch.Tensor, draws: np.ndarray, strengths: Any, top: float, order: str = "fixed"
) -> torch.Tensor:
    """Change brightness, contrast, saturation and hue, each factor uniform as in torchvision's ColorJitter.

    Args:
        top: the largest value of the stored unit.
        images: [B, 3, H, W], from 0 to ``top``.
        draws: [B, columns], as :func:`draw` gives them.
        strengths: of the four.
        order: ``fixed``, as named above, or ``random``, one of the 24 orders for each image, as torchvision does.

    Raises:
        UserError: the images are not RGB.
    """
    if images.shape[1] != 3:
        raise UserError(
            "color_jitter needs 3 bands (RGB): drop it from the recipe with --set augmentation.color_jitter=0"
        )
    from kornia import enhance

    def factor(name: str, strength: float, center: float) -> torch.Tensor:
        values = center + (draws[:, _COLUMN[name]] * 2 - 1) * strength
        return torch.from_numpy(values.astype(np.float32)).to(images.device, non_blocking=True)

    brightness, contrast, saturation, hue = (float(x) for x in strengths)
    unit = images / top
    steps = [
        (enhance.adjust_brightness_accumulative, factor("brightness", brightness, 1.0)),
        (enhance.adjust_contrast_with_mean_subtraction, factor("contrast", contrast, 1.0)),
        (enhance.adjust_saturation_with_gray_subtraction, factor("saturation", saturation, 1.0)),
    ]
    if hue:
        steps.append((enhance.adjust_hue, factor("hue", hue * 2 * np.pi, 0.0)))
    if order == "fixed":
        for change, factors in steps:
            unit = change(unit, factors)
    else:
        _change_in_order(unit, steps, _JITTER_ORDERS[(draws[:, _COLUMN["color_jitter_order"]] * 24).astype(np.int64)])
    return unit.clamp_(0, 1).mul_(top)


def _change_in_order(images: torch.Tensor, steps: Sequence[tuple[Any, torch.Tensor]], orders: np.ndarray) -> None:
    """Change images [B, ...] in place by steps (function, factors [B]), those of a row of ``orders`` [B, n] in turn."""
    for place in orders.T:
        for number, (change, factors) in enumerate(steps):
            rows = torch.from_numpy(np.flatnonzero(place == number)).to(images.device, non_blocking=True)
            if len(rows):
                changed = change(images.index_select(0, rows), factors.index_select(0, rows))
                images.index_copy_(0, rows, changed)


def blur(images: torch.Tensor, draws: np.ndarray, sigmas: Any) -> torch.Tensor:
    """Blur each image with a 3x3 Gaussian whose sigma is uniform in ``sigmas`` (pixels), reflecting at the border.

    As kornia's ``gaussian_blur2d``, which looks at the sigmas first and so waits for a GPU.
    """
    low, high = (float(x) for x in sigmas)
    beside = np.exp(-0.5 / (low + draws * (high - low)) ** 2)
    share = torch.from_numpy((beside / (1 + 2 * beside)).astype(np.float32)).to(images.device, non_blocking=True)
    images = F.pad(images, (1, 1, 1, 1), mode="reflect")
    for dim in (2, 3):
        before, here, after = (images.narrow(dim, k, images.shape[dim] - 2) for k in range(3))
        images = here + share[:, None, None, None] * (before + after - 2 * here)
    return images


def erase(images: torch.Tensor, draws: np.ndarray, probability: float) -> torch.Tensor:
    """Set a square of 2-20 % of the area to 0 in a share ``probability`` of the images (random erasing)."""
    _, _, height, width = images.shape
    hit = draws[:, _COLUMN["erase"]] < probability
    side = np.sqrt(0.02 + 0.18 * draws[:, _COLUMN["erase_size"]])
    x0, y0 = draws[:, _COLUMN["erase_x"]] * (1 - side), draws[:, _COLUMN["erase_y"]] * (1 - side)
    ys, xs = (np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width
    inside_y = (ys >= y0[:, None]) & (ys < (y0 + side)[:, None])
    inside_x = (xs >= x0[:, None]) & (xs < (x0 + side)[:, None])
    mask = hit[:, None, None] & inside_y[:, :, None] & inside_x[:, None, :]
    return images.masked_fill(torch.from_numpy(mask)[:, None].to(images.device, non_blocking=True), 0.0)
