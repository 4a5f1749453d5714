"""Two levels of variation against reference values, and ranks and letters against their definitions."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import combinations
from itertools import pairwise as neighbors
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rsbench_metrics.confusion import OverallAccuracy

from rsbench.metrics.contract import MeanMetric, MetricContext
from rsbench.metrics.influence import effects, units_of
from rsbench.metrics.intervals import holm
from rsbench.metrics.ranking import LEVEL, letter_display, pairwise, standings
from rsbench.metrics.two_level import Result, SeedTerm, System, difference, pool, seed_term, single, summarize, t_test

GOLDEN = json.loads((Path(__file__).parent.parent / "golden" / "two_level.json").read_text())
CASES = {case["name"]: case for case in GOLDEN["cases"]}
METRIC = OverallAccuracy(MetricContext("classification"))
FIELDS = {"difference": "value", "mean": "value", "p": "p", "se": "se", "df": "df"}


def close(expected: Any) -> Any:
    return None if expected is None else pytest.approx(expected, rel=1e-8, abs=1e-14)


def systems(case: dict[str, Any]) -> dict[str, System]:
    """The systems of a case, from the predictions in it."""
    clusters = np.array(case["clusters"]) if "clusters" in case else None
    found = {}
    for name, seeds in case["systems"].items():
        rows = [np.array([float(c) for c in seed])[:, None] for seed in seeds]
        apart = [effects(METRIC, r, clusters) for r in rows]
        found[name] = summarize(
            [METRIC.reduce(r) for r in rows], [e for e in apart if e is not None], units_of(rows[0], clusters)
        )
    return found


def same(found: Result | None, expected: dict[str, Any]) -> None:
    if expected["low"] is None:
        assert found is None
        return
    assert found is not None
    assert found.interval == close((expected["low"], expected["high"]))
    for name in FIELDS.keys() & expected.keys():
        assert getattr(found, FIELDS[name]) == close(expected[name]), name


@pytest.mark.parametrize("name", CASES)
def test_board_equals_reference(name: str) -> None:
    case = CASES[name]
    found = systems(case)
    common = pool(found.values())
    assert vars(common) == close(case["pool"])
    for key, expected in case["per_system"].items():
        one = found[key]
        assert (one.mean, len(one.scores), one.v1) == close((expected["mean"], expected["k"], expected["v1"]))
        assert one.s2 == close(expected["s2"])
        assert one.c == close(expected["c"])
        assert one.identical is expected["identical"]
        term = seed_term(one, common)
        same(term and single(one, term), expected["single"])
    for pair, expected in case["pairs"].items():
        a, b = pair.split(" - ")
        same(difference(found[a], found[b], common), expected)


@pytest.mark.parametrize("name", CASES)
def test_ranking_equals_reference(name: str) -> None:
    case = CASES[name]
    found, expected = systems(case), CASES[name]["ranking"]
    common = pool(found.values())
    assert [k for k in found if seed_term(found[k], common) is None] == expected["unranked"]
    order = sorted(found.keys() - set(expected["unranked"]), key=lambda k: -found[k].mean)
    assert order == expected["order"]
    adjusted = dict(zip(combinations(order, 2), holm(pairwise([found[k] for k in order], common)), strict=True))
    for pair, value in expected["holm"].items():
        a, b = pair.split(" - ")
        assert adjusted.get((a, b), adjusted.get((b, a))) == close(value)
    made = dict(zip(order, standings([found[k] for k in order], common), strict=True))
    assert {k: s.rank for k, s in made.items()} == expected["rank"]
    assert {k: [s.low, s.high] for k, s in made.items()} == expected["rank_interval"]
    assert {k: s.low for k, s in made.items()} == expected["raw_rank"]
    for (a, b), value in adjusted.items():
        assert bool({*made[a].letters} & {*made[b].letters}) == (value >= LEVEL)
    for above, below in neighbors(order):
        assert made[below].adjusted == adjusted[above, below]


@pytest.mark.parametrize("case", GOLDEN["summary_cases"], ids=lambda c: f"{c['a']['k']}-{c['b']['k']}")
def test_summary_equals_reference(case: dict[str, Any]) -> None:
    sides = case["a"], case["b"]
    variance = sum((s["tau"] - s["c"]) / s["k"] for s in sides)
    spread = sum((s["tau"] / s["k"]) ** 2 / s["df"] for s in sides)
    same(t_test(case["difference"], case["v_samples"], case["units"], variance, spread), case["expected"])


def random_systems(n: int, seeds: int, units: int = 40) -> list[System]:
    rng = np.random.default_rng(n)
    rows = rng.random((n, seeds, units, 1)) < np.linspace(0.9, 0.5, n)[:, None, None, None]
    found = []
    for runs in rows.astype(float):
        found.append(summarize([METRIC.reduce(r) for r in runs], [effects(METRIC, r) for r in runs], units))  # type: ignore[misc]
    return sorted(found, key=lambda s: -s.mean)


def test_all_pairs_by_products_are_the_pairs_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """In blocks, and with systems whose difference cancels: twins, and one that differs in next to nothing."""
    found = random_systems(9, 3)
    nudged = summarize(found[2].scores, [found[2].effects + 1e-9 * found[3].effects] * 3, 40)
    found = sorted([*found, found[2], nudged], key=lambda s: -s.mean)
    common = pool(found)
    expected = [float(difference(a, b, common).p) for a, b in combinations(found, 2)]  # type: ignore[union-attr]
    assert pairwise(found, common) == pytest.approx(np.array(expected), rel=1e-9)
    monkeypatch.setattr("rsbench.metrics.ranking.BLOCK", 30)
    assert pairwise(found, common) == pytest.approx(np.array(expected), rel=1e-9)


@settings(deadline=None, max_examples=300)
@given(st.floats(0.01, 200), st.floats(0.2, 1e7), st.floats(1e-280, 1))
def test_a_bound_never_calls_a_p_value_smaller_than_it_is(t: float, df: float, least: float) -> None:
    found = Result(*map(np.array, (t, 1.0, df)))
    assert found.p < least or not found.below(least)
    assert Result(*map(np.array, (40.0, 1.0, df + 20.0))).below(1e-6), "it is of no use"


@pytest.mark.parametrize("gap", [0.0, 0.15, 0.4])
def test_p_values_that_decide_nothing_change_nothing(gap: float) -> None:
    """Two groups of systems, of which the neighbors between the groups lie nearer or farther apart than others."""
    found = [*random_systems(8, 3, 900), *random_systems(13, 3, 900)]
    found = [replace(s, scores=tuple(np.array(s.scores) - gap * (k % 2))) for k, s in enumerate(found)]
    found.sort(key=lambda s: -s.mean)
    common = pool(found)
    whole, few = pairwise(found, common), pairwise(found, common, deciding=True)
    assert 20 < (few == 0).sum() < len(few) - 20
    assert (few[few > 0] == whole[few > 0]).all()
    adjusted = dict(zip(combinations(range(21), 2), holm(whole), strict=True))
    made = standings(found, common)
    assert [s.low for s in made] == [1 + sum(adjusted[i, k] <= LEVEL for i in range(k)) for k in range(21)]
    assert [s.high for s in made] == [21 - sum(adjusted[k, j] <= LEVEL for j in range(k + 1, 21)) for k in range(21)]
    assert [s.adjusted for s in made[1:]] == [adjusted[k, k + 1] for k in range(20)]


def test_a_run_under_several_seeds_is_deterministic() -> None:
    one = random_systems(1, 1)[0]
    copies = summarize(one.scores * 3, [one.effects] * 3, one.units)
    assert copies.identical
    assert pool([copies]).df == 0
    assert seed_term(copies, pool([copies])) == SeedTerm()
    assert single(copies, SeedTerm()).df == one.units - 1


def test_nothing_varies() -> None:
    """All right against all wrong, each time: no variance at all."""
    right, wrong = (summarize([v] * 2, [np.zeros(9)] * 2, 9) for v in (1.0, 0.0))
    apart, alike = difference(right, wrong, pool([])), difference(right, right, pool([]))
    assert apart is not None
    assert alike is not None
    assert (apart.p, *apart.interval, alike.p) == (0, 1, 1, 1)


def test_level_is_five_percent() -> None:
    """Two systems told apart at p = .04 and two that are not at p = .06; deterministic ones, so that p is a t test's."""
    rng = np.random.default_rng(0)
    e = rng.normal(size=1000)
    e *= 1 / np.sqrt((e**2).sum())
    for p, ranks in ((0.04, [1, 2]), (0.06, [1, 1])):
        from scipy import stats

        gap = stats.t.isf(p / 2, 999)
        found = [summarize([m] * 2, [w] * 2, 1000) for m, w in ((gap, e), (0.0, np.zeros(1000)))]
        made = standings(found, pool(found))
        assert [s.rank for s in made] == ranks
        assert made[1].p == pytest.approx(p)


