"""Rule ``kappa``: Cohen's kappa against the confusion matrices that the class rows allow."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from rsbench.claims.outcome import FOUND, HOLDS, OPEN, Outcome, outcome
from rsbench.claims.parts import correct, with_parts
from rsbench.claims.printed import Span, quoted, shown, span
from rsbench.specs import ClaimSet


def kappa_rule(found: ClaimSet) -> Iterator[Outcome]:
    """A printed kappa is one that some confusion matrix with these class counts and accuracies has."""
    for whole, parts in with_parts(found, {"cohen_kappa": "accuracy"}):
        claims = [whole, *parts.values()]
        possible = [correct(claim) for claim in parts.values()]
        if any(part not in parts for part in found.parts) or any(len(k) != 1 for k in possible):
            text = f"{whole.system}, cohen_kappa: the class rows do not give one count of correct samples each."
            yield outcome(found, "kappa", OPEN, claims, text)
            continue
        sizes = [claim.n or 0 for claim in parts.values()]
        made = bounds(sizes, [k[0] for k in possible])
        status = HOLDS if made.meets(span(whole)) else FOUND
        text = (
            f"{whole.system}, cohen_kappa: wherever the errors fall, these class rows give {shown(made.low, whole)} to "
            f"{shown(made.high, whole)}, {'and' if status == HOLDS else 'but'} {quoted(whole)} is printed."
        )
        yield outcome(found, "kappa", status, claims, text)


def bounds(sizes: list[int], right: list[int]) -> Span:
    """Return the least and the greatest kappa of all confusion matrices with these rows.

    Chance agreement is the sum over classes of row total times column total; what a row's errors add to it is least
    where all fall in the smallest other class and greatest where all fall in the largest.
    """
    total = sum(sizes)
    agreement = Fraction(sum(right), total)
    least = greatest = sum(n * k for n, k in zip(sizes, right, strict=True))
    for c, (n, k) in enumerate(zip(sizes, right, strict=True)):
        others = sizes[:c] + sizes[c + 1 :]
        least += (n - k) * min(others)
        greatest += (n - k) * max(others)
    low, high = (Fraction(chance, total**2) for chance in (least, greatest))
    return Span((agreement - high) / (1 - high), (agreement - low) / (1 - low))
