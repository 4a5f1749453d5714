"""Rule ``predicted``: recalls and F1 scores of all classes say how often each was predicted, in all once a sample."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from math import ceil, floor

from rsbench.claims.outcome import FOUND, HOLDS, OPEN, Outcome, outcome
from rsbench.claims.printed import Span, last_digit, raw, span
from rsbench.specs import Claim, ClaimSet

# How often a class of n samples was predicted, above and below the line: by its F1 score f = 2 TP / (n + predicted) and
# the printed accuracy a, read as recall TP / n or as precision TP / predicted.
Formula = Callable[[int, Fraction, Fraction], tuple[Fraction, Fraction]]


def _recall(n: int, a: Fraction, f: Fraction) -> tuple[Fraction, Fraction]:
    return n * (2 * a - f), f


def _precision(n: int, a: Fraction, f: Fraction) -> tuple[Fraction, Fraction]:
    return n * f, 2 * a - f


def predicted_rule(found: ClaimSet) -> Iterator[Outcome]:
    """Some classifier that predicts one class for each sample has the accuracies and F1 scores of a table."""
    tables: dict[tuple[str, str], dict[str, dict[str, Claim]]] = {}
    for claim in found.rows:
        if claim.metric in ("accuracy", "f1") and claim.part and claim.relation == "=" and not claim.minus:
            tables.setdefault((claim.system, claim.place), {}).setdefault(claim.part, {})[claim.metric] = claim
    for (system, place), rows in tables.items():
        pairs = [(rows.get(part, {}).get("accuracy"), rows.get(part, {}).get("f1")) for part in found.parts]
        known = [(a, f) for a, f in pairs if a and f and a.n and a.runs == 1]
        if known and len(known) == len(pairs):
            status, text = _predicted(known)
            claims = [claim for pair in known for claim in pair]
            yield outcome(found, "predicted", status, claims, f"{system}, {place}: {text}")


def _predicted(rows: list[tuple[Claim, Claim]]) -> tuple[str, str]:
    total = sum(a.n or 0 for a, _ in rows)
    as_recall, as_precision = (_sum(rows, formula, total) for formula in (_recall, _precision))
    text = (
        f"accuracies, F1 scores and sizes of the classes add up to {_shown(as_recall)} predictions of {total} samples"
    )
    if as_recall.low <= total <= as_recall.high:
        return HOLDS, f"{text}."
    text += f" (read as precisions, the accuracies give {_shown(as_precision)})"
    if as_precision.low <= total <= as_precision.high:
        return OPEN, f"{text}; what is called accuracy may be precision."
    return FOUND, f"{text}."


def _sum(rows: list[tuple[Claim, Claim]], formula: Formula, total: int) -> Span:
    """What the printed digits allow, rounded or cut off: a class is predicted from never to *total* times."""
    low = high = Fraction(0)
    for accuracy, f1 in rows:
        a, f = (_may_be(claim) for claim in (accuracy, f1))
        ends = [formula(accuracy.n or 0, *pair) for pair in ((a.low, f.high), (a.high, f.low))]
        values = [above / below if below > 0 else Fraction(total) for above, below in ends]
        within = [min(max(value, Fraction(0)), Fraction(total)) for value in values]
        low, high = low + min(within), high + max(within)
    return Span(low, high)


def _may_be(claim: Claim) -> Span:
    return Span(max(Fraction(0), span(claim).low), raw(claim) + last_digit(claim))


def _shown(found: Span) -> str:
    return f"{ceil(found.low)} to {floor(found.high)}"
