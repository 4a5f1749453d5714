"""Checks of an estimator, a model that is fitted in one go: see the ``Estimator`` contracts in ``rsbench.tasks``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from rsbench.tasks.vqa import Questions
from rsbench.testing.contract import Checks, Inapplicable, require
from rsbench.testing.model_trial import ModelTrial
from rsbench.testing.trials import CLASSES, SENTENCES

CHECKS: Final = Checks()
IMAGES: Final = 24
Answering = Callable[[np.ndarray], Any]


@CHECKS(
    "predictions",
    reason="predictions of another form cannot be scored",
    remedy="return what the estimator contract of the task in rsbench.tasks states",
)
def predictions(trial: ModelTrial) -> None:
    """There is one prediction a sample; probabilities sum to 1, answers are numbers of the list."""
    images = _images(trial)
    found = _fitted(trial)(images)
    _well_formed(trial, found, len(images))


@CHECKS(
    "deterministic",
    reason="a control that is not the same twice is no line to compare with",
    remedy="draw from a generator seeded with context.seed",
)
def deterministic(trial: ModelTrial) -> None:
    """Two fits to the same data predict the same."""
    images = _images(trial)
    require(_same(_fitted(trial)(images), _fitted(trial)(images)), "two fits to the same data predict otherwise")


@CHECKS(
    "batch-independent",
    reason="the engine asks in blocks whose length it chooses",
    remedy="let a prediction depend on its own image alone",
)
def batch_independent(trial: ModelTrial) -> None:
    """Predictions of parts are those of the whole."""
    images, predict = _images(trial), _fitted(trial)
    whole = predict(images)
    first = predict(images[:5])
    require(_same(whole[: len(first)], first), "an image in a larger block is predicted otherwise")


@CHECKS(
    "input-unchanged",
    reason="blocks are views of the prepared data on disk",
    remedy="copy before writing",
)
def input_unchanged(trial: ModelTrial) -> None:
    """Fitting and predicting write nothing into the images."""
    images = _images(trial)
    before = images.copy()
    _fitted(trial, images)(images)
    require(np.array_equal(images, before), "it changed its input")


def _images(trial: ModelTrial) -> np.ndarray:
    """Return uint8 [N, C, S, S], classes told apart by brightness."""
    rng = np.random.default_rng(3)
    level = 20 * (np.arange(IMAGES) % len(CLASSES))[:, None, None, None]
    noise = rng.integers(0, 40, (IMAGES, trial.channels, trial.size, trial.size))
    return (level + noise).astype(np.uint8)


def _fitted(trial: ModelTrial, images: np.ndarray | None = None) -> Answering:
    """Fit an estimator and return how it predicts."""
    images = _images(trial) if images is None else images
    estimator, labels = trial.make(), np.arange(len(images)) % len(CLASSES)
    if trial.task == "classification":
        estimator.fit(_blocks(images), labels)
        return estimator.predict
    if trial.task == "captioning":
        sentences = [[SENTENCES[k % len(SENTENCES)], SENTENCES[(k + 1) % len(SENTENCES)]] for k in labels]
        estimator.fit(_blocks(images), sentences, labels)
        return estimator.caption
    if trial.task == "vqa":
        questions = _questions(trial, len(images))
        estimator.fit(
            _blocks(images), questions, np.arange(len(questions)) % len(trial.made_up.metric_context().classes)
        )
        return lambda part: estimator.answer(part, _questions(trial, len(part)))
    raise Inapplicable(f"the kit knows no estimators of task '{trial.task}'")


def _blocks(images: np.ndarray) -> list[np.ndarray]:
    return [images[:10], images[10:]]


def _questions(trial: ModelTrial, images: int) -> Questions:
    import torch

    asked = trial.made_up.arguments(torch.zeros(images, 1, 1, 1))[1]
    return Questions(asked.tokens.numpy(), asked.image.numpy(), asked.kind.numpy())


def _well_formed(trial: ModelTrial, found: Any, images: int) -> None:
    if trial.task == "captioning":
        require(len(found) == images, f"{len(found)} captions for {images} images")
        require(all(isinstance(text, str) for text in found), "a caption is not text")
        return
    values = np.asarray(found)
    if trial.task == "vqa":
        asked, answers = len(_questions(trial, images)), len(trial.made_up.metric_context().classes)
        require(values.shape == (asked,), f"answers have shape {list(values.shape)}, not [{asked}]")
        require(
            values.dtype.kind == "i" and (values >= 0).all() and (values < answers).all(),
            "an answer is no number of the list",
        )
        return
    require(values.shape == (images, len(CLASSES)), f"shape {list(values.shape)}, not [{images}, {len(CLASSES)}]")
    require(np.isfinite(values).all() and (values >= 0).all(), "a probability is negative or not finite")
    require(np.allclose(values.sum(1), 1, atol=1e-6), "the probabilities of an image do not sum to 1")


def _same(a: Any, b: Any) -> bool:
    return list(a) == list(b) if isinstance(a, list) else np.allclose(a, b, atol=1e-9)
