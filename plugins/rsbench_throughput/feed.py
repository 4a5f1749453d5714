"""How long training waits for data: windows fed by the engine's loader beside windows on a batch that is there.

The images are random integers in memory, more of them than caches hold; the loader shuffles, gathers, flips, casts and
normalizes them as it does those of a dataset, and keeps them on the device where they fit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Any, Final

import numpy as np
import torch

from rsbench.engine.input.augmentation import Augmentation
from rsbench.engine.input.loader import ArrayLoader, Batch
from rsbench.engine.input.normalization import Normalization
from rsbench.engine.memory import is_out_of_memory, release
from rsbench_throughput.points import Timer
from rsbench_throughput.record import data_wait_share
from rsbench_throughput.subject import Workload
from rsbench_throughput.windows import warm_up

STORE_BYTES: Final = 1 << 27
FLIPS: Final = {"hflip": 0.5, "vflip": 0.5}


def data_wait(subject: Workload, samples: int, meter: Timer) -> dict[str, Any] | None:
    """Return the record's entry for training on batches of so many samples; ``None`` where memory ran out."""
    subject.reset_compiled()  # CUDA graphs of the sweep's largest batch hold memory
    release(meter.device)
    try:
        return _measured(subject, samples, meter)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    release(meter.device)
    return None


def _measured(subject: Workload, samples: int, meter: Timer) -> dict[str, Any]:
    """Time both kinds of window in turn, so that what else the machine does meets both."""
    learn, known = subject.learning(), subject.batch(samples)
    stream = endless(loader_of(known.images.shape, meter.device))
    still = replace(known, images=next(stream).images.clone())

    def fed() -> None:
        learn(replace(known, images=next(stream).images))

    steps = warm_up(meter.clock, fed, meter.rules, meter.check).steps
    meter.clock.window(lambda: learn(still), 1)
    fed_s, still_s = [], []
    for _ in range(meter.rules["windows"]):
        meter.check()
        fed_s.append(meter.clock.window(fed, steps))
        still_s.append(meter.clock.window(lambda: learn(still), steps))
    share = data_wait_share(fed_s, still_s)
    return {"batch": samples, "steps": steps, "fed_s": fed_s, "still_s": still_s, "share": share}


def loader_of(shape: tuple[int, ...], device: torch.device) -> ArrayLoader:
    """Return a loader whose batches of images have the shape [B, C, S, S], from at least two batches of them."""
    batch, channels = shape[:2]
    images = max(2 * batch, STORE_BYTES // int(np.prod(shape[1:])))
    return ArrayLoader(
        np.random.default_rng(0).integers(0, 256, (images, *shape[1:]), dtype=np.uint8),
        np.arange(images),
        np.zeros(images, dtype=np.int64),
        np.arange(images),
        batch=batch,
        device=device,
        normalization=Normalization((127.5,) * channels, (74.0,) * channels),
        bands=list(range(channels)),
        augmentation=Augmentation(FLIPS),
    )


def endless(loader: ArrayLoader) -> Iterator[Batch]:
    """Yield the batches of one training epoch after another."""
    for epoch in count():
        yield from loader.training_epoch(epoch)
