"""The closed answers of RSVQA: how a free answer becomes one of them.

Rules of Lobry et al. 2020, RSVQA: Visual Question Answering for Remote Sensing Data; of its two sets, LR (low
resolution) counts in bins, and HR (high resolution) bins areas and counts exactly.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

ANSWERS_LR: Final = (
    "yes",
    "no",
    "rural",
    "urban",
    "0",
    "between 0 and 10",
    "between 10 and 100",
    "between 100 and 1000",
    "more than 1000",
)
TYPES_LR: Final = ("rural_urban", "presence", "count", "comp")
TYPES_HR: Final = ("area", "presence", "count", "comp")
EDGES: Final = (0, 10, 100, 1000)


def bucket(count: int, unit: str = "") -> str:
    """Return the bin of a *count* >= 0, whose lower bound is exclusive and upper bound inclusive; 0 is its own.

    *unit* is put after each number: ``bucket(10, "m2")`` is ``"between 0m2 and 10m2"``.
    """
    if count == 0:
        return f"0{unit}"
    for low, high in pairwise(EDGES):
        if count <= high:
            return f"between {low}{unit} and {high}{unit}"
    return f"more than {EDGES[-1]}{unit}"


def plain(text: str) -> str:
    """Return *text* in lower case with single spaces between words, without one final ``?`` or ``.``."""
    text = " ".join(text.lower().split())
    return text[:-1].rstrip() if text.endswith(("?", ".")) else text


def canonical_answer(text: str, variant: str = "LR") -> str:
    """Return *text* as :func:`plain` does, binned where it is a number of ASCII digits.

    Args:
        text: an answer, such as ``"Yes"``, ``"12"`` or, in HR, ``"85m2"``.
        variant: ``LR`` bins counts; ``HR`` bins areas (digits and ``m2``) and leaves counts.
    """
    text = plain(text)
    unit = {"LR": "", "HR": "m2"}[variant]
    number = text.removesuffix(unit)
    binned = text.endswith(unit) and number.isascii() and number.isdigit()
    if not binned:
        return text
    # Generated answers may run to more digits than int() reads; five tell the bin.
    return bucket(int(number.lstrip("0")[:5] or "0"), unit)
