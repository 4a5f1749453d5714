"""The 12-layer network with balanced attention."""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from timm.layers import SEModule
from timm.layers.coord_attn import CoordAttn
from torch import nn

from rsbench.errors import UserError
from rsbench.tasks.context import ModelContext
from rsbench_convnets.dropblock import AuthorDropBlock, guard
from rsbench_convnets.init import initialize

# (residual blocks, channels, stride of the first block, DropBlock probability)
STAGES: Final = ((3, 64, 1, 0.05), (3, 128, 2, 0.10), (3, 256, 2, 0.15), (2, 512, 2, 0.20))
BLOCK: Final = 7


class BalancedAttention(nn.Module):
    """s * CoordinateAttention(X) + (1 - s) * SqueezeExcitation(X) with one learned s = sigmoid(alpha)."""

    def __init__(self, channels: int, alpha_init: float) -> None:
        super().__init__()
        self.coordinate = CoordAttn(channels, rd_channels=channels // 8, act_layer=nn.ReLU)
        self.squeeze = SEModule(channels, rd_channels=channels // 16, bias=False)
        self.alpha = nn.Parameter(torch.tensor(float(alpha_init)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Mix both attended versions of [B, C, H, W]."""
        share = torch.sigmoid(self.alpha)
        return share * self.coordinate(x) + (1 - share) * self.squeeze(x)


class ResidualBlock(nn.Module):
    """conv, BN, ReLU, DropBlock, conv, BN, balanced attention, shortcut, ReLU.

    Args:
        channels, width: of the input and of the output.
        stride: of the first convolution and the shortcut.
        drop: DropBlock, or what stands in its place.
        alpha_init: raw value at the start of the alpha whose sigmoid is the share of coordinate attention.
    """

    def __init__(self, channels: int, width: int, stride: int, drop: nn.Module, alpha_init: float) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.drop = drop
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.attention = BalancedAttention(width, alpha_init)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels != width:
            self.shortcut = nn.Sequential(nn.Conv2d(channels, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map [B, C, H, W] to [B, width, H / stride, W / stride]."""
        y = self.drop(F.relu(self.bn1(self.conv1(x)), inplace=True))
        y = self.attention(self.bn2(self.conv2(y)))
        return F.relu(y + self.shortcut(x), inplace=True)


class BMTA(nn.Module):
    """Stem and 11 residual blocks, global average pooling, dropout, linear classifier.

    Args:
        channels, classes: of the input images and the output logits.
        alpha_init: raw value of the 11 alphas at the start.
        alpha_decay: leave the alphas to weight decay; without, they are named in :meth:`no_weight_decay`.
        dropblock: ``author``, ``paper`` or ``none``.
        dropout: probability before the classifier.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        alpha_init: float = 0.5,
        alpha_decay: bool = True,
        dropblock: str = "author",
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.alpha_decay = alpha_decay
        self.stem = nn.Sequential(
            nn.Conv2d(channels, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True)
        )
        blocks, width = [], 64
        for count, out, stride, p in STAGES:
            for i in range(count):
                drop = make_dropblock(dropblock, p)
                blocks.append(ResidualBlock(width, out, stride if i == 0 else 1, drop, alpha_init))
                width = out
        self.blocks = nn.Sequential(*blocks)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(width, classes)
        initialize(self)
        for (
            block
        ) in self.attention_blocks():  # timm's modules squeeze with 1x1 convolutions, the author's with linear ones
            for convolution in (block.squeeze.fc1, block.squeeze.fc2):
                nn.init.normal_(convolution.weight, 0.0, 0.01)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map images [B, C, S, S] to logits [B, K]."""
        x = self.blocks(self.stem(x))
        return self.classifier(self.dropout(x.mean((2, 3))))

    def attention_blocks(self) -> list[BalancedAttention]:
        """The 11 attention modules, in order."""
        return [m for m in self.modules() if isinstance(m, BalancedAttention)]

    def no_weight_decay(self) -> set[str]:
        """Names of parameters that weight decay leaves alone."""
        return set() if self.alpha_decay else {n for n, _ in self.named_parameters() if n.endswith("attention.alpha")}

    def log_values(self) -> dict[str, float]:
        """sigmoid(alpha) of each block and their mean, for the learning curve."""
        shares = [float(torch.sigmoid(a.alpha.detach())) for a in self.attention_blocks()]
        named = {f"alpha_{i:02d}": s for i, s in enumerate(shares, start=1)}
        return named | {"alpha_mean": sum(shares) / len(shares)}


def make_dropblock(kind: str, p: float) -> nn.Module:
    """Return the author's DropBlock or that of Ghiasi et al. 2018 (torchvision's), block size 7, or the identity."""
    if kind == "none":
        return nn.Identity()
    if kind == "author":
        return AuthorDropBlock(p, BLOCK)
    from torchvision.ops import DropBlock2d

    return DropBlock2d(p, BLOCK)


def check_dropblock(kind: str, size: int) -> None:
    """Refuse a DropBlock that cannot work, or drops far more than it says, on the maps of images of *size* pixels.

    Raises:
        UserError: torchvision's needs maps of at least 7 pixels, or of an odd side.
        ValueError: see :func:`rsbench_convnets.dropblock.guard`.
    """
    if kind == "none":
        return
    for _, _, stride, p in STAGES:
        size = -(-size // stride)
        if kind == "paper" and size < BLOCK and size % 2 == 0:
            raise UserError(
                f"The paper's DropBlock cannot work on the {size}x{size} maps of these images: "
                "use images of at least 49 pixels, or dropblock=author."
            )
        guard(make_dropblock(kind, p), p, size)


def bmta(
    context: ModelContext,
    alpha_init: float = 0.5,
    alpha_decay: bool = True,
    dropblock: str = "author",
    dropout: float = 0.5,
) -> BMTA:
    """Build BMTA as coded.

    Args:
        context: bands, size and classes.
        alpha_init, alpha_decay, dropblock, dropout: as in :class:`BMTA`.

    Raises:
        UserError: the images are too small for the DropBlock asked for.
    """
    check_dropblock(dropblock, context.size)
    return BMTA(context.channels, context.num_classes, alpha_init, alpha_decay, dropblock, dropout)


def bmta_paper_dropblock(context: ModelContext, alpha_init: float = 0.5, alpha_decay: bool = True) -> BMTA:
    """Build BMTA with the DropBlock of its paper's reference."""
    return bmta(context, alpha_init, alpha_decay, "paper")
