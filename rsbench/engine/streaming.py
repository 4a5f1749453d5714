"""Rows that do not fit on a device, gathered into pinned memory while the device works on those before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import torch


class Happens(Protocol):
    """Something that a thread can wait for, such as an event of CUDA."""

    def synchronize(self) -> None:
        """Wait."""


def streamed(
    gather: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    rows: Sequence[torch.Tensor],
    buffers: Sequence[torch.Tensor],
    send: Callable[[torch.Tensor], tuple[torch.Tensor, Happens]],
) -> Iterator[torch.Tensor]:
    """Yield gathered rows on the device while a thread gathers the next ones into the other of two pinned buffers.

    The thread, and never the caller, waits until what a buffer held has been read.
    """
    read: list[Happens | None] = [None] * len(buffers)

    def fill(k: int) -> torch.Tensor:
        before = read[k % len(buffers)]
        if before is not None:
            before.synchronize()
        return gather(rows[k], buffers[k % len(buffers)])

    with ThreadPoolExecutor(1) as pool:
        pending = pool.submit(fill, 0)
        for k in range(len(rows)):
            sent, read[k % len(buffers)] = send(pending.result())
            if k + 1 < len(rows):
                pending = pool.submit(fill, k + 1)
            yield sent
