"""A model as the kit builds it, and what it is given."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from rsbench.specs import ModelSpec, load_attribute
from rsbench.testing.contract import require
from rsbench.testing.trials import TaskTrial, trial_of

BATCH: Final = 3
SIZE: Final = 64  # of images, where a model takes any: a grid of 2x2 after five halvings


@dataclass
class ModelTrial:
    """A model on one task, built on the CPU with its trial options for made-up images."""

    spec: ModelSpec
    task: str

    @cached_property
    def synthetic(self) -> TaskTrial:
        """Inputs of the task."""
        return trial_of(self.task)

    @property
    def channels(self) -> int:
        """Bands that the model takes, or three."""
        return self.spec.accepts.channels or 3

    @property
    def size(self) -> int:
        """Side of the images that the model takes, or the smallest that is worth looking at."""
        return self.spec.accepts.size or max(SIZE, self.spec.accepts.min_size)

    def make(self, *, channels: int | None = None, size: int | None = None, seed: int = 0) -> Any:
        """Call the factory as a run does, with torch's and NumPy's generators seeded."""
        torch.manual_seed(seed)
        np.random.seed(seed)
        context = self.synthetic.context(channels or self.channels, size or self.size, seed)
        options = {name: option.default for name, option in self.spec.options.items()} | dict(self.spec.test_options)
        return load_attribute(self.spec.factory)(context, **options)

    def network(self, *, channels: int | None = None, size: int | None = None, seed: int = 0) -> nn.Module:
        """Build a network.

        Raises:
            CheckFailure: the factory gives something else.
        """
        made = self.make(channels=channels, size=size, seed=seed)
        require(isinstance(made, nn.Module), f"the factory returned {type(made).__name__}, not a torch.nn.Module")
        return made

    @cached_property
    def built(self) -> nn.Module:
        """A network that checks only evaluate."""
        return self.network().eval()

    def images(self, count: int = BATCH, *, channels: int | None = None, size: int | None = None) -> torch.Tensor:
        """Return float32 [count, C, S, S] as the model gets them: normalized, or of uint8's range where it asks for
        none.  The first image is the same whatever the count."""
        side = size or self.size
        generator = torch.Generator().manual_seed(11)
        images = torch.randn(count, channels or self.channels, side, side, generator=generator)
        return images if self.spec.accepts.normalization != "none" else (images * 50 + 128).clamp(0, 255)

    def arguments(self, count: int = BATCH, *, channels: int | None = None, size: int | None = None) -> tuple[Any, ...]:
        """Arguments of ``forward`` for a batch of *count* images."""
        return self.synthetic.arguments(self.images(count, channels=channels, size=size))

    def outputs(self, model: nn.Module, arguments: tuple[Any, ...]) -> torch.Tensor:
        """Call ``forward``, and require a finite float tensor of the declared shape."""
        found = self.synthetic.outputs(model, arguments)
        expected = self.synthetic.shape(arguments)
        shape = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
        require(shape == expected, f"forward returned {_text(shape)} where {_text(expected)} is declared")
        require(found.is_floating_point(), f"forward returned {found.dtype}, not floats")
        require(torch.isfinite(found).all(), "forward returned values that are not finite")
        return found


def _text(shape: Any) -> str:
    return str(list(shape)) if isinstance(shape, tuple) else str(shape)