@settings(deadline=None, max_examples=200)
@given(
    st.integers(1, 9).flatmap(
        lambda n: st.tuples(st.just(n), st.sets(st.sampled_from(list(combinations(range(9), 2)))))
    )
)
def test_systems_share_a_letter_exactly_where_they_are_alike(drawn: tuple[int, set[tuple[int, int]]]) -> None:
    n, apart = drawn
    alike = np.ones((n, n), dtype=bool)
    for i, j in apart:
        if j < n:
            alike[i, j] = alike[j, i] = False
    letters = letter_display(alike)
    for i, j in combinations(range(n), 2):
        assert bool({*letters[i]} & {*letters[j]}) == alike[i, j]
    columns = {name: {i for i in range(n) if name in letters[i]} for found in letters for name in found}
    assert all(letters)
    assert not any(a < b for a in columns.values() for b in columns.values()), "a letter says nothing of its own"
    assert "".join(sorted(letters[0])).startswith("a")


def test_many_pairs_of_twins_have_few_letters() -> None:
    """Thirty systems, each unlike its twin and like all others: 2^15 largest sets, of which thirty do."""
    alike = np.ones((30, 30), dtype=bool)
    for i in range(0, 30, 2):
        alike[i, i + 1] = alike[i + 1, i] = False
    assert len({name for found in letter_display(alike) for name in found}) <= 30


