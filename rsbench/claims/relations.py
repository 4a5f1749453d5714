"""Rules ``relation``, ``difference`` and ``unit``: what a sentence says about numbers that are printed elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from operator import gt, lt

from rsbench.claims.outcome import FOUND, HOLDS, OPEN, Outcome, outcome
from rsbench.claims.printed import quoted, raw, shown, span
from rsbench.registry import registry
from rsbench.specs import Claim, ClaimSet


def relation_rule(found: ClaimSet) -> Iterator[Outcome]:
    """A number that is said to be above (below) another is printed so wherever it is printed."""
    for bound in found.rows:
        if bound.relation == "=":
            continue
        holds = gt if bound.relation == ">" else lt
        if bound.minus:
            yield from _of_difference(found, bound)
        for claim in found.rows:
            if claim.relation == "=" and _same(bound, claim):
                good = holds(raw(claim), raw(bound))
                name = f"{claim.part} {claim.metric}".strip()
                text = (
                    f"{bound.system}: {bound.place} says {name} {bound.relation} {bound.value}, "
                    f"{'and' if good else 'but'} {quoted(claim)} is printed ({claim.place})."
                )
                yield outcome(found, "relation", HOLDS if good else FOUND, [bound, claim], text)


def _of_difference(found: ClaimSet, bound: Claim) -> Iterator[Outcome]:
    """A difference that is said to be above (below) a number, against that of the printed ones."""
    a, b = (_number(found, system, bound) for system in (bound.system, bound.minus))
    if a is None or b is None:
        return
    made = span(a).less(span(b))
    good = made.high > raw(bound) if bound.relation == ">" else made.low < raw(bound)
    text = (
        f"{bound.system}: {bound.place} says {bound.metric} less that of {bound.minus} {bound.relation} {bound.value}, "
        f"{'and' if good else 'but'} {a.value} less {b.value} is {shown(raw(a) - raw(b), a, 0)} ({a.place})."
    )
    yield outcome(found, "relation", HOLDS if good else FOUND, [bound, a, b], text)


def _same(bound: Claim, claim: Claim) -> bool:
    parts = bool(claim.part) if bound.part == "*" else claim.part == bound.part
    return parts and (claim.system, claim.metric, claim.minus) == (bound.system, bound.metric, bound.minus)


def difference_rule(found: ClaimSet) -> Iterator[Outcome]:
    """A difference of two systems is that of their printed numbers."""
    for claim in found.rows:
        if not claim.minus or claim.relation != "=":
            continue
        a, b = (_number(found, system, claim) for system in (claim.system, claim.minus))
        if a is None or b is None:
            text = f"{claim.system} less {claim.minus}, {claim.metric}: not both numbers are given."
            yield outcome(found, "difference", OPEN, [claim], text)
            continue
        good = span(a).less(span(b)).meets(span(claim))
        made = shown(raw(a) - raw(b), claim, 0)
        text = (
            f"{claim.metric}: {claim.system} {a.value} less {claim.minus} {b.value} is {made}, "
            f"{'and' if good else 'but'} {quoted(claim)} is printed ({claim.place})."
        )
        yield outcome(found, "difference", HOLDS if good else FOUND, [claim, a, b], text)


def _number(found: ClaimSet, system: str, like: Claim) -> Claim | None:
    key = (system, like.metric, like.part, "=", "")
    return next((c for c in found.rows if (c.system, c.metric, c.part, c.relation, c.minus) == key), None)


def unit_rule(found: ClaimSet) -> Iterator[Outcome]:
    """A number printed as a percentage is a share, from 0 to 100 %, and each lies within its metric's range."""
    for claim in found.rows:
        spec = registry().specs("metric").get(claim.metric)
        if claim.relation != "=" or claim.minus or (spec is None and claim.unit != "%"):
            continue
        low, high = spec.range if spec is not None else (0.0, 1.0)
        value = float(raw(claim))
        if claim.unit == "%" and spec is not None and spec.unit != "fraction":
            status, what = FOUND, f"is printed as a percentage, but the metric is no share; its unit is {spec.unit}"
        elif (low is not None and value < low) or (high is not None and value > high):
            status, what = FOUND, f"is outside {low} to {high}"
        else:
            status, what = HOLDS, "is within the range of its metric"
        text = f"{claim.system} {claim.part} {claim.metric}: {quoted(claim)} ({claim.place}) {what}."
        yield outcome(found, "unit", status, [claim], " ".join(text.split()))
