"""Batches of random numbers on the device, in the shape in which a task's loader gives them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import torch

from rsbench.engine.input.loader import Batch
from rsbench.engine.tasks.base import Job
from rsbench.engine.tasks.vqa import VqaTargets
from rsbench.tasks.captioning import CaptionTargets
from rsbench.tasks.text import END, SPECIAL, START
from rsbench.tasks.vqa import Questions

UNITS: Final = {"classification": "images", "captioning": "captions", "vqa": "questions"}


def batch_of(job: Job, samples: int, device: torch.device) -> Batch:
    """Return a batch of so many images, captions or questions; the same one for the same arguments."""
    generator = torch.Generator().manual_seed(samples)
    images, targets = _TARGETS[job.plan.task](job, samples, generator, device)
    shape = (images, *job.plan.dataset["image_shape"])
    pixels = torch.randn(shape, generator=generator).to(device, memory_format=torch.channels_last)
    return Batch(pixels, targets, np.arange(images))


def smallest(job: Job) -> int:
    """Samples of the smallest batch whose work a sample is that of large ones: the questions about one image."""
    return int(job.plan.recipe["task_options"].get("questions_per_image", 1))


def _labels(job: Job, samples: int, generator: torch.Generator, device: torch.device) -> tuple[int, torch.Tensor]:
    return samples, torch.randint(len(job.data.classes), (samples,), generator=generator).to(device)


def _captions(job: Job, samples: int, generator: torch.Generator, device: torch.device) -> tuple[int, CaptionTargets]:
    """One sentence of full length for each image."""
    length = job.plan.recipe["task_options"]["max_words"] + 2
    tokens = torch.randint(len(SPECIAL), job.outputs(), (samples, length), generator=generator)
    tokens[:, 0], tokens[:, -1] = START, END
    labels = _labels(job, samples, generator, device)[1] if job.data.classes else None
    return samples, CaptionTargets(tokens.to(device), labels)


def _questions(job: Any, samples: int, generator: torch.Generator, device: torch.device) -> tuple[int, VqaTargets]:
    """Questions of full length, as many about each image as in a step of training."""
    together = smallest(job)
    length = job.plan.recipe["task_options"]["max_words"]
    tokens = torch.randint(len(SPECIAL), len(job.vocabulary), (samples, length), generator=generator)
    kinds = torch.arange(samples) % len(job.question_types)
    asked = Questions(tokens.to(device), (torch.arange(samples) // together).to(device), kinds.to(device))
    answers = _labels(job, samples, generator, device)[1]
    counts = torch.full((samples,), torch.nan, device=device)
    return -(-samples // together), VqaTargets(asked, answers, counts, np.arange(samples))


_TARGETS: Final[dict[str, Callable[..., tuple[int, Any]]]] = {
    "classification": _labels,
    "captioning": _captions,
    "vqa": _questions,
}
