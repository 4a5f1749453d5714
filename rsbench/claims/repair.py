"""Rule ``repair``: where both the average and the overall of a row are off, can one mistyped part be the cause?"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from rsbench.claims.outcome import FOUND, OPEN, Outcome, outcome
from rsbench.claims.parts import MEANS, POOLED, with_parts
from rsbench.claims.printed import Span, shown, span, weighted
from rsbench.specs import Claim, ClaimSet

Weights = dict[str, Fraction]


def repair_rule(found: ClaimSet) -> Iterator[Outcome]:
    """No other value of one part mends a row whose mean and overall are both off."""
    means = {(c.system, c.place): (c, parts) for c, parts in with_parts(found, MEANS)}
    for overall, parts in with_parts(found, POOLED):
        average = means.get((overall.system, overall.place), (None, {}))[0]
        sizes = {part: claim.n for part, claim in parts.items() if claim.n is not None}
        if average is None or set(sizes) != set(found.parts):
            continue
        total = sum(sizes.values())
        even = {part: Fraction(1, len(parts)) for part in parts}
        by_count = {part: Fraction(n, total) for part, n in sizes.items()}
        pairs = [(average, even), (overall, by_count)]
        if not any(_made(parts, weights).meets(span(whole)) for whole, weights in pairs):
            yield _outcome(found, parts, pairs)


def _made(parts: dict[str, Claim], weights: Weights) -> Span:
    return weighted((span(claim), weights[part]) for part, claim in parts.items())


def _outcome(found: ClaimSet, parts: dict[str, Claim], pairs: list[tuple[Claim, Weights]]) -> Outcome:
    mending, words = [], []
    for part, claim in parts.items():
        needed = [_needed(part, parts, whole, weights) for whole, weights in pairs]
        if needed[0].meets(needed[1]) and needed[0].high >= 0 and needed[0].low <= 1:
            mending.append(part)
        values = [shown((n.low + n.high) / 2, claim, 0) for n in needed]
        words.append(f"{part} {values[0]} for {pairs[0][0].metric} and {values[1]} for {pairs[1][0].metric}")
    system = pairs[0][0].system
    text = f"{system}: no single part mends both; it would take {'; '.join(words)}."
    if mending:
        text = f"{system}: another value of {' or '.join(mending)} alone would mend both."
    return outcome(found, "repair", OPEN if mending else FOUND, [*(w for w, _ in pairs), *parts.values()], text)


def _needed(part: str, parts: dict[str, Claim], whole: Claim, weights: Weights) -> Span:
    """What the part would have to be for the number of the whole to be right."""
    others = _made({p: c for p, c in parts.items() if p != part}, weights)
    rest = span(whole).less(others)
    return Span(rest.low / weights[part], rest.high / weights[part])
