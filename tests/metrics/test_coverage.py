"""By simulation: 95 % intervals hold the truth in 93 to 97 % of 1,000 test sets, and equal systems stay together."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
from rsbench_metrics.confusion import MacroF1, OverallAccuracy

from rsbench.metrics.contract import Metric, MetricContext
from rsbench.metrics.influence import effects, units_of
from rsbench.metrics.intervals import wilson
from rsbench.metrics.ranking import standings
from rsbench.metrics.two_level import SeedTerm, System, difference, pool, seed_term, single, summarize

BOARDS = 1_000
CONTEXT = MetricContext("classification", tuple("abcde"))
ACCURACY = OverallAccuracy(CONTEXT)
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_800)]


def system(metric: Metric, seeds: list[np.ndarray], clusters: np.ndarray | None = None) -> System:
    apart = [e for rows in seeds if (e := effects(metric, rows, clusters)) is not None]
    return summarize([metric.reduce(rows) for rows in seeds], apart, units_of(seeds[0], clusters))


def coverage(draw: Callable[[np.random.Generator], tuple[System, float]]) -> float:
    """Share of the intervals of 1,000 test sets, over samples alone, that hold the truth they were drawn from."""
    held = []
    for number in range(BOARDS):
        found, truth = draw(np.random.default_rng(number))
        low, high = single(found, SeedTerm()).interval
        held.append(low <= truth <= high)
    return float(np.mean(held))


def test_accuracy() -> None:
    def draw(rng: np.random.Generator) -> tuple[System, float]:
        return system(ACCURACY, [(rng.random((400, 1)) < 0.8).astype(float)]), 0.8

    assert 0.93 <= coverage(draw) <= 0.97


def test_accuracy_of_these_very_seeds() -> None:
    """Three seeds err on the same hard images."""

    def draw(rng: np.random.Generator) -> tuple[System, float]:
        p = np.where(rng.random((400, 1)) < 0.3, 0.4, 0.95)
        seeds = [(rng.random((400, 1)) < p).astype(float) for _ in range(3)]
        return system(ACCURACY, seeds), 0.3 * 0.4 + 0.7 * 0.95

    assert 0.93 <= coverage(draw) <= 0.97


def test_macro_f1() -> None:
    confusion = np.full((5, 5), 0.05) + np.diag([0.75, 0.7, 0.8, 0.65, 0.75])
    confusion /= confusion.sum(1, keepdims=True)
    cells = confusion * np.array([0.4, 0.25, 0.15, 0.1, 0.1])[:, None]
    metric = MacroF1(CONTEXT)
    truth = float(metric.score(np.diag(cells), cells.sum(1), cells.sum(0), 1.0))

    def draw(rng: np.random.Generator) -> tuple[System, float]:
        return system(metric, [rng.choice(25, (600, 1), p=cells.ravel()).astype(float)]), truth

    assert 0.93 <= coverage(draw) <= 0.97


def test_clusters_of_a_hundred_questions() -> None:
    """100 images with 100 questions each, whose accuracies differ from image to image; unclustered ones fail."""
    images = np.repeat(np.arange(100), 100)

    def draw(rng: np.random.Generator, clusters: np.ndarray | None = images) -> tuple[System, float]:
        p = rng.beta(8, 2, 100)[images, None]
        return system(ACCURACY, [(rng.random((10_000, 1)) < p).astype(float)], clusters), 0.8

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
    """Runs that have no luck of the seed: a test at the 5 % level separates two of one accuracy once in twenty."""
    images = np.repeat(np.arange(100), 4)
    shared = []
    for number in range(BOARDS):
        rng = np.random.default_rng(number)
        p = [rng.beta(4, 1, 100)[images, None] for _ in range(2)]
        rows = [(rng.random((400, 1)) < one).astype(float) for one in p]
        found = [system(ACCURACY, [r, r], images if clustered else None) for r in rows]
        found.sort(key=lambda s: -s.mean)
        shared.append([s.rank for s in standings(found, pool(found))] == [1, 1])
    if clustered:
        assert 0.93 <= np.mean(shared) <= 0.97
    else:
        assert np.mean(shared) < 0.9  # four questions about an image are no four samples


@pytest.mark.parametrize("deviation", [0.0, 0.003, 0.006])
@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_luck_of_the_seed_sets_no_equal_systems_apart(seeds: int, deviation: float) -> None:
    """Six recipes of one true accuracy: pairs, boards with any pair apart, and intervals of one recipe's mean.

    Samples and seeds are drawn anew for each board, as in statistics.md: difficulty shared by all (variance .7), a
    system's own (.1), a seed's own (.2), and a threshold for the seed's true accuracy .83 + deviation z.
    """
    from scipy.special import ndtri

    pairs, boards, held = [], [], []
    for number in range(400):
        rng = np.random.default_rng([number, seeds])
        hard = np.sqrt(0.7) * rng.normal(size=5_400)
        found = []
        for _ in range(6):
            own = hard + np.sqrt(0.1) * rng.normal(size=5_400)
            threshold = ndtri(0.83 + deviation * rng.normal(size=seeds))
            runs = [own + np.sqrt(0.2) * rng.normal(size=5_400) < t for t in threshold]
            found.append(system(ACCURACY, [run.astype(float)[:, None] for run in runs]))
        found.sort(key=lambda s: -s.mean)
        common = pool(found)
        pairs += [difference(a, b, common).p < 0.05 for a, b in combinations(found, 2)]  # type: ignore[union-attr]
        boards.append(max(s.rank for s in standings(found, common)) > 1)
        for one in found:
            low, high = single(one, seed_term(one, common) or SeedTerm()).interval
            held.append(low <= 0.83 <= high)
    assert np.mean(pairs) <= 0.07
    assert np.mean(boards) <= 0.07
    assert 0.92 <= np.mean(held) <= 0.985
