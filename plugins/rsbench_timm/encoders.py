"""Image encoders for other plugins to build on: feature maps of timm's and torchvision's backbones."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import takewhile
from textwrap import shorten
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import nn

from rsbench.errors import UserError
from rsbench.tasks.context import ModelContext
from rsbench_timm.hub import downloading
from rsbench_timm.weights import load_parts, read_for

IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
IMAGENET_STD: Final = (0.229, 0.224, 0.225)
# Families of torchvision whose features are their layers run one after the other.
_SEQUENTIAL: Final = ("alexnet", "convnext", "efficientnet", "googlenet", "mobilenet", "resnet", "squeezenet", "vgg")
_POOLS: Final = (nn.MaxPool2d, nn.AvgPool2d)
_PROBE: Final = 128  # pixels

Statistics = tuple[Sequence[float], Sequence[float]]
Choice = Callable[[Sequence[int]], list[int]]  # strides of all stages -> numbers of those wanted


class Encoder(nn.Module):
    """Feature maps of normalized images.

    A frozen encoder has buffers in place of parameters, so that nothing can train or count them, and never leaves
    evaluation mode.

    Args:
        frozen: never trained.
        trunk: images -> list of feature maps, from fine to coarse.
        widths: channels of each map.
        size: side in pixels to which images are resized; 0 leaves them.
        expected: mean and standard deviation that the trunk expects of images in [0, 1], if not ImageNet's.
    """

    scale: torch.Tensor
    shift: torch.Tensor

    def __init__(
        self, trunk: nn.Module, widths: Sequence[int], size: int, frozen: bool, expected: Statistics | None
    ) -> None:
        super().__init__()
        self.trunk, self.widths, self.size, self.frozen = trunk, tuple(widths), size, frozen
        mean, std = (torch.tensor(s).view(-1, 1, 1) for s in expected or (IMAGENET_MEAN, IMAGENET_STD))
        own_mean, own_std = (torch.tensor(s).view(-1, 1, 1) for s in (IMAGENET_MEAN, IMAGENET_STD))
        self.restated = expected is not None
        self.register_buffer("scale", own_std / std, persistent=False)
        self.register_buffer("shift", (own_mean - mean) / std, persistent=False)
        if frozen:
            _turn_into_buffers(trunk)
            self.eval()

    def forward(self, images: torch.Tensor | list[torch.Tensor]) -> list[torch.Tensor]:
        """Map images float32 [I, C, H, W] to feature maps [I, D, h, w], or vectors [I, D] if the trunk makes these.

        Features, which an earlier call gave, come back as they are.
        """
        if not isinstance(images, torch.Tensor):
            return images
        if self.restated:
            images = images * self.scale + self.shift
        if self.size and self.size != images.shape[-1]:
            smaller = self.size < images.shape[-1]
            images = F.interpolate(images, (self.size, self.size), mode="bilinear", antialias=smaller)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            return self.trunk(images)

    def vectors(self, images: torch.Tensor | list[torch.Tensor]) -> torch.Tensor:
        """Return the mean of the coarsest map over its places, or the trunk's vectors, float [I, D]."""
        last = self(images)[-1]
        return last.mean((2, 3)) if last.ndim == 4 else last

    @torch.no_grad()
    def shape(self, context: ModelContext) -> tuple[int, int, int]:
        """Return (D, h, w) of the coarsest map of the images that *context* tells of."""
        black = torch.zeros(1, context.channels, context.size, context.size)
        training = self.training
        _, width, rows, columns = self.eval()(black)[-1].shape
        self.train(training)
        return width, rows, columns

    def train(self, mode: bool = True) -> Encoder:
        """Set the mode, which is always evaluation for a frozen encoder."""
        return super().train(mode and not self.frozen)


