"""Activation checkpointing: blocks keep their input alone, and compute the rest again in the backward pass.

Blocks are the modules with parts of their own in the outermost ``nn.Sequential`` and ``nn.ModuleList`` containers of a
network (the residual blocks of a ResNet, the layers of a transformer); a ``nn.Sequential`` of plain layers is cut into
about the square root of its length.  A block that begins with an in-place layer is left out: its input would be gone.

Numbers stay the same: random numbers are drawn again from the same state, and running statistics, such as those of
BatchNorm, are not changed a second time.  timm's ``set_grad_checkpointing`` is not used, since it lets them be.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from rsbench.engine.step.snapshot import is_statistic


def checkpoint_activations(model: nn.Module) -> int:
    """Let the blocks of *model* compute their activations again; return how many there are.

    Names of parameters, and what evaluation costs, stay as they are.
    """
    changed = 0
    for container in _containers(model):
        if _is_flat(container):
            segments = list(_segments(container))
            container.forward = partial(_chain, [_Block(s) for s in segments])
            changed += len(segments)
            continue
        for block in container.children():
            if _has_parts(block) and not _begins_in_place(block):
                block.forward = _Block(block)
                changed += 1
    return changed


class _Block:
    """The forward of a module, checkpointed wherever there will be a backward pass."""

    def __init__(self, module: nn.Module) -> None:
        self.inner: Callable[..., Any] = module.forward
        self.modules = list(module.modules())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not torch.is_grad_enabled():
            return self.inner(*args, **kwargs)
        return checkpoint(self.inner, *args, use_reentrant=False, context_fn=self._contexts, **kwargs)

    def _contexts(self) -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
        """Return contexts of the first pass and of the second."""
        return nullcontext(), _OnCopies(self.modules)


class _OnCopies(AbstractContextManager[None]):
    """Modules use copies of their running statistics, so that a batch is taken note of once."""

    def __init__(self, modules: list[nn.Module]) -> None:
        self.modules = [module for module in modules if module._buffers]
        self._own: list[dict[str, torch.Tensor | None]] = []

    def __enter__(self) -> None:
        self._own = [dict(module._buffers) for module in self.modules]
        for module, buffers in zip(self.modules, self._own, strict=True):
            copies = {name: b.clone() for name, b in buffers.items() if b is not None and is_statistic(b)}
            module._buffers.update(copies)

    def __exit__(self, *_: object) -> None:
        for module, buffers in zip(self.modules, self._own, strict=True):
            module._buffers.update(buffers)


def _containers(module: nn.Module) -> Iterator[nn.Module]:
    """Yield the outermost containers, of which some child is a block or which are chains of plain layers."""
    blocks = any(map(_has_parts, module.children()))
    if (isinstance(module, nn.ModuleList | nn.Sequential) and blocks) or _is_flat(module):
        yield module
        return
    for child in module.children():
        yield from _containers(child)


def _is_flat(module: nn.Module) -> bool:
    """Whether it is a chain of plain layers, long enough to be worth cutting."""
    return isinstance(module, nn.Sequential) and len(module) >= 4 and not any(map(_has_parts, module))


def _has_parts(module: nn.Module) -> bool:
    return next(module.children(), None) is not None


def _begins_in_place(module: nn.Module) -> bool:
    first = next(m for m in module.modules() if not _has_parts(m))
    return bool(getattr(first, "inplace", False))


def _segments(chain: nn.Module) -> Iterator[nn.Sequential]:
    """Cut a chain of layers into about the square root of their number; none begins with an in-place layer."""
    layers = list(chain.children())
    length = math.ceil(len(layers) / math.isqrt(len(layers)))
    segment: list[nn.Module] = []
    for layer in layers:
        if len(segment) >= length and not getattr(layer, "inplace", False):
            yield nn.Sequential(*segment)
            segment = []
        segment.append(layer)
    yield nn.Sequential(*segment)


def _chain(blocks: list[_Block], x: Any) -> Any:
    for block in blocks:
        x = block(x)
    return x
