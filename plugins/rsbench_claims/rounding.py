"""Printed digits as exact numbers: what a value may have been before it was rounded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from typing import Final

from rsbench.specs import Claim

FACTORS: Final = {"%": Fraction(1, 100), "x100": Fraction(1, 100), "M": Fraction(10**6), "": Fraction(1)}


@dataclass(frozen=True, slots=True)
class Span:
    """All numbers from *low* to *high*, both included."""

    low: Fraction
    high: Fraction

    def meets(self, other: Span) -> bool:
        """Whether the two have a number in common."""
        return self.low <= other.high and other.low <= self.high

    def overlaps(self, other: Span) -> bool:
        """Whether they have more in common than a tie that was rounded up in one and down in the other."""
        return self.low < other.high and other.low < self.high

    def less(self, other: Span) -> Span:
        """What the difference of a number here and a number there may be."""
        return Span(self.low - other.high, self.high - other.low)


def raw(claim: Claim) -> Fraction:
    """The printed value as a raw score: a percentage as a fraction of 1, millions as units."""
    return Fraction(claim.value) * FACTORS[claim.unit]


def last_digit(claim: Claim) -> Fraction:
    """What one step of the last printed digit is, as a raw score."""
    decimals = len(claim.value.partition(".")[2])
    return Fraction(1, 10**decimals) * FACTORS[claim.unit]


def span(claim: Claim) -> Span:
    """Raw scores that round to the printed digits; a tie may have been rounded either way."""
    half = last_digit(claim) / 2
    return Span(raw(claim) - half, raw(claim) + half)


def weighted(spans: Iterable[tuple[Span, Fraction]]) -> Span:
    """What the sum of numbers times weights of 0 or more may be."""
    low = high = Fraction(0)
    for one, weight in spans:
        low, high = low + weight * one.low, high + weight * one.high
    return Span(low, high)


def counts(claim: Claim, n: int) -> range:
    """All k for which k/n rounds to the printed digits."""
    inside = span(claim)
    return range(max(0, ceil(inside.low * n)), min(n, floor(inside.high * n)) + 1)


def cut_counts(claim: Claim, n: int) -> range:
    """All k for which k/n begins with the printed digits, as where the rest has been cut off."""
    end = ceil((raw(claim) + last_digit(claim)) * n)
    return range(max(0, ceil(raw(claim) * n)), min(n + 1, end))


def shown(value: Fraction, like: Claim, more: int = 2) -> str:
    """A raw score as *like* prints its own, with *more* decimals."""
    decimals = len(like.value.partition(".")[2]) + more
    text = f"{float(value / FACTORS[like.unit]):.{decimals}f}"
    return text.removeprefix("0") if like.value.startswith(".") else text


def quoted(claim: Claim) -> str:
    """The digits as printed, with their unit."""
    return with_unit(claim.value, claim)


def with_unit(text: str, like: Claim) -> str:
    """Digits with the unit that *like* is printed in."""
    return f"{text} {like.unit}".rstrip()
