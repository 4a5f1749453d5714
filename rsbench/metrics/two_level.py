"""Systems compared over test samples and training seeds: both are drawn anew when a recipe is tried again.

The variance of a difference is a paired one over samples plus one over seeds, which is moderated: few seeds say little,
so that each system's own variance is drawn towards that of all systems under the protocol (Smyth 2004, Linear Models
and Empirical Bayes Methods).  Degrees of freedom are Satterthwaite's (1946).  Nothing is drawn at random.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from scipy import special

NU_MAX: Final = 3.0  # degrees of freedom that the pool is worth at most
POOL_SHARE: Final = 4.0  # degrees of freedom of the pool for each that it is worth
CAP: Final = 10.0  # times the median; one collapsed run must not hide all differences
LEAST_POOL: Final = 6.0  # degrees of freedom from which on a system of one seed may borrow
ROUNDING: Final = 1e-9  # relative, of a bound
SAME: Final = 1e-9  # relative, of seeds that are one deterministic run


@dataclass(frozen=True)
class System:
    """What the runs of one system, one a seed, say of a metric on one test set.

    Attributes:
        scores: of each seed.
        effects: float64 [U], the mean over seeds of :func:`rsbench.metrics.influence.effects`.
        units: samples or clusters that are drawn; U but for metrics that are resampled.
        v1: sampling variance of one seed's score.
        s2: variance of the scores over seeds; c: the part of it that the samples which a seed flips explain;
            both ``None`` for one seed.
        identical: all seeds are one and the same run.
    """

    scores: tuple[float, ...]
    effects: np.ndarray = field(repr=False)
    units: int
    v1: float
    s2: float | None = None
    c: float | None = None
    identical: bool = False

    @property
    def mean(self) -> float:
        """The mean score."""
        return float(np.mean(self.scores))


@dataclass(frozen=True)
class Pool:
    """The variance over seeds of all systems under a protocol, relative to the sampling variance of one seed's score.

    Attributes:
        df: degrees of freedom, summed over systems; nu: those that it is worth beside a system's own.
        rho: variance over seeds; kappa: the part of it that flipped samples explain.
    """

    df: float = 0.0
    nu: float = 0.0
    rho: float = 0.0
    kappa: float = 0.0


@dataclass(frozen=True)
class SeedTerm:
    """What seeds add to the variance of a mean score, and to the denominator of Satterthwaite's formula."""

    variance: float = 0.0
    spread: float = 0.0


@dataclass(frozen=True)
class Result:
    """A difference of two means, or one mean, over samples and seeds; numbers, or arrays of one shape.

    Attributes:
        se, df: standard error, and degrees of freedom where it is not 0.
    """

    value: np.ndarray
    se: np.ndarray
    df: np.ndarray

    @property
    def p(self) -> np.ndarray:
        """Two-sided p-value of a difference of 0."""
        with np.errstate(divide="ignore", invalid="ignore"):
            tails = 2 * special.stdtr(self.df, -np.abs(self.value) / self.se)
        return np.where(self.se > 0, tails, self.value == 0)

    def below(self, least: float) -> np.ndarray:
        """Return where the p-value is surely below *least*, by a bound that costs little (Wallace 1959, Bounds on
        Normal Approximations to Student's and the Chi-Square Distributions): its normal deviate is at least this."""
        with np.errstate(divide="ignore", invalid="ignore"):
            squared = (self.df - 0.5) * np.log1p((self.value / self.se) ** 2 / self.df)
        return squared > special.ndtri(least / 2) ** 2 * (1 + ROUNDING)

    @property
    def interval(self) -> tuple[np.ndarray, np.ndarray]:
        """Ends of the 95 % interval."""
        half = np.where(self.se > 0, special.stdtrit(self.df, 0.975) * self.se, 0.0)
        return self.value - half, self.value + half


