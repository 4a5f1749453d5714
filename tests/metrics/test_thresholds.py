"""The numbers at which a rank, a pool or a formula changes: just below them and just above."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from rsbench.metrics.ranking import pairwise, standings
from rsbench.metrics.two_level import Pool, System, pool, seed_term, summarize

UNITS = 200


def fixed(mean: float, effects: np.ndarray) -> System:
    """A system whose seeds are one deterministic run, so that samples alone make its score uncertain."""
    return System((mean, mean), effects, UNITS, float((effects**2).sum()), 0.0, 0.0, identical=True)


def effects(seed: int, scale: float = 0.001) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, scale, UNITS)


@pytest.mark.parametrize(("p", "rank"), [(0.0499, 2), (0.0501, 1)])
def test_two_systems_are_told_apart_below_five_percent(p: float, rank: int) -> None:
    e = effects(0)
    t = stats.t.isf(p / 2, UNITS - 1)
    found = standings([fixed(0.9, e), fixed(0.9 - t * np.sqrt((e**2).sum()), np.zeros(UNITS))], Pool())
    assert found[1].p == pytest.approx(p, rel=1e-6)
    assert [s.rank for s in found] == [1, rank]


def test_no_system_ranks_above_one_with_a_better_mean() -> None:
    """The third is told from nobody, since its score is so uncertain; the second is behind the first."""
    systems = [fixed(0.9, effects(1)), fixed(0.8, effects(2)), fixed(0.79, effects(3, scale=1.0))]
    found = standings(systems, Pool())
    assert [s.rank for s in found] == [1, 2, 2]
    assert [(s.low, s.high) for s in found] == [(1, 2), (2, 3), (1, 3)]
    assert [s.letters for s in found] == [("a",), ("b",), ("a", "b")]


def test_all_but_equal_systems_are_compared_by_their_differences() -> None:
    """Products of effects of .1 hold a variance of 1e-20 in none of their digits."""
    e, apart = effects(4, scale=0.1), effects(5, scale=1e-11)
    difference = 2.5 * np.sqrt((apart**2).sum())
    (p,) = pairwise([fixed(difference, e + apart), fixed(0.0, e)], Pool())
    assert p == pytest.approx(2 * stats.t.sf(2.5, UNITS - 1), rel=1e-4)


def trained(seed: int, seeds: int) -> System:
    rng = np.random.default_rng(seed)
    each = [effects(100 * seed + k) for k in range(seeds)]
    return summarize(list(0.9 + rng.normal(0, 0.003, seeds)), each, UNITS)


@pytest.mark.parametrize(("systems", "nu"), [(2, 1.0), (4, 2.0), (6, 3.0), (20, 3.0)])
def test_a_pool_is_worth_a_quarter_of_its_degrees_of_freedom_and_at_most_three(systems: int, nu: float) -> None:
    found = pool(trained(k, seeds=3) for k in range(systems))
    assert (found.df, found.nu) == (2 * systems, nu)


@pytest.mark.parametrize(("sizes", "borrows"), [((3, 3, 2), False), ((3, 3, 3), True)])
def test_a_system_of_one_seed_borrows_from_six_degrees_of_freedom_on(sizes: tuple[int, ...], borrows: bool) -> None:
    found = pool(trained(k, seeds=n) for k, n in enumerate(sizes))
    assert (seed_term(trained(9, seeds=1), found) is not None) == borrows


def test_seeds_add_nothing_to_a_deterministic_run_whatever_they_do_to_others() -> None:
    others = pool(trained(k, seeds=3) for k in range(4))
    assert others.rho > 0
    alike = summarize([0.9, 0.9], [effects(0), effects(0)], UNITS)
    term = seed_term(alike, others)
    assert term is not None
    assert (term.variance, term.spread) == (0.0, 0.0)
