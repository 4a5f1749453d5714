"""Image encoders: the last feature map of a network of timm or torchvision, with the weights asked for."""

from __future__ import annotations

from collections import OrderedDict
from itertools import takewhile
from math import isqrt
from pathlib import Path
from textwrap import shorten
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import nn

from rsbench.errors import UserError, did_you_mean
from rsbench.tasks.context import ModelContext
from rsbench_vqa.hub import downloading

IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
IMAGENET_STD: Final = (0.229, 0.224, 0.225)
HEADS: Final = ("avgpool", "classifier", "fc", "head", "heads")  # what follows the last map in torchvision


class Encoder(nn.Module):
    """Images float32 [I, C, S, S], normalised with ImageNet's statistics, to their last feature map [I, F, h, w].

    Args:
        body: network up to its last map.
        frozen: the body is never trained: it stays in evaluation mode and gets no gradients, whatever a recipe asks.
        size: side to which images are resized bilinearly; 0 leaves them.
        mean, std: statistics that the body expects of images in [0, 1].

    Attributes:
        shape: (F, h, w), set by :func:`encoder`.
    """

    scale: torch.Tensor
    shift: torch.Tensor
    shape: tuple[int, int, int]

    def __init__(
        self,
        body: nn.Module,
        frozen: bool,
        size: int,
        mean: tuple[float, ...] = IMAGENET_MEAN,
        std: tuple[float, ...] = IMAGENET_STD,
    ) -> None:
        super().__init__()
        self.body, self.frozen, self.size = body.requires_grad_(not frozen), frozen, size
        self.restated = (tuple(mean), tuple(std)) != (IMAGENET_MEAN, IMAGENET_STD)
        given, wanted = torch.tensor([IMAGENET_MEAN, IMAGENET_STD]), torch.tensor([mean, std])
        self.register_buffer("scale", (given[1] / wanted[1]).view(-1, 1, 1), persistent=False)
        self.register_buffer("shift", ((given[0] - wanted[0]) / wanted[1]).view(-1, 1, 1), persistent=False)

    def train(self, mode: bool = True) -> Encoder:
        """Switch to training mode, unless frozen."""
        return super().train(mode and not self.frozen)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return maps [I, F, h, w]."""
        if self.restated:
            images = images * self.scale + self.shift
        if self.size and self.size != images.shape[-1]:
            smaller = self.size < images.shape[-1]
            images = F.interpolate(images, size=(self.size, self.size), mode="bilinear", antialias=smaller)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            return self.body(images)


class TimmMap(nn.Module):
    """The last map of a timm network, of whatever layout: [I, F, h, w], [I, h, w, F] or tokens [I, n, F]."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return maps [I, F, h, w]; tokens of no place in the image, such as a class token, are left out."""
        features = self.network.forward_features(images)
        if features.ndim == 3:
            patches = features[:, self.network.num_prefix_tokens :].transpose(1, 2)
            return patches.unflatten(2, (isqrt(patches.shape[2]), -1))
        return features.permute(0, 3, 1, 2) if getattr(self.network, "output_fmt", "NCHW") == "NHWC" else features


def encoder(context: ModelContext, backbone: str, weights: str, freeze: bool, input_size: int) -> Encoder:
    """Build an encoder; the ``shape`` of its maps is that of a black image's.

    Args:
        backbone: ``timm:<name>`` or ``torchvision:<name>``.
        weights: ``none``, ``imagenet`` (downloaded) or the path of a .safetensors, .npz, .pt or .pth file.
        freeze: leave its weights as they are.
        input_size: side to which images are resized; 0 leaves them.

    Raises:
        UserError: there is no such network, its weights cannot be had or do not fit, or it gives no map.
    """
    package, _, name = backbone.partition(":")
    if package not in ("timm", "torchvision"):
        raise UserError(f"backbone={backbone} is neither timm:<name> nor torchvision:<name>.")
    build = _timm if package == "timm" else _torchvision
    size = input_size or context.size
    try:
        body, statistics = build(context, name, weights, size)
        built = Encoder(body, freeze, input_size, **statistics).eval()
        with torch.no_grad():
            _, features, height, width = built(torch.zeros(1, context.channels, context.size, context.size)).shape
    except UserError:
        raise
    except Exception as error:  # constructors raise many kinds
        reason = shorten(str(error), 160, placeholder=" ...")
        raise UserError(
            f"backbone={backbone} with weights={weights} gives no map for {context.channels} bands of {size} pixels "
            f"({type(error).__name__}: {reason}): try another backbone, other weights, or an input_size such as 224."
        ) from None
    built.shape = (features, height, width)
    return built.train()


