"""Streaming through two buffers, with a device that reads late."""

from __future__ import annotations

import threading

import pytest
import torch

from rsbench.engine.input.gpu_images import streamed

STORE = torch.arange(40).reshape(20, 2)


class LateCopy:
    """A copy that a device makes only when it comes to it, as one queued behind much work does."""

    def __init__(self, raw: torch.Tensor) -> None:
        self.raw, self.sent, self.done = raw, torch.full_like(raw, -1), threading.Event()

    def happen(self) -> None:
        self.sent.copy_(self.raw)
        self.done.set()

    def synchronize(self) -> None:
        assert self.done.wait(30)


class Device:
    """Starts each copy when the next but one is asked for."""

    def __init__(self) -> None:
        self.queue: list[LateCopy] = []

    def send(self, raw: torch.Tensor) -> tuple[torch.Tensor, LateCopy]:
        copy = LateCopy(raw)
        self.queue.append(copy)
        return copy.sent, copy

    def work(self) -> None:
        for copy in self.queue:
            copy.happen()
        self.queue.clear()


def gather(rows: torch.Tensor, buffer: torch.Tensor) -> torch.Tensor:
    return torch.index_select(STORE, 0, rows, out=buffer[: len(rows)])


def buffers() -> list[torch.Tensor]:
    return [torch.empty((3, 2), dtype=STORE.dtype) for _ in range(2)]


def test_no_buffer_is_filled_again_before_it_was_read() -> None:
    device, rows = Device(), torch.randperm(20).split(3)
    sent = []
    for k, images in enumerate(streamed(gather, rows, buffers(), device.send)):
        sent.append(images)
        if k % 2:
            device.work()
    device.work()
    assert torch.equal(torch.cat(sent), STORE[torch.cat(rows)])


def test_the_next_rows_are_gathered_while_the_caller_works() -> None:
    gathered = threading.Semaphore(0)

    def signaling(rows: torch.Tensor, buffer: torch.Tensor) -> torch.Tensor:
        taken = gather(rows, buffer)
        gathered.release()
        return taken

    device = Device()
    batches = streamed(signaling, torch.arange(6).split(3), buffers(), device.send)
    next(batches)
    assert all(gathered.acquire(timeout=30) for _ in range(2))
    device.work()


def test_what_goes_wrong_in_the_thread_reaches_the_caller() -> None:
    with pytest.raises(IndexError):
        list(streamed(gather, [torch.tensor([20])], buffers(), Device().send))
