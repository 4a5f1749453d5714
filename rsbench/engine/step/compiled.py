"""A network whose calls are compiled in place, so that names of parameters stay as they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from rsbench.engine.memory import release


class Compiled:
    """Lets ``torch.compile`` do a network's forward, and other methods of it; can be switched off and on again.

    Args:
        model: the network; it stays the same module.
        mode: of ``torch.compile``.
        methods: names of methods beside the forward; those that the network has not are passed over.
        dynamic: ``False``: each shape is compiled for itself; ``None``: shapes that change are compiled as variable.
    """

    def __init__(self, model: nn.Module, mode: str, methods: Sequence[str] = (), dynamic: bool | None = False) -> None:
        self.model, self.mode = model, mode
        model.compile(mode=mode, dynamic=dynamic)
        self._calls: dict[str, Any] = {"_compiled_call_impl": model._compiled_call_impl}
        for name in methods:
            if hasattr(model, name):
                self._calls[name] = torch.compile(getattr(model, name), mode=mode, dynamic=dynamic)
        self.on()

    def on(self) -> None:
        """Use compiled code."""
        for name, call in self._calls.items():
            setattr(self.model, name, call)

    def off(self) -> None:
        """Use the network's own code; what is compiled is kept."""
        for name in self._calls:
            delattr(self.model, name)

    @contextmanager
    def eager(self) -> Iterator[None]:
        """Use the network's own code for a while."""
        self.off()
        try:
            yield
        finally:
            self.on()


def reset_compiled(device: torch.device) -> None:
    """Drop all compiled code, and with it the memory that its CUDA graphs keep for themselves; what is called again is
    compiled again."""
    torch.compiler.reset()
    release(device)