def _timm(context: ModelContext, name: str, weights: str, size: int) -> tuple[nn.Module, dict[str, Any]]:
    """Return the body and the statistics that its weights expect."""
    import timm

    if name.partition(".")[0] not in timm.list_models():
        raise UserError(f"timm has no architecture '{name}'.{did_you_mean(name, timm.list_models())}")
    facts: Any = timm.get_pretrained_cfg(name)
    options: dict[str, Any] = {"in_chans": context.channels, "cache_dir": context.weights_dir}
    if facts.fixed_input_size:
        options["img_size"] = size
    network: Any = timm.create_model(name, **options)
    statistics = {}
    if weights == "imagenet":
        with downloading(f"timm:{name}"):
            network = timm.create_model(name, pretrained=True, **options)
        statistics = {"mean": facts.mean, "std": facts.std} if context.channels == 3 else {}
    network.reset_classifier(0, "")
    if weights not in ("none", "imagenet"):
        load(network, read(Path(weights)))
    return TimmMap(network), statistics


def _torchvision(context: ModelContext, name: str, weights: str, size: int) -> tuple[nn.Module, dict[str, Any]]:
    """Return the layers before the pooling; torchvision's statistics are ImageNet's."""
    from torchvision import models

    del size
    if name not in models.list_models(models):
        raise UserError(f"torchvision has no architecture '{name}'.{did_you_mean(name, models.list_models(models))}")
    network = models.get_model(name, weights=None)
    body = nn.Sequential(OrderedDict(takewhile(lambda child: child[0] not in HEADS, network.named_children())))
    if weights == "imagenet":
        first = next(iter(models.get_model_weights(name)))
        with downloading(f"torchvision:{name}"):
            state = first.get_state_dict(model_dir=context.weights_dir, progress=False)
        load(body, state)
    elif weights != "none":
        load(body, read(Path(weights)))
    return body, {}


def load(body: nn.Module, state: dict[str, torch.Tensor]) -> None:
    """Load a state dict into *body*; what is left over, such as a classifier's, is not looked at.

    Raises:
        UserError: a tensor is missing or of another shape.
    """
    own = {k: v for k, v in body.state_dict().items() if not k.endswith("num_batches_tracked")}
    wrong = [k for k, v in own.items() if k not in state or state[k].shape != v.shape]
    if wrong:
        raise UserError(
            f"The weights do not fit the backbone: {len(wrong)} of {len(own)} tensors are missing or of another "
            f"shape, such as {', '.join(wrong[:3])}."
        )
    body.load_state_dict({k: state[k] for k in own}, strict=False)


def read(path: Path) -> dict[str, torch.Tensor]:
    """Read a state dict from ``.safetensors``, ``.npz``, ``.pt`` or ``.pth`` without executing anything.

    Raises:
        UserError: there is no such file, or it is of another kind.
    """
    if not path.is_file():
        raise UserError(f"There is no weights file '{path}'; use none, imagenet or the path of a file.")
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    if path.suffix == ".npz":
        import numpy as np

        with np.load(path, allow_pickle=False) as archive:
            return {k: torch.from_numpy(archive[k]) for k in archive.files}
    if path.suffix in (".pt", ".pth"):
        return torch.load(path, map_location="cpu", weights_only=True)
    raise UserError(f"{path} is not a weights file: use .safetensors, .npz, .pt or .pth.")
