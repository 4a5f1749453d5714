"""Rules ``text`` and ``column``: one number in several places of a paper."""

from __future__ import annotations

from collections.abc import Iterator

from rsbench.claims.outcome import FOUND, HOLDS, Outcome, outcome
from rsbench.claims.printed import quoted, span
from rsbench.specs import Claim, ClaimSet


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


def text_rule(found: ClaimSet) -> Iterator[Outcome]:
    """A number in the text is the one in the table, if it is printed with fewer digits too."""
    for first, other in _twins(found):
        agree = span(first).overlaps(span(other))
        name = " ".join(word for word in (first.system, first.part, first.metric) if word)
        verb = "agrees with" if agree else "against"
        text = f"{name}: {quoted(other)} ({other.place}) {verb} {quoted(first)} ({first.place})."
        yield outcome(found, "text", HOLDS if agree else FOUND, [other, first], text)


def column_rule(found: ClaimSet) -> Iterator[Outcome]:
    """A number in the text is not that of another column of the table; systems of one mix-up are told together."""
    mixed: dict[tuple[str, str, str, str], list[tuple[Claim, Claim, Claim]]] = {}
    for first, other in _twins(found):
        if not _is_table(first) or span(first).overlaps(span(other)):
            continue
        column = _column(found, first, other)
        if column is None:
            text = f"{other.system} {other.metric}: {quoted(other)} ({other.place}) is no other column's number."
            yield outcome(found, "column", HOLDS, [other], text)
        else:
            key = (other.place, first.place, other.part or other.metric, column.part or column.metric)
            mixed.setdefault(key, []).append((other, column, first))
    for (place, table, metric, column_name), cases in mixed.items():
        values = "; ".join(f"{o.system} {o.value} (its {metric} there is {f.value})" for o, _, f in cases)
        text = f"{place} gives as {metric} what {table} has as {column_name}: {values}."
        yield outcome(found, "column", FOUND, [claim for case in cases for claim in case], text)


def _column(found: ClaimSet, first: Claim, other: Claim) -> Claim | None:
    """The number in the row of the table that has the digits of the text, under another name."""
    row = (c for c in found.rows if (c.system, c.place, c.relation) == (first.system, first.place, "="))
    return next((c for c in row if c is not first and c.value == other.value), None)
