"""DropBlock as BMTA's author coded it, and a guard against variants that drop far more than they say."""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from torch import nn

EXCESS: Final = 1.5
MAPS: Final = 500


class AuthorDropBlock(nn.Module):
    """Zeroes square blocks, the same for all channels; seeds fall anywhere with probability p / block^2.

    Blocks at the border are cut off and overlap is not corrected for, so less than ``p`` is dropped: 4.6 / 8.5 / 11.1 /
    12.3 % at the four stages of BMTA for a nominal 5 / 10 / 15 / 20 %.
    """

    def __init__(self, p: float, block: int = 7) -> None:
        super().__init__()
        self.p, self.block = p, block

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Drop blocks of [B, C, H, W] in training and rescale to keep the mean."""
        if not self.training or self.p == 0:
            return x
        shape = (x.shape[0], 1, *x.shape[2:])
        seeds = (torch.rand(shape, device=x.device) < self.p / self.block**2).to(x.dtype)
        keep = 1 - F.max_pool2d(seeds, self.block, stride=1, padding=self.block // 2)
        kept = keep.mean(dtype=torch.float32).clamp_min(1 / keep.numel())  # a sum would overflow half precision
        return x * (keep / kept).to(x.dtype)

    def extra_repr(self) -> str:
        """Show both settings."""
        return f"p={self.p}, block={self.block}"


def effective_rate(module: nn.Module, size: int, maps: int = MAPS) -> float:
    """Return the share of activations that *module* zeroes on ``size`` x ``size`` maps in training, by sampling.

    The global random state is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return float((module.train()(torch.ones(maps, 1, size, size)) == 0).float().mean())


def guard(module: nn.Module, nominal: float, size: int) -> None:
    """Refuse a DropBlock whose effective rate is over 1.5 times its nominal one.

    Raises:
        ValueError: with both rates; timm's DropBlock2d at p = .2 on 8x8 maps drops 85 %.
    """
    rate = effective_rate(module, size)
    if rate > EXCESS * nominal:
        raise ValueError(f"{type(module).__name__} drops {rate:.1%} of {size}x{size} maps at a nominal {nominal:.0%}")
