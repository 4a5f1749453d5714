"""Checks of a two-stage metric."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np

from rsbench.metrics.contract import Metric, SumMetric, Unavailable
from rsbench.metrics.evaluate import build
from rsbench.metrics.influence import has_influence, influence
from rsbench.specs import MetricSpec, load_attribute
from rsbench.tasks.task import Outcome
from rsbench.testing.contract import CheckFailure, Checks, Group, NotApplicable, require
from rsbench.testing.trials import TaskTrial, trial_of

CHECKS: Final = Checks()
SAMPLES: Final = 40
CLOSE: Final = 1e-9


def groups(spec: MetricSpec) -> Iterator[Group]:
    """Yield the checks of each task of a metric."""
    for task in spec.tasks:
        name = spec.name if len(spec.tasks) == 1 else f"{spec.name}@{task}"
        yield Group(name, CHECKS, lambda task=task: MetricTrial(spec, task))  # type: ignore[misc]


@dataclass
class MetricTrial:
    """A metric on one task, with made-up outcomes."""

    spec: MetricSpec
    task: str

    @cached_property
    def synthetic(self) -> TaskTrial:
        """Outcomes of the task."""
        return trial_of(self.task)

    @cached_property
    def metric(self) -> Metric:
        """The metric."""
        return build(self.spec, self.synthetic.metric_context())

    def outcome(self, seed: int = 0, *, right: bool = False) -> Outcome:
        """Return made-up predictions and references."""
        return self.synthetic.outcome(SAMPLES, seed, right=right)

    def rows(self, outcome: Outcome) -> np.ndarray:
        """Return the statistics of an outcome.

        Raises:
            NotApplicable: the metric says that it cannot be computed on this machine.
        """
        try:
            return self.metric.statistics(outcome.predictions, outcome.references)
        except Unavailable as error:
            raise NotApplicable(str(error)) from None

    def value(self, outcome: Outcome) -> float:
        """Return the score of an outcome."""
        return self.metric.reduce(self.rows(outcome))

    @cached_property
    def scores(self) -> list[float]:
        """Scores that are defined, of outcomes at random and of one that is all right."""
        outcomes = [*(self.outcome(seed) for seed in range(5)), self.outcome(right=True)]
        return [value for value in map(self.value, outcomes) if not math.isnan(value)]


@CHECKS(
    "golden",
    reason="a metric nobody has checked against a known value may measure something else",
    remedy="give cases with values worked out by hand or by another implementation: golden='module:function'",
)
def golden(trial: MetricTrial) -> None:
    """Every golden example has its value."""
    require(trial.spec.golden, "it names no golden examples")
    cases = list(load_attribute(trial.spec.golden)(trial.spec))  # type: ignore[arg-type]
    require(cases, "it has no golden examples")
    for number, case in enumerate(cases, start=1):
        metric = build(trial.spec, case.context)
        try:
            value = metric.reduce(metric.statistics(case.predictions, case.references))
        except Unavailable as error:
            raise NotApplicable(str(error)) from None
        same = math.isnan(value) if math.isnan(case.value) else abs(value - case.value) <= case.tolerance
        require(same, f"golden example {number} gives {value:.10g}, not {case.value:.10g}")


@CHECKS(
    "statistics",
    reason="samples are resampled as rows of float64",
    remedy="return one row of float64 for each sample from statistics, and a float from reduce",
)
def statistics(trial: MetricTrial) -> None:
    """Statistics are float64 [N, k]; the score is a float."""
    rows = trial.rows(trial.outcome())
    found = f"{rows.dtype} {list(rows.shape)}" if isinstance(rows, np.ndarray) else type(rows).__name__
    good = isinstance(rows, np.ndarray) and rows.dtype == np.float64 and rows.ndim == 2 and len(rows) == SAMPLES
    require(good, f"statistics gave {found}, not float64 [{SAMPLES}, k]")
    value = trial.metric.reduce(rows)
    require(isinstance(value, float), f"reduce gave {type(value).__name__}, not a float")


@CHECKS(
    "range",
    reason="boards, colors and sanity checks take the declared range at its word",
    remedy="mend the metric, or declare the range that it has",
)
def within_range(trial: MetricTrial) -> None:
    """Scores of random and of right predictions lie in the declared range."""
    low, high = (math.inf * s if end is None else end for s, end in zip((-1, 1), trial.spec.range, strict=True))
    require(trial.scores, "it is not defined for any made-up outcome")
    outside = [v for v in trial.scores if not low - CLOSE <= v <= high + CLOSE]
    require(not outside, f"it gave {outside[:1]}, outside of [{low:g}, {high:g}]")


@CHECKS(
    "direction",
    reason="a board that sorts the wrong way up puts the worst first",
    remedy="mend higher_is_better: True, False, or None where neither end is better",
)
def direction(trial: MetricTrial) -> None:
    """Predictions that are all right score no worse than random ones."""
    if trial.spec.higher_is_better is None:
        raise NotApplicable("neither end is declared to be better")
    right, random = trial.value(trial.outcome(right=True)), trial.value(trial.outcome())
    if math.isnan(right) or math.isnan(random):
        raise NotApplicable("it is not defined for one of the two")
    worse = right < random - CLOSE if trial.spec.higher_is_better else right > random + CLOSE
    require(not worse, f"right predictions score {right:.4g}, random ones {random:.4g}")


@CHECKS(
    "proportion",
    reason="a proportion has Wilson's interval, which takes 0 and 1",
    remedy="declare proportion=True where the score is the share of samples whose statistic is 1, and nowhere else",
)
def proportion(trial: MetricTrial) -> None:
    """Rows of what is declared to be a proportion are 0 or 1, and its score is their mean."""
    if not trial.spec.proportion:
        return
    rows = trial.rows(trial.outcome())
    require(rows.shape == (SAMPLES, 1) and bool(np.isin(rows, (0, 1)).all()), "its rows are not one 0 or 1 a sample")
    _same(trial.metric.reduce(rows), float(rows.mean()), "it is declared to be a proportion, but is not the mean:")


@CHECKS(
    "order",
    reason="a score must not depend on the order in which samples are evaluated",
    remedy="let a row depend on its own sample",
)
def order(trial: MetricTrial) -> None:
    """Samples in another order give the same score."""
    outcome = trial.outcome()
    turned = trial.synthetic.take(outcome, np.random.default_rng(1).permutation(SAMPLES))
    _same(trial.value(outcome), trial.value(turned), "of the same samples in another order it is")


@CHECKS(
    "two-stage",
    reason="the bootstrap draws rows in place of samples, which is right only where the two are the same",
    remedy="let a row depend on its own sample, and reduce on nothing but the rows",
)
def two_stage(trial: MetricTrial) -> None:
    """The score of drawn rows is the score of the drawn samples themselves."""
    outcome = trial.outcome()
    rows = trial.rows(outcome)
    for index in _draws():
        direct = trial.value(trial.synthetic.take(outcome, index))
        _same(trial.metric.reduce(rows[index]), direct, "of drawn rows it is not that of the drawn samples, but")


@CHECKS(
    "resampling",
    reason="10,000 draws are made of every test set, single samples and missing classes among them",
    remedy="return NaN where the score is not defined, raise nothing, and let totals be plain sums",
)
def resampling(trial: MetricTrial) -> None:
    """Draws of rows give a number or NaN, rows stay as they are, and sums of rows give what the rows give."""
    rows = trial.rows(trial.outcome())
    before = rows.copy()
    for index in (*_draws(), np.zeros(SAMPLES, dtype=np.int64), np.arange(1)):
        value = trial.metric.reduce(rows[index])
        require(not math.isinf(value), f"a draw of {len(np.unique(index))} samples gives {value}")
        if isinstance(trial.metric, SumMetric):
            totals = trial.metric.summands(rows)[index].sum(axis=0)
            together = trial.metric.from_totals(np.stack([totals, totals]), np.full(2, float(len(index))))
            _same(float(together[1]), value, "of totals it is not that of the rows, but")
    require(np.array_equal(rows, before), "reduce changed its rows")


@CHECKS(
    "derivatives",
    reason="standard errors and ranks follow from a metric's derivatives",
    remedy="mend gradient, or leave it out; where the score has kinks, say smooth = False",
)
def derivatives(trial: MetricTrial) -> None:
    """A metric's own derivatives are those by differences."""
    metric, rows = trial.metric, trial.rows(trial.outcome())
    if not isinstance(metric, SumMetric) or type(metric).gradient is SumMetric.gradient or not has_influence(metric):
        raise NotApplicable("it has none of its own")
    slope = metric.summands(rows) @ SumMetric.gradient(metric, metric.totals(rows), float(SAMPLES))
    own, other = influence(metric, rows), SAMPLES * (slope - slope.mean())
    if not np.isfinite(own).all() or not np.isfinite(other).all():
        raise NotApplicable("they are not defined for the made-up outcome")
    apart = np.abs(own - other).max()
    require(apart <= 1e-6 * max(1.0, np.abs(other).max()), f"they are {apart:.3g} off for a sample")


