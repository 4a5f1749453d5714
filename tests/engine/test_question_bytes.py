"""How many bytes of images are read for the questions of RSVQA-LR, at its full numbers and with tiny images."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from rsbench_vqa.training import EVALUATION_IMAGES, QuestionTargets

from rsbench.engine.input.cpu_images import CpuImages
from rsbench.engine.input.loader import ArrayLoader, Group
from rsbench.engine.input.normalization import Normalization

CPU = torch.device("cpu")
IMAGES, TRAINING_IMAGES, QUESTIONS = 772, 572, 77_232


class Counting(ArrayLoader):
    """Counts the bytes that leave the store."""

    moved = 0

    def _rows(self, groups: list[Group]) -> np.ndarray:
        rows = super()._rows(groups)
        assert isinstance(self.source, CpuImages)
        self.moved += len(rows) * self.source.stored[0].nbytes
        return rows


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.arange(IMAGES * 3 * 4, dtype=np.uint32).view(np.uint8).reshape(IMAGES, 3, 4, 4)


@pytest.fixture(scope="module")
def image_index() -> np.ndarray:
    """The image of each question: 100 an image, and one more for the first 32."""
    return np.repeat(np.arange(IMAGES), 100 + (np.arange(IMAGES) < 32))


def loader(
    images: np.ndarray, image_index: np.ndarray, samples: np.ndarray, together: int | None, batch: int
) -> Counting:
    zeros = np.zeros(QUESTIONS, dtype=np.int64)
    tokens, counts = zeros[:, None] + 4, zeros.astype(np.float32)
    targets = QuestionTargets(tokens, zeros, zeros, counts, image_index, samples, together, seed=0)
    plain = Normalization((0.0,) * 3, (1.0,) * 3)
    items, bands = np.arange(len(targets)), [0, 1, 2]
    return Counting(images, targets.image, targets, items, batch=batch, device=CPU, normalization=plain, bands=bands)


def one_image_a_question(images: np.ndarray, image_index: np.ndarray, samples: np.ndarray) -> int:
    """Bytes that a loader reads which returns an image and a question for each index."""
    return sum(images[image_index[k]].nbytes for k in samples)


def test_training_reads_an_image_once_for_sixteen_questions(images: np.ndarray, image_index: np.ndarray) -> None:
    samples = np.flatnonzero(image_index < TRAINING_IMAGES)
    made = loader(images, image_index, samples, 16, 512 // 16)
    asked = [len(batch.targets) for batch in made.training_epoch(0)]
    parts = TRAINING_IMAGES * 7  # 100 questions in parts of at most 16
    assert made.moved == parts // 32 * 32 * images[0].nbytes
    assert sum(asked) >= len(samples) - 4 * 16  # what an incomplete last batch leaves out
    assert one_image_a_question(images, image_index, samples) / made.moved >= 14


def test_evaluation_reads_every_image_once(images: np.ndarray, image_index: np.ndarray) -> None:
    samples = np.flatnonzero(image_index >= TRAINING_IMAGES + 100)
    made = loader(images, image_index, samples, None, EVALUATION_IMAGES)
    assert sum(len(batch.targets) for batch in made.in_order()) == len(samples) == 10_000
    assert made.moved == 100 * images[0].nbytes
    assert one_image_a_question(images, image_index, samples) == 100 * made.moved


def test_each_question_comes_with_the_pixels_of_its_image(images: np.ndarray, image_index: np.ndarray) -> None:
    made = loader(images, image_index, np.arange(QUESTIONS), 16, 32)
    batch = next(made.training_epoch(3))
    seen = batch.images[batch.targets.questions.image].numpy().astype(np.uint8)
    assert np.array_equal(seen, images[image_index[batch.targets.index]])
