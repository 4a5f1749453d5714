"""Estimators for scene classification that look at no structure in an image."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from rsbench.tasks.context import ModelContext


class MajorityClass:
    """Predicts the class frequencies of the training split, whatever the image."""

    def __init__(self, context: ModelContext) -> None:
        self.classes = context.num_classes

    def fit(self, blocks: Iterable[np.ndarray], labels: np.ndarray) -> None:
        """Count labels; the images are not looked at."""
        del blocks
        self.shares = np.bincount(labels, minlength=self.classes) / len(labels)

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Return the same frequencies float64 [N, K] for each image."""
        return np.tile(self.shares, (len(images), 1))


class PixelStatistics:
    """Multinomial logistic regression on per-band mean and standard deviation, standardized on the training split.

    Fitted by L-BFGS to its optimum, so the result does not depend on a seed.
    """

    def __init__(self, context: ModelContext, l2: float = 1e-3) -> None:
        self.classes, self.l2 = context.num_classes, l2

    def fit(self, blocks: Iterable[np.ndarray], labels: np.ndarray) -> None:
        """Fit to blocks of images [n, C, H, W] and labels int64 [N]."""
        features = np.concatenate([statistics(block) for block in blocks])
        self.mean, spread = features.mean(0), features.std(0)
        self.scale = np.where(spread > 0, spread, 1.0)
        self.weights = fit_logistic((features - self.mean) / self.scale, labels, self.classes, self.l2)

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Return probabilities float64 [N, K]."""
        scaled = (statistics(images) - self.mean) / self.scale
        return _softmax(_with_bias(scaled) @ self.weights)


def statistics(images: np.ndarray) -> np.ndarray:
    """Return [mean of each band, standard deviation of each band], float64 [N, 2 C], in stored units."""
    flat = images.reshape(*images.shape[:2], -1)
    mean = flat.mean(axis=2, dtype=np.float64)
    squares = np.einsum("ncp,ncp->nc", flat, flat, dtype=np.float64) / flat.shape[2]
    return np.concatenate([mean, np.sqrt(np.maximum(squares - mean**2, 0))], axis=1)


def fit_logistic(features: np.ndarray, labels: np.ndarray, classes: int, l2: float) -> np.ndarray:
    """Return coefficients float64 [F + 1, K] (last row: bias) that minimize mean cross entropy + l2 / 2 |W|^2.

    Args:
        features: float64 [N, F].
        labels: int64 [N], from 0 to K - 1.
        classes: K.
        l2: weight of the squared norm of the coefficients but for the bias.
    """
    from scipy.optimize import minimize

    inputs, samples = _with_bias(features), len(labels)
    targets = np.zeros((samples, classes))
    targets[np.arange(samples), labels] = 1.0
    penalty = np.full((inputs.shape[1], 1), l2)
    penalty[-1] = 0.0

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(inputs.shape[1], classes)
        logits = inputs @ weights
        top = logits.max(1, keepdims=True)
        log_p = logits - top - np.log(np.exp(logits - top).sum(1, keepdims=True))
        loss = -(targets * log_p).sum() / samples + 0.5 * (penalty * weights**2).sum()
        gradient = inputs.T @ (np.exp(log_p) - targets) / samples + penalty * weights
        return loss, gradient.ravel()

    start = np.zeros(inputs.shape[1] * classes)
    options = {"maxiter": 500, "ftol": 1e-10, "gtol": 1e-6}
    found = minimize(objective, start, jac=True, method="L-BFGS-B", options=options)
    return found.x.reshape(inputs.shape[1], classes)


def _with_bias(features: np.ndarray) -> np.ndarray:
    return np.concatenate([features, np.ones((len(features), 1))], axis=1)


def _softmax(logits: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits - logits.max(1, keepdims=True))
    return shifted / shifted.sum(1, keepdims=True)