@CHECKS(
    "input-unchanged",
    reason="all metrics get the same predictions",
    remedy="copy before writing",
)
def input_unchanged(trial: MetricTrial) -> None:
    """A second look at the same outcome gives the same rows."""
    outcome = trial.outcome()
    before = _arrays(outcome)
    rows = trial.rows(outcome)
    after = _arrays(outcome)
    same = all(np.array_equal(a, b, equal_nan=True) for a, b in zip(before, after, strict=True))
    require(same, "it changed its input")
    require(np.array_equal(rows, trial.rows(outcome), equal_nan=True), "a second look gives other rows")


def _draws() -> list[np.ndarray]:
    rng = np.random.default_rng(2)
    return [rng.integers(0, SAMPLES, SAMPLES) for _ in range(5)]


def _arrays(outcome: Outcome) -> list[np.ndarray]:
    """Copies of all numbers in an outcome."""
    values: list[Any] = [outcome.references, *_fields(outcome.predictions), *_fields(outcome.references)]
    return [v.copy() for v in values if isinstance(v, np.ndarray) and v.dtype.kind in "fiu"]


def _fields(value: Any) -> list[Any]:
    return list(vars(value).values()) if hasattr(value, "__dict__") else []


def _same(found: float, expected: float, text: str) -> None:
    if math.isnan(found) and math.isnan(expected):
        return
    if not abs(found - expected) <= CLOSE * max(1.0, abs(expected)):
        raise CheckFailure(f"{text} {found:.8g} and not {expected:.8g}")