def summarize(scores: Sequence[float], effects: Sequence[np.ndarray], units: int) -> System:
    """Return what the seeds of a system say.

    Args:
        scores: k, one a seed.
        effects: k arrays [U] of :func:`rsbench.metrics.influence.effects`.
        units: samples or clusters drawn.
    """
    w = np.stack(effects)
    mean = w.mean(axis=0)
    v1 = float((w**2).sum(axis=1).mean())
    k = len(scores)
    if k == 1:
        return System(tuple(scores), mean, units, v1)
    s2, apart = float(np.var(scores, ddof=1)), (w - mean) ** 2
    identical = bool(np.ptp(scores) <= SAME * np.max(np.abs(scores)) and (apart <= SAME**2 * v1).all())
    return System(tuple(scores), mean, units, v1, s2, float(apart.sum() / (k - 1)), identical)


def pool(systems: Iterable[System]) -> Pool:
    """Return the pool of systems under one protocol; those of one seed or one deterministic run say nothing to it."""
    found = [(len(s.scores) - 1, s.s2 / s.v1, s.c / s.v1) for s in systems if _pooled(s)]  # type: ignore[operator]
    if not found:
        return Pool()
    d, r, explained = np.array(found).T
    cap = CAP * np.median(r * d / special.chdtri(d, 0.5))
    df = float(d.sum())
    return Pool(
        df, min(NU_MAX, df / POOL_SHARE), float((d * np.minimum(r, cap)).sum() / df), float((d * explained).sum() / df)
    )


def _pooled(system: System) -> bool:
    return system.s2 is not None and not system.identical and system.v1 > 0


def seed_term(system: System, pool: Pool) -> SeedTerm | None:
    """Return what seeds add; ``None`` where a single seed has no pool to borrow from."""
    k = len(system.scores)
    if system.identical:
        return SeedTerm()
    if k == 1 and pool.df < LEAST_POOL:
        return None
    s2, c = system.s2 or 0.0, pool.kappa * system.v1 if system.c is None else system.c
    df = pool.nu + k - 1
    tau = (pool.nu * pool.rho * system.v1 + (k - 1) * s2) / df
    return SeedTerm((tau - c) / k, (tau / k) ** 2 / df)


def t_test(
    value: np.ndarray | float,
    v: np.ndarray | float,
    units: np.ndarray | int,
    variance: np.ndarray | float,
    spread: np.ndarray | float,
) -> Result:
    """Return a difference or a mean with its uncertainty.

    Args:
        value: the difference or mean.
        v: its variance over samples, for the seeds that there are.
        units: samples or clusters drawn.
        variance, spread: sums of what :class:`SeedTerm` holds, over the systems in it.
    """
    value, v = np.asarray(value, dtype=np.float64), np.asarray(v, dtype=np.float64)
    total = np.maximum(v, v + variance)
    with np.errstate(divide="ignore", invalid="ignore"):
        df = total**2 / (v**2 / (units - 1) + spread)
    return Result(value, np.sqrt(total), df)


def single(system: System, term: SeedTerm) -> Result:
    """Return a system's mean score; with an empty term over samples alone."""
    return t_test(system.mean, (system.effects**2).sum(), system.units, term.variance, term.spread)


def singles(systems: Sequence[System], terms: Sequence[SeedTerm]) -> Result:
    """Return :func:`single` of each system, as arrays [S]."""
    facts = [(s.mean, (s.effects**2).sum(), s.units, t.variance, t.spread) for s, t in zip(systems, terms, strict=True)]
    return t_test(*np.array(facts, dtype=np.float64).reshape(-1, 5).T)


def difference(a: System, b: System, pool: Pool) -> Result | None:
    """Return the difference a - b on the same test samples; ``None`` where a single seed has no pool."""
    terms = seed_term(a, pool), seed_term(b, pool)
    if terms[0] is None or terms[1] is None:
        return None
    return _apart(a, b, terms[0].variance + terms[1].variance, terms[0].spread + terms[1].spread)


def over_samples(a: System, b: System) -> Result:
    """Return the difference a - b of the very runs that there are, which says nothing of other seeds."""
    return _apart(a, b, 0.0, 0.0)


def _apart(a: System, b: System, variance: float, spread: float) -> Result:
    return t_test(a.mean - b.mean, ((a.effects - b.effects) ** 2).sum(), a.units, variance, spread)
