"""By simulation: 95 % intervals hold the truth in 93 to 97 % of 1,000 leaderboards, and ties share a rank as promised."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from rsbench_metrics.confusion import MacroF1, OverallAccuracy

from rsbench.leaderboard.aggregate import Row, Table
from rsbench.leaderboard.rank import rank
from rsbench.metrics.contract import Metric, MetricContext
from rsbench.metrics.intervals import wilson

BOARDS = 1_000
CONTEXT = MetricContext("classification", tuple("abcde"))
ACCURACY = OverallAccuracy(CONTEXT)
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_800)]


def table(metric: Metric, systems: list[np.ndarray], clusters: np.ndarray | None = None) -> Table:
    """A ranked board of systems whose per-sample rows are [N, 1], without stored intervals."""
    rows = [
        Row(
            system=f"system {i}",
            recipe="",
            division="closed",
            seeds=(0, 1),
            mean=metric.reduce(samples),
            deviation=None,
            interval=None,
            metrics={},
            params=None,
            train_seconds=None,
            eval_samples_per_s=None,
            control=False,
            flags=[],
            run_ids=(),
            samples=samples,
            clusters=clusters,
        )
        for i, samples in enumerate(systems)
    ]
    made = Table(
        task="classification",
        dataset="simulated",
        protocol="simulated",
        fingerprint="",
        primary="",
        higher_is_better=True,
        unit="fraction",
        units={},
        metric=metric,
        rows=rows,
        test_samples=len(systems[0]),
    )
    rank(made)
    return made


def coverage(draw: Callable[[np.random.Generator], tuple[Table, float]]) -> float:
    """Share of the intervals of 1,000 boards that hold the truth that each was drawn from."""
    held = []
    for number in range(BOARDS):
        board, truth = draw(np.random.default_rng(number))
        held += [row.interval[0] <= truth <= row.interval[1] for row in board.rows if row.interval]
    return float(np.mean(held))


def right(rng: np.random.Generator, difficulty: np.ndarray, accuracy: float, systems: int) -> list[np.ndarray]:
    """Whether each sample is right, [N, 1], for systems of one true accuracy that err on the same hard samples."""
    p = np.clip(accuracy + difficulty - difficulty.mean(), 0, 1)
    return [(rng.random(len(p)) < p).astype(float)[:, None] for _ in range(systems)]


def test_accuracy() -> None:
    def draw(rng: np.random.Generator) -> tuple[Table, float]:
        return table(ACCURACY, [(rng.random((400, 1)) < 0.8).astype(float) for _ in range(3)]), 0.8

    assert 0.93 <= coverage(draw) <= 0.97


def test_accuracy_averaged_over_seeds() -> None:
    """Three seeds err on the same hard images: the interval is that of the sample, for these seeds' mean."""

    def draw(rng: np.random.Generator) -> tuple[Table, float]:
        p = np.where(rng.random((400, 1)) < 0.3, 0.4, 0.95)
        return table(ACCURACY, [np.mean([rng.random((400, 1)) < p for _ in range(3)], axis=0)]), 0.3 * 0.4 + 0.7 * 0.95

    assert 0.93 <= coverage(draw) <= 0.97


def test_macro_f1() -> None:
    confusion = np.full((5, 5), 0.05) + np.diag([0.75, 0.7, 0.8, 0.65, 0.75])
    confusion /= confusion.sum(1, keepdims=True)
    shares = np.array([0.4, 0.25, 0.15, 0.1, 0.1])
    metric = MacroF1(CONTEXT)
    truth = float(metric.score(confusion * shares[:, None]))
    cells = (confusion * shares[:, None]).ravel()

    def draw(rng: np.random.Generator) -> tuple[Table, float]:
        return table(metric, [rng.choice(25, (600, 1), p=cells).astype(float) for _ in range(2)]), truth

    assert 0.93 <= coverage(draw) <= 0.97


def test_clusters_of_a_hundred_questions() -> None:
    """100 images with 100 questions each, whose accuracies differ from image to image; unclustered ones fail."""
    images = np.repeat(np.arange(100), 100)

    def draw(rng: np.random.Generator, clusters: np.ndarray | None = images) -> tuple[Table, float]:
        p = rng.beta(8, 2, 100)[images, None]
        return table(ACCURACY, [(rng.random((10_000, 1)) < p).astype(float) for _ in range(2)], clusters), 0.8

    assert 0.93 <= coverage(draw) <= 0.97


def test_independent_intervals_of_clustered_questions_would_fail() -> None:
    held = []
    for number in range(BOARDS):
        rng = np.random.default_rng(number)
        p = rng.beta(8, 2, 100)[np.repeat(np.arange(100), 100)]
        low, high = wilson(int((rng.random(10_000) < p).sum()), 10_000)
        held.append(low <= 0.8 <= high)
    assert np.mean(held) < 0.6


@pytest.mark.parametrize("clustered", [False, True])
def test_two_equal_systems_share_a_rank(clustered: bool) -> None:
    """A test at the 5 % level separates two systems of one accuracy on about one board in twenty."""
    images = np.repeat(np.arange(100), 4)
    shared = []
    for number in range(BOARDS):
        rng = np.random.default_rng(number)
        systems = [(rng.random((400, 1)) < rng.beta(4, 1, 100)[images, None]).astype(float) for _ in range(2)]
        board = table(ACCURACY, systems, images if clustered else None)
        shared.append([row.rank for row in board.rows] == [1, 1])
    if clustered:
        assert 0.93 <= np.mean(shared) <= 0.97
    else:
        assert np.mean(shared) < 0.93  # what ignoring the images does


def test_five_equal_systems_share_a_rank() -> None:
    """Holm's correction keeps the promise for the whole board: at least 95 % of the boards have one rank."""
    shared = []
    for number in range(BOARDS):
        rng = np.random.default_rng(number)
        difficulty = rng.normal(0, 0.15, 500)
        board = table(ACCURACY, right(rng, difficulty, 0.8, 5))
        shared.append({row.rank for row in board.rows} == {1})
    assert np.mean(shared) >= 0.95 - 2 * np.sqrt(0.05 * 0.95 / BOARDS)


def test_unequal_systems_are_separated() -> None:
    """Eight points apart on 1,000 samples: power is near one."""
    separated = []
    for number in range(200):
        rng = np.random.default_rng(number)
        systems = [(rng.random((1_000, 1)) < p).astype(float) for p in (0.88, 0.8)]
        separated.append([row.rank for row in table(ACCURACY, systems).rows] == [1, 2])
    assert np.mean(separated) > 0.95
