from __future__ import annotations

import numpy as np
import pytest
from rsbench_baselines.classification import MajorityClass, PixelStatistics, statistics

from rsbench.tasks.context import ModelContext


def context(classes: int) -> ModelContext:
    return ModelContext(task="classification", channels=3, size=8, classes=tuple(str(k) for k in range(classes)))


def blobs(seed: int = 0, n: int = 400, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    center = rng.uniform(60, 200, (classes, 3))[labels]
    images = rng.normal(center[:, :, None, None], 40 + 5 * labels[:, None, None, None], (n, 3, 8, 8))
    return np.clip(images, 0, 255).astype(np.uint8), labels


def test_statistics_equal_numpy() -> None:
    images, _ = blobs()
    expected = np.concatenate([images.mean((2, 3)), images.astype(float).std((2, 3))], axis=1)
    assert np.allclose(statistics(images), expected)
    assert np.allclose(statistics(images.astype(np.uint16) * 257), 257 * expected)


def test_pixel_statistics_equals_scikit_learn() -> None:
    from sklearn.linear_model import LogisticRegression

    images, labels = blobs()
    model = PixelStatistics(context(4), l2=1e-2)
    model.fit(iter([images[:150], images[150:]]), labels)
    features = statistics(images)
    scaled = (features - features.mean(0)) / features.std(0)
    theirs = LogisticRegression(C=1 / (1e-2 * len(labels)), tol=1e-8, max_iter=5000).fit(scaled, labels)
    assert np.allclose(model.predict(images), theirs.predict_proba(scaled), atol=2e-3)
    assert (model.predict(images).argmax(1) == labels).mean() > 0.8


def test_classes_without_training_samples_and_constant_bands() -> None:
    images, labels = blobs()
    images[:, 1] = 7
    model = PixelStatistics(context(6))
    model.fit([images], labels)
    p = model.predict(images)
    assert p.shape == (400, 6)
    assert np.allclose(p.sum(1), 1)
    assert p.argmax(1).max() < 4


def test_majority() -> None:
    model = MajorityClass(context(3))
    model.fit([], np.array([0, 2, 2, 1]))
    assert model.predict(np.zeros((2, 3, 8, 8), np.uint8)) == pytest.approx(np.array([[0.25, 0.25, 0.5]] * 2))
