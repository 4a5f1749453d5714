"""Ranks from the comparison of every system with every other, at 5 % for the whole table (Holm 1979)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final, TypeVar

import numpy as np

from rsbench.cores import usable_cores
from rsbench.metrics.intervals import holm_steps
from rsbench.metrics.two_level import Pool, Result, System, seed_term, t_test

LEVEL: Final = 0.05
LETTERED: Final = 1_000  # systems; more have no letters, which nobody would read
BLOCK: Final = 500_000  # pairs, or numbers, that are worked on at once
CANCELED: Final = 1e-4  # of the systems' variances; a smaller one of their difference is not taken from products


Place = TypeVar("Place", int, np.ndarray)


@dataclass(frozen=True)
class Standing:
    """Where a system stands among S.

    Attributes:
        rank: the largest, of this system and those with better means, of 1 + number of significantly better ones.
        low, high: 1 + number significantly better, S - number significantly worse.
        letters: two systems share one exactly where they are not significantly different; none where S > LETTERED.
        p, adjusted: against the system above; ``None`` for the first.
    """

    rank: int
    low: int
    high: int
    letters: tuple[str, ...]
    p: float | None = None
    adjusted: float | None = None


def standings(systems: Sequence[System], pool: Pool) -> list[Standing]:
    """Return where each of the systems stands, which come best mean first and were tested on the same samples.

    Raises:
        ValueError: a system has one seed, and the pool is too small to borrow from.
    """
    n = len(systems)
    p = pairwise(systems, pool, deciding=True)
    ordered, steps = holm_steps(p)
    rejected = int(np.searchsorted(steps, LEVEL))
    apart = np.zeros((n, n), dtype=bool)
    for i in range(n if rejected else 0):
        apart[i, i + 1 :] = p[_place(i, i + 1, n) : _place(i, n, n)] <= ordered[rejected - 1]
    better, worse = apart.sum(axis=0), apart.sum(axis=1)
    ranks = np.maximum.accumulate(1 + better)
    letters = letter_display(~(apart | apart.T)) if n <= LETTERED else [()] * n
    found = [Standing(int(ranks[i]), int(1 + better[i]), int(n - worse[i]), letters[i]) for i in range(n)]
    for i in range(1, n):
        above = float(p[_place(i - 1, i, n)])
        found[i] = replace(found[i], p=above, adjusted=float(steps[np.searchsorted(ordered, above)]))
    return found


def pairwise(systems: Sequence[System], pool: Pool, *, deciding: bool = False) -> np.ndarray:
    """Return the p-values of all pairs, float64 [S (S - 1) / 2], in the order of ``numpy.triu_indices(S, 1)``.

    Args:
        deciding: only where a p-value may decide something; it is 0 where it is surely so small that whatever it is,
            Holm rejects it, and it is too small to matter to an adjusted one of two neighbors.

    Raises:
        ValueError: a system has one seed, and the pool is too small to borrow from.
    """
    n = len(systems)
    if n < 2:
        return np.empty(0)
    terms = [seed_term(system, pool) for system in systems]
    if any(term is None for term in terms):
        raise ValueError("a system of one seed has no pool to borrow from")
    variance = np.array([t.variance for t in terms if t is not None])
    spread = np.array([t.spread for t in terms if t is not None])
    means = np.array([s.mean for s in systems])

    def test(i: np.ndarray, j: np.ndarray, v: np.ndarray) -> Result:
        return t_test(means[i] - means[j], v, systems[0].units, variance[i] + variance[j], spread[i] + spread[j])

    p = _variances(np.stack([s.effects for s in systems]))  # they become p-values block by block
    above = np.arange(n - 1)
    neighbors = test(above, above + 1, p[_place(above, above + 1, n)]).p
    least = min(LEVEL, neighbors.min()) / len(p) if deciding else 0.0
    with ThreadPoolExecutor(usable_cores()) as threads:
        for start, stop in _blocks(n):
            i = np.repeat(np.arange(start, stop), np.arange(n - 1 - start, n - 1 - stop, -1))
            j = np.concatenate([np.arange(k + 1, n) for k in range(start, stop)])
            part = p[_place(start, start + 1, n) : _place(stop, stop + 1, n)]
            found = test(i, j, part)
            wanted = ~found.below(least)
            part[:] = 0
            part[wanted] = np.concatenate([*threads.map(_p, _parts(found, wanted))])
    return p


def _p(part: Result) -> np.ndarray:
    """What takes longest; SciPy computes it outside of the interpreter's lock."""
    return part.p