@pytest.mark.parametrize("n", [300, 1000])
def test_many_rows_of_a_known_order_come_out_in_it(n: int) -> None:
    """Each a sure step below the one above, over seeds too: 10,000 resamples could not tell more than 251 apart."""
    rng = np.random.default_rng(n)
    base, found = rng.normal(size=200), []
    for step in range(n):
        seeds = [base - 0.2 * step + 0.05 * rng.normal(size=200) + 0.005 * rng.normal() for _ in range(3)]
        apart = [effects(Mean(), s[:, None]) for s in seeds]
        found.append(summarize([float(s.mean()) for s in seeds], [e for e in apart if e is not None], 200))
    made = standings(found, pool(found))
    assert [s.rank for s in made] == list(range(1, n + 1))
    assert all((s.low, s.high) == (s.rank, s.rank) for s in made)
    assert len({s.letters for s in made}) == n


def test_a_chain_of_ties_does_not_share_the_first_rank() -> None:
    """Nineteen systems, of which no two neighbors are told apart, but the first from the last beyond all doubt."""
    rng = np.random.default_rng(0)
    hard = rng.random((1, 400))
    found = []
    for p in np.linspace(0.90, 0.64, 19):
        rows = (0.5 * hard + 0.5 * rng.random((3, 400)) < p).astype(float)[:, :, None]
        found.append(summarize([METRIC.reduce(r) for r in rows], [effects(METRIC, r) for r in rows], 400))  # type: ignore[misc]
    found.sort(key=lambda s: -s.mean)
    made = standings(found, pool(found))
    assert all(s.adjusted is None or s.adjusted >= LEVEL for s in made)
    assert made[0].rank == 1 < made[-1].rank
    assert not {*made[0].letters} & {*made[-1].letters}


class Mean(MeanMetric):
    """The mean of the rows."""

    def statistics(self, predictions: np.ndarray, references: object) -> np.ndarray:
        return predictions
