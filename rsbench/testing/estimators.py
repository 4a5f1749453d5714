"""Checks of an estimator, a model that is fitted in one go: see the ``Estimator`` contracts in ``rsbench.tasks``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from rsbench.testing.contract import Checks, require
from rsbench.testing.model_trial import ModelTrial
from rsbench.testing.trials import CLASSES

CHECKS: Final = Checks()
IMAGES: Final = 24


@CHECKS(
    "predictions",
    reason="predictions of another form cannot be scored",
    remedy="return what the estimator contract of the task in rsbench.tasks states",
)
def predictions(trial: ModelTrial) -> None:
    """There is one prediction a sample; probabilities sum to 1, answers are numbers of the list."""
    images = _images(trial)
    found = _fitted(trial)(images)
    trial.synthetic.well_formed(found, len(images))


@CHECKS(
    "deterministic",
    reason="a baseline that is not the same twice is no line to compare with",
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


def _fitted(trial: ModelTrial, images: np.ndarray | None = None) -> Callable[[np.ndarray], Any]:
    """Fit an estimator and return how it predicts."""
    return trial.synthetic.fitted(trial.make(), _images(trial) if images is None else images)


def _same(a: Any, b: Any) -> bool:
    return list(a) == list(b) if isinstance(a, list) else np.allclose(a, b, atol=1e-9)