class Encoding(nn.Module):
    """A network with an :class:`Encoder`, whose features the engine may compute once for all epochs."""

    encoder: Encoder

    @property
    def frozen(self) -> bool:
        """Whether the features of an image never change."""
        return self.encoder.frozen

    def encode(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Return what the network takes in place of images."""
        return self.encoder(images)


def grid_encoder(
    context: ModelContext,
    backbone: str,
    weights: str = "none",
    freeze: bool = True,
    input_size: int = 0,
    maps: int = 1,
    max_stride: int = 32,
) -> Encoder:
    """Build an encoder that gives the last *maps* stages of *backbone* with strides up to *max_stride*.

    Args:
        context: bands and size.
        backbone: ``timm:<name>`` or ``torchvision:<name>``.
        weights: ``none``, ``imagenet``, or the path of a file.
        freeze: do not train it.
        input_size: side in pixels to which images are resized; 0 leaves them.
        maps: how many feature maps.
        max_stride: the largest stride in pixels of a map.

    Raises:
        UserError: there is no such backbone, it has too few stages, or the weights cannot be had or do not fit.
    """
    library, _, architecture = backbone.partition(":")
    if library not in ("timm", "torchvision") or not architecture:
        raise UserError(f"'{backbone}' is no backbone: use timm:<name> or torchvision:<name>.")

    def chosen(strides: Sequence[int]) -> list[int]:
        stages = [i for i, stride in enumerate(strides) if stride <= max_stride][-maps:]
        if len(stages) < maps:
            raise UserError(f"{backbone} has fewer than {maps} stages with strides up to {max_stride}.")
        return stages

    build = _timm if library == "timm" else _torchvision
    trunk, widths, expected = build(context, architecture, weights, input_size or context.size, chosen)
    return Encoder(trunk, widths, input_size, freeze, expected)


def vector_encoder(
    context: ModelContext, backbone: str, weights: str = "none", freeze: bool = True, input_size: int = 0
) -> Encoder:
    """Build an encoder for :meth:`Encoder.vectors`: fc7 of torchvision's VGG, else the mean of the last map.

    Args:
        context: bands and size.
        backbone, weights, freeze, input_size: as for :func:`grid_encoder`.

    Raises:
        UserError: as :func:`grid_encoder`.
    """
    if not backbone.startswith("torchvision:vgg"):
        return grid_encoder(context, backbone, weights, freeze, input_size)
    network, known, state = _torchvision_network(context, backbone.partition(":")[2], weights)
    if state is not None:
        load_parts(network, state, [n for n in known if not n.startswith("classifier.6.")], known)
    layers = [network.features, network.avgpool, nn.Flatten(), network.classifier[:5]]
    return Encoder(_Layers(layers, [3]), [network.classifier[3].out_features], input_size, freeze, None)


class _Layers(nn.Module):
    """Runs layers one after the other and gives the outputs of the *kept* ones."""

    def __init__(self, layers: Sequence[nn.Module], kept: Sequence[int]) -> None:
        super().__init__()
        self.layers, self.kept = nn.ModuleList(layers), tuple(kept)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        found = []
        for i, layer in enumerate(self.layers):
            images = layer(images)
            if i in self.kept:
                found.append(images)
        return found


class _Intermediates(nn.Module):
    """Gives some stages of a timm network."""

    def __init__(self, network: Any, kept: Sequence[int]) -> None:
        super().__init__()
        self.network: Any = network
        self.kept = list(kept)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        return self.network.forward_intermediates(images, indices=self.kept, intermediates_only=True)


def _timm(
    context: ModelContext, architecture: str, weights: str, size: int, chosen: Choice
) -> tuple[nn.Module, list[int], Statistics | None]:
    """Build a trunk from timm; return it, the widths of its maps, and statistics that are not ImageNet's."""
    import timm

    facts = timm.get_pretrained_cfg(architecture) if timm.is_model(architecture) else None
    if facts is None:
        raise UserError(f"timm has no architecture '{architecture}'.")
    options: dict[str, Any] = {"in_chans": context.channels, "cache_dir": context.weights_dir}
    if facts.fixed_input_size:
        options["img_size"] = size
    pretrained = weights == "imagenet"
    network = _built(
        f"timm:{architecture}", lambda: timm.create_model(architecture, pretrained=pretrained, **options), pretrained
    )
    if not hasattr(network, "prune_intermediate_layers"):
        raise UserError(f"timm:{architecture} does not give feature maps; use another backbone.")
    known = list(network.state_dict())
    stages = chosen([info["reduction"] for info in network.feature_info])
    network.prune_intermediate_layers(stages, prune_norm=True, prune_head=True)
    if weights not in ("none", "imagenet"):
        load_parts(network, read_for(weights, known), list(network.state_dict()), known)
    statistics = (tuple(facts.mean), tuple(facts.std))
    restated = context.channels == 3 and statistics != (IMAGENET_MEAN, IMAGENET_STD)  # whatever the weights come from
    widths = [network.feature_info[i]["num_chs"] for i in stages]
    return _Intermediates(network, stages), widths, statistics if restated else None


def _torchvision(
    context: ModelContext, architecture: str, weights: str, size: int, chosen: Choice
) -> tuple[nn.Module, list[int], Statistics | None]:
    """Build a trunk from torchvision, as :func:`_timm` does."""
    del size
    network, known, state = _torchvision_network(context, architecture, weights)
    features = getattr(network, "features", None)
    prefix, top = ("", network) if features is None else ("features.", features)
    named = list(takewhile(lambda child: not isinstance(child[1], nn.AdaptiveAvgPool2d), top.named_children()))
    found = _stages([layer for _, layer in named])
    stages = [found[i] for i in chosen([stride for stride, _, _ in found])]
    kept = [layer for _, layer, _ in stages]
    named = named[: kept[-1] + 1]
    if state is not None:
        starts = tuple(f"{prefix}{name}." for name, _ in named)
        load_parts(network, state, [n for n in known if n.startswith(starts)], known)
    expected = ((0.5,) * 3, (0.5,) * 3) if architecture == "googlenet" else None
    return _Layers([layer for _, layer in named], kept), [width for _, _, width in stages], expected


def _torchvision_network(
    context: ModelContext, architecture: str, weights: str
) -> tuple[Any, list[str], dict[str, torch.Tensor] | None]:
    """Build a whole network; return it, the names of its tensors, and the state that is to be loaded."""
    from torchvision import models

    name = f"torchvision:{architecture}"
    if architecture not in models.list_models(module=models) or not architecture.startswith(_SEQUENTIAL):
        raise UserError(f"{name} is not one of torchvision's {', '.join(_SEQUENTIAL)}; use a timm backbone.")
    if context.channels != 3:
        raise UserError(f"{name} takes 3 bands, not {context.channels}; use a timm backbone.")
    options = {"init_weights": True} if architecture == "googlenet" else {}
    network = models.get_model(architecture, weights=None, **options)
    known = list(network.state_dict())
    if architecture == "googlenet":
        network.aux1 = network.aux2 = None  # auxiliary classifiers, which stand between the layers
    if weights == "none":
        return network, known, None
    if weights != "imagenet":
        return network, known, read_for(weights, known)
    first = next(iter(models.get_model_weights(architecture)))
    return network, known, _built(name, lambda: first.get_state_dict(model_dir=context.weights_dir), True)


@torch.no_grad()
def _stages(layers: Sequence[nn.Module]) -> list[tuple[int, int, int]]:
    """Return (stride, layer, channels) of the last layer at each stride; a pooling is no stage of its own."""
    found: dict[int, tuple[int, int, int]] = {}
    x = torch.zeros(1, 3, _PROBE, _PROBE)
    for i, layer in enumerate(layers):
        mode = layer.training
        x = layer.eval()(x)
        layer.train(mode)
        stride = 2 ** round(math.log2(_PROBE / x.shape[-1]))  # unpadded layers lose a pixel or two
        if not isinstance(layer, _POOLS):
            found[stride] = (stride, i, x.shape[1])
    return list(found.values())


def _built(name: str, build: Callable[[], Any], download: bool) -> Any:
    """Run *build*; whatever goes wrong becomes one sentence."""
    if download:
        with downloading(name):
            return build()
    try:
        return build()
    except Exception as error:  # constructors raise many kinds
        reason = shorten(str(error), 160, placeholder=" ...")
        raise UserError(f"{name} cannot be built ({type(error).__name__}: {reason}): use another backbone.") from None


def _turn_into_buffers(network: nn.Module) -> None:
    for module in network.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            delattr(module, name)
            module.register_buffer(name, parameter.detach())
