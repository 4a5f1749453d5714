"""Rules ``relation``, ``difference`` and ``unit``: what a sentence says about numbers that are printed elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from operator import gt, lt

from rsbench.registry import registry
from rsbench.specs import Claim, ClaimSet
from rsbench_claims.finding import CONSISTENT, INCONSISTENT, UNDECIDABLE, Finding, finding
from rsbench_claims.rounding import quoted, raw, shown, span


def relation_rule(found: ClaimSet) -> Iterator[Finding]:
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
                yield finding(found, "relation", CONSISTENT if good else INCONSISTENT, [bound, claim], text)


def _of_difference(found: ClaimSet, bound: Claim) -> Iterator[Finding]:
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
    yield finding(found, "relation", CONSISTENT if good else INCONSISTENT, [bound, a, b], text)


def _same(bound: Claim, claim: Claim) -> bool:
    parts = bool(claim.part) if bound.part == "*" else claim.part == bound.part
    return parts and (claim.system, claim.metric, claim.minus) == (bound.system, bound.metric, bound.minus)


def difference_rule(found: ClaimSet) -> Iterator[Finding]:
    """A difference of two systems is that of their printed numbers."""
    for claim in found.rows:
        if not claim.minus or claim.relation != "=":
            continue
        a, b = (_number(found, system, claim) for system in (claim.system, claim.minus))
        if a is None or b is None:
            text = f"{claim.system} less {claim.minus}, {claim.metric}: not both numbers are given."
            yield finding(found, "difference", UNDECIDABLE, [claim], text)
            continue
        good = span(a).less(span(b)).meets(span(claim))
        made = shown(raw(a) - raw(b), claim, 0)
        text = (
            f"{claim.metric}: {claim.system} {a.value} less {claim.minus} {b.value} is {made}, "
            f"{'and' if good else 'but'} {quoted(claim)} is printed ({claim.place})."
        )
        yield finding(found, "difference", CONSISTENT if good else INCONSISTENT, [claim, a, b], text)


def _number(found: ClaimSet, system: str, like: Claim) -> Claim | None:
    key = (system, like.metric, like.part, "=", "")
    return next((c for c in found.rows if (c.system, c.metric, c.part, c.relation, c.minus) == key), None)


def unit_rule(found: ClaimSet) -> Iterator[Finding]:
    """A number printed as a percentage is a share, from 0 to 100 %, and each lies within its metric's range."""
    for claim in found.rows:
        spec = registry().specs("metric").get(claim.metric)
        if claim.relation != "=" or claim.minus or (spec is None and claim.unit != "%"):
            continue
        low, high = spec.range if spec is not None else (0.0, 1.0)
        value = float(raw(claim))
        if claim.unit == "%" and spec is not None and spec.unit != "fraction":
            status, what = (
                INCONSISTENT,
                f"is printed as a percentage, but the metric is no share; its unit is {spec.unit}",
            )
        elif (low is not None and value < low) or (high is not None and value > high):
            status, what = INCONSISTENT, f"is outside {low} to {high}"
        else:
            status, what = CONSISTENT, "is within the range of its metric"
        text = f"{claim.system} {claim.part} {claim.metric}: {quoted(claim)} ({claim.place}) {what}."
        yield finding(found, "unit", status, [claim], " ".join(text.split()))


def _twins(found: ClaimSet) -> Iterator[tuple[Claim, Claim]]:
    """Yield (table, other place) for each number that is printed more than once; the first stands for a table."""
    places: dict[tuple[str, ...], list[Claim]] = {}
    for claim in found.rows:
        if claim.relation == "=":
            places.setdefault((claim.system, claim.minus, claim.metric, claim.part), []).append(claim)
    for claims in places.values():
        first = next((c for c in claims if _is_table(c)), claims[0])
        yield from ((first, claim) for claim in claims if claim is not first)


def _is_table(claim: Claim) -> bool:
    return claim.place.startswith("table")


def text_rule(found: ClaimSet) -> Iterator[Finding]:
    """A number in the text is the one in the table, if it is printed with fewer digits too."""
    for first, other in _twins(found):
        agree = span(first).overlaps(span(other))
        name = " ".join(word for word in (first.system, first.part, first.metric) if word)
        verb = "agrees with" if agree else "against"
        text = f"{name}: {quoted(other)} ({other.place}) {verb} {quoted(first)} ({first.place})."
        yield finding(found, "text", CONSISTENT if agree else INCONSISTENT, [other, first], text)


def column_rule(found: ClaimSet) -> Iterator[Finding]:
    """A number in the text is not that of another column of the table; systems of one mix-up are told together."""
    mixed: dict[tuple[str, str, str, str], list[tuple[Claim, Claim, Claim]]] = {}
    for first, other in _twins(found):
        if not _is_table(first) or span(first).overlaps(span(other)):
            continue
        column = _column(found, first, other)
        if column is None:
            text = f"{other.system} {other.metric}: {quoted(other)} ({other.place}) is no other column's number."
            yield finding(found, "column", CONSISTENT, [other], text)
        else:
            key = (other.place, first.place, other.part or other.metric, column.part or column.metric)
            mixed.setdefault(key, []).append((other, column, first))
    for (place, table, metric, column_name), cases in mixed.items():
        values = "; ".join(f"{o.system} {o.value} (its {metric} there is {f.value})" for o, _, f in cases)
        text = f"{place} gives as {metric} what {table} has as {column_name}: {values}."
        yield finding(found, "column", INCONSISTENT, [claim for case in cases for claim in case], text)


def _column(found: ClaimSet, first: Claim, other: Claim) -> Claim | None:
    """The number in the row of the table that has the digits of the text, under another name."""
    row = (c for c in found.rows if (c.system, c.place, c.relation) == (first.system, first.place, "="))
    return next((c for c in row if c is not first and c.value == other.value), None)