def _parts(whole: Result, wanted: np.ndarray) -> Iterator[Result]:
    """Yield the *wanted* results of about as many pairs for each core."""
    return map(Result, *(np.array_split(each[wanted], usable_cores()) for each in (whole.value, whole.se, whole.df)))


def _blocks(n: int) -> Iterator[tuple[int, int]]:
    """Yield the first row, and that after the last, of blocks of the pairs of n."""
    step = max(1, BLOCK // n)
    return ((start, min(start + step, n)) for start in range(0, n, step))


def _variances(effects: np.ndarray) -> np.ndarray:
    """Variance over samples of the differences of all pairs.

    By one product; where that would cancel, from the differences themselves.
    """
    n = len(effects)
    own = np.einsum("ij,ij->i", effects, effects)
    found = np.empty(n * (n - 1) // 2)
    for start, stop in _blocks(n):
        sums = own[start:stop, None] + own[start:]
        v = effects[start:stop] @ effects[start:].T
        v *= -2
        v += sums
        near = np.argwhere(v < CANCELED * sums)
        near = near[near[:, 0] < near[:, 1]]
        for part in np.array_split(near, 1 + near.size * effects.shape[1] // BLOCK):
            a, b = start + part.T
            v[part[:, 0], part[:, 1]] = ((effects[a] - effects[b]) ** 2).sum(axis=1)
        for k, row in enumerate(v, start):
            found[_place(k, k + 1, n) : _place(k, n, n)] = row[k + 1 - start :]
    return found


def _place(i: Place, j: Place, n: int) -> Place:
    """Where the pair i < j of n stands."""
    return i * (2 * n - i - 1) // 2 + j - i - 1


def letter_display(alike: np.ndarray) -> list[tuple[str, ...]]:
    """Return the letters of systems so that two share one exactly where they are *alike*, bool [S, S].

    A compact letter display (Piepho 2004, An Algorithm for a Letter-Based Representation of All-Pairwise Comparisons).
    A letter is given to a largest set of systems that are alike, and sets are added until every such pair is in one
    (the heuristic of Gramm et al. 2008, Algorithms for Compact Letter Displays); all largest sets would be up to
    2^(S/2).
    """
    n = len(alike)
    packed = np.packbits(alike & ~np.eye(n, dtype=bool), axis=1, bitorder="little")
    partners = [int.from_bytes(row.tobytes(), "little") for row in packed]
    open_ = list(partners)  # those that share no letter yet
    letters: list[list[str]] = [[] for _ in range(n)]
    given = 0
    for i in range(n):
        while open_[i] or not letters[i]:
            members = _grown(i, partners, open_[i])
            together, name = sum(1 << k for k in members), letter(given)
            for k in members:
                open_[k] &= ~together
                letters[k].append(name)
            given += 1
    return [tuple(found) for found in letters]


def _grown(first: int, partners: Sequence[int], wanted: int) -> list[int]:
    """Return a set of systems that are all alike and to which none can be added, the wanted before the others."""
    members, left = [first], partners[first]
    while left:
        chosen = left & wanted or left
        k = (chosen & -chosen).bit_length() - 1
        members.append(k)
        left &= partners[k]
    return members


def letter(number: int) -> str:
    """Return a, b, ... z, aa, ab, ... for 0, 1, ..."""
    text = ""
    number += 1
    while number:
        number, place = divmod(number - 1, 26)
        text = chr(ord("a") + place) + text
    return text
