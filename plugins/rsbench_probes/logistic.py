"""Multinomial logistic regression for many strengths of its penalty.

The objective is that of scikit-learn's ``LogisticRegression``: the sum of cross entropies times C, plus half the
squared norm of the coefficients but for the intercepts.  Features are standardized, turned into their principal axes
and scaled there by about the curvature that the objective has, which makes L-BFGS need fewer passes than with features
as they are; optimum and penalty stay what they are.  Products over the samples are in float32, all else in float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch

FLATTEST: Final = 1e-3  # curvature that is reckoned with where nearly all are told apart
EXACT: Final = 1e-6  # probabilities are then the optimum's to some 1e-4
LOOSE: Final = 1e-4  # in a sweep; the accuracy that decides is the optimum's to about .05 points
PASSES: Final = 1000
BLOCK: Final = 256  # samples that stay in a processor's cache between the two products of a pass
SMALLEST: Final = 1e-12  # share of the largest variance below which an axis is none


@dataclass(frozen=True)
class Solution:
    """Coefficients float64 [K, D] and intercepts float64 [K] for features as they are given, and the passes taken."""

    weight: torch.Tensor
    bias: torch.Tensor
    passes: int


class Regression:
    """Logistic regression on one training set.

    Args:
        features: float32 [N, D], on the device that computes.
        labels: int64 [N].
        classes: K.
        standardize: subtract the mean and divide by the deviation of each feature.
    """

    def __init__(self, features: torch.Tensor, labels: torch.Tensor, classes: int, *, standardize: bool = True) -> None:
        exact = features.double()
        self.mean = exact.mean(0)
        spread = exact.std(0, unbiased=False)
        self.scale = (
            torch.where(spread > 0, spread, torch.ones_like(spread)) if standardize else torch.ones_like(spread)
        )
        centered = ((exact - self.mean) / self.scale).float()
        samples, width = centered.shape
        if samples < width:
            _, values, axes = torch.linalg.svd(centered.double(), full_matrices=False)
            variances, axes = values**2 / samples, axes.T
        else:
            variances, axes = torch.linalg.eigh((centered.T @ centered).double() / samples)
        kept = variances > SMALLEST * variances.max()
        self.variances, self.axes = variances[kept], axes[:, kept]
        ones = torch.ones(samples, 1, device=features.device)
        inputs = torch.cat([centered @ self.axes.float(), ones], dim=1)
        targets = torch.nn.functional.one_hot(labels, classes).float()
        block = samples if features.is_cuda else BLOCK
        self.samples = samples
        self.blocks = [(x, y.T.contiguous()) for x, y in zip(inputs.split(block), targets.split(block), strict=True)]
        self.curvature = (1 - 1 / classes) / classes  # mean of p (1 - p), at first of a guess that knows nothing
        self.coefficients = torch.zeros(classes, inputs.shape[1], dtype=torch.float64, device=features.device)

    def start(self, found: Solution) -> None:
        """Let the next fit start from a solution, of another training set maybe."""
        turned = (found.weight * self.scale) @ self.axes
        self.coefficients = torch.cat([turned, (found.bias + found.weight @ self.mean)[:, None]], dim=1)
        self._cross_entropy(self.coefficients.float())

    def fit(self, c: float, tolerance: float = EXACT) -> Solution:
        """Return the optimum for *c*, starting from that of the call before.

        Args:
            c: inverse strength of the penalty.
            tolerance: largest derivative of the mean cross entropy by a scaled coefficient.
        """
        samples = self.samples
        strength = 1 / (c * samples)
        one = torch.ones(1, dtype=torch.float64, device=self.variances.device)
        curvature = max(self.curvature, FLATTEST)
        scale = 1 / torch.cat([curvature * self.variances + strength, curvature * one]).sqrt()
        penalty = torch.cat([torch.full_like(self.variances, strength), 0 * one])
        scaled = (self.coefficients / scale).requires_grad_(True)
        passes = 0

        @torch.no_grad()
        def closure() -> float:
            nonlocal passes
            passes += 1
            weights = scaled * scale
            cross_entropy, gradient = self._cross_entropy(weights.float())
            scaled.grad = scale * (gradient / samples + penalty * weights)
            return float(cross_entropy / samples + 0.5 * (penalty * weights**2).sum())

        optimizer = torch.optim.LBFGS(
            [scaled],
            max_iter=PASSES,
            max_eval=PASSES,
            history_size=20,
            tolerance_grad=tolerance,
            tolerance_change=1e-12,
            line_search_fn="strong_wolfe",
        )
        optimizer.step(closure)
        self.coefficients = (scaled * scale).detach()
        weight = (self.coefficients[:, :-1] @ self.axes.T) / self.scale
        # A softmax is the same for all intercepts moved alike; scikit-learn's sum to zero, as these do from zero on.
        return Solution(weight, self.coefficients[:, -1] - weight @ self.mean, passes)

    def _cross_entropy(self, weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the sum of cross entropies, and its derivative by the weights float32 [K, D + 1], in float64."""
        total = torch.zeros((), dtype=torch.float64, device=weights.device)
        gradient = torch.zeros_like(weights, dtype=torch.float64)
        spread = torch.zeros((), device=weights.device)
        for inputs, targets in self.blocks:
            log_p = torch.log_softmax(weights @ inputs.T, dim=0)
            total -= (targets * log_p).sum()
            # With the samples last, since a product of two tall matrices is several times slower on a CPU.
            p = log_p.exp()
            gradient += (p - targets) @ inputs
            spread += (p - p * p).sum()
        self.curvature = float(spread) / (self.samples * len(weights))
        return total, gradient
