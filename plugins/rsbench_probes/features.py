"""Features of any network: what enters its classifier, or what layers of it give, pooled to a vector an image."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any, Final

import torch
from torch import nn

from rsbench.errors import UserError, first_of

POOLINGS: Final = ("network", "mean", "class")
WRAPPER: Final = "network."  # of what prepares images for a network of a library, whose names people know
_CONVOLUTIONS: Final = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


class Features(nn.Module):
    """Gives features float32 [B, D] of images, by one pass through a network that stays as it is.

    Args:
        network: images [B, C, S, S] -> outputs [B, K]; its parameters are frozen.
        image: float32 [1, C, S, S], an image to try it with.
        outputs: K, by which its classifier is found: the last linear layer or convolution with as many.
        pooling: ``network``: what enters the classifier (a map is averaged); ``mean``: the mean over places of the last
            map, or over the patches of the last sequence of tokens; ``class``: the class token of that.
        layers: names of modules, or patterns of these, in place of the last: their outputs are pooled (``network`` is
            ``mean``) and joined in the order in which they are called.
        flips: average over the image and its horizontal, vertical and double flip.

    Attributes:
        classifier: name of the module that gives the outputs; ``None`` where there is none.

    Raises:
        UserError: there is no such layer, no classifier, or no class token.
    """

    def __init__(
        self,
        network: nn.Module,
        image: torch.Tensor,
        outputs: int,
        *,
        pooling: str = "network",
        layers: Sequence[str] = (),
        flips: bool = False,
    ) -> None:
        super().__init__()
        if pooling not in POOLINGS:
            raise UserError(f"fit_options.pooling is one of {', '.join(POOLINGS)}; '{pooling}' is not.")
        self.network, self.pooling, self.flips = network.requires_grad_(False).eval(), pooling, flips
        self._by_channels_last = any(getattr(m, "output_fmt", None) == "NHWC" for m in network.modules())
        seen = self._look(image)
        self.classifier = next((name for name, module, _ in reversed(seen) if _gives(module) == outputs), None)
        self.names = self._chosen(seen, layers)
        self.of_input = not layers and pooling == "network"
        self.width = self.forward(image).shape[1]

    def train(self, mode: bool = True) -> Features:
        """Stay in evaluation mode: statistics of BatchNorm and dropout are no part of a feature."""
        del mode
        return super().train(False)

    @torch.no_grad()
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images [B, C, S, S] to features float32 [B, D]."""
        if not self.flips:
            return self._once(images)
        views = [images, images.flip(-1), images.flip(-2), images.flip((-2, -1))]
        return sum((self._once(view) for view in views[1:]), self._once(images)) / len(views)

    def _once(self, images: torch.Tensor) -> torch.Tensor:
        caught: dict[str, torch.Tensor] = {}

        def keep(name: str, tensor: torch.Tensor) -> None:
            caught[name] = self._pooled(tensor)

        modules = dict(self.network.named_modules())
        with _hooked({name: modules[name] for name in self.names}, keep, inputs=self.of_input):
            self.network(images)
        return torch.cat([*caught.values()], dim=1).float()

    def _pooled(self, found: torch.Tensor) -> torch.Tensor:
        """Return [B, D] of a vector, a map or tokens."""
        if found.ndim == 4:
            if self.pooling == "class":
                raise UserError("The features of this network are maps, which have no class token: use pooling=mean.")
            return found.mean((1, 2) if self._by_channels_last else (2, 3))
        if found.ndim == 3:
            before = self._prefix(found.shape[1])
            if self.pooling == "class" and not before:
                raise UserError("This network has no class token: use pooling=mean.")
            return found[:, 0] if self.pooling == "class" else found[:, before:].mean(1)
        return found.flatten(1)

    def _prefix(self, tokens: int) -> int:
        """Return how many tokens stand before those of the patches."""
        told = [getattr(module, "num_prefix_tokens", None) for module in self.network.modules()]
        known = [count for count in told if isinstance(count, int)]
        return known[0] if known else int(math.isqrt(tokens) ** 2 != tokens)

    def _look(self, image: torch.Tensor) -> list[tuple[str, nn.Module, torch.Tensor]]:
        """Return name, module and output of each call that gives a tensor, in the order of calls."""
        names = {name: module for name, module in self.network.named_modules() if name}
        seen: list[tuple[str, nn.Module, torch.Tensor]] = []
        with _hooked(names, lambda name, out: seen.append((name, names[name], out)), inputs=False), torch.no_grad():
            self.network(image)
        return seen

    def _chosen(self, seen: Sequence[tuple[str, nn.Module, torch.Tensor]], layers: Sequence[str]) -> list[str]:
        """Return the names of the modules whose tensors are pooled."""
        if layers:
            called = {name.removeprefix(WRAPPER): name for name, _, out in seen if out.ndim in (2, 3, 4)}
            if lost := [pattern for pattern in layers if not any(fnmatchcase(name, pattern) for name in called)]:
                top = dict.fromkeys(".".join(name.split(".")[:2]) for name in called)
                raise UserError(f"The network has no layer '{lost[0]}'; it has {first_of([*top], 12)}.")
            return [name for short, name in called.items() if any(fnmatchcase(short, pattern) for pattern in layers)]
        if self.pooling == "network":
            if self.classifier is None:
                raise UserError(
                    "This network ends in no linear layer or convolution: name its layers by fit_options.layers."
                )
            return [self.classifier]
        maps = [name for name, _, out in seen if out.ndim == 3 or (out.ndim == 4 and out[0, 0].numel() > 1)]
        if not maps:
            raise UserError("This network has neither maps nor tokens to pool: use pooling=network.")
        return maps[-1:]


def _gives(module: nn.Module) -> int | None:
    if isinstance(module, nn.Linear):
        return module.out_features
    return module.out_channels if isinstance(module, _CONVOLUTIONS) else None


@contextmanager
def _hooked(modules: dict[str, nn.Module], keep: Callable[[str, torch.Tensor], Any], *, inputs: bool) -> Iterator[None]:
    """Call *keep* with the name and the output (or the input) of each module that is called meanwhile.

    Hooks are there for one call alone: a copy of the network would take those of the original along.
    """

    def hook(name: str) -> Callable[..., None]:
        def told(module: nn.Module, args: Any, output: Any = None) -> None:
            del module
            value = args[0] if inputs else output
            if isinstance(value, torch.Tensor):
                keep(name, value)

        return told

    handles = [
        module.register_forward_pre_hook(hook(name)) if inputs else module.register_forward_hook(hook(name))
        for name, module in modules.items()
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
