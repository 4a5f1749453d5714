"""What can be told of each reported number, from the paper's own arithmetic and from what was measured here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from rsbench.records.store import LoadedRecord
from rsbench.specs import Claim, ClaimSet
from rsbench_claims.check import check, issues
from rsbench_claims.compare import ClaimComparison, compare
from rsbench_claims.finding import CONSISTENT
from rsbench_claims.rounding import span

REPRODUCED: Final = "reproduced"
NOT_REPRODUCED: Final = "not reproduced"
UNTOLD: Final = "cannot be told"
CONTRADICTS: Final = "contradicts itself"
UNMEASURED: Final = "not measured"
VERDICTS: Final = (REPRODUCED, NOT_REPRODUCED, UNTOLD, CONTRADICTS, UNMEASURED)

POINT: Final = 0.01  # half of the widest interval of a share that can reproduce one
PART: Final = 0.05  # the same of other numbers, as a part of the number reported


@dataclass(frozen=True)
class Entry:
    """A reported number and what can be told of it.

    Attributes:
        issues: what is wrong with it by the paper's own arithmetic; holds: the rules of arithmetic that it passes.
        measured: the measurement that differs from it in the fewest known ways.
        verdict: one of :data:`VERDICTS`; why: a sentence's end.
    """

    claims: ClaimSet
    claim: Claim
    issues: tuple[str, ...]
    holds: tuple[str, ...]
    measured: ClaimComparison | None
    verdict: str
    why: str


def entries(
    records: Sequence[LoadedRecord], sets: Sequence[ClaimSet], problems: list[str] | None = None
) -> list[Entry]:
    """Return an entry for each number that papers report, in their order.

    Args:
        records: what was measured.
        sets: what is reported.
        problems: gets a line for each record that is left out.
    """
    beside: dict[tuple[str, ...], list[ClaimComparison]] = {}
    for one in compare(records, sets, problems):
        beside.setdefault((one.claims, one.place, one.system, one.metric, one.part), []).append(one)
    return [entry for found in sets for entry in _of_set(found, beside)]


def _of_set(found: ClaimSet, beside: dict[tuple[str, ...], list[ClaimComparison]]) -> Iterator[Entry]:
    against = issues(found)
    passed = [o for o in check([found]) if o.status == CONSISTENT]
    for claim in found.rows:
        wrong = tuple(against.get(claim.id, ()))
        plain = claim.relation == "=" and not claim.minus
        key = (found.name, claim.place, claim.system, claim.metric, claim.part)
        measured = min(beside.get(key, ()) if plain else (), key=_distance, default=None)
        holds = tuple(dict.fromkeys(o.rule for o in passed if claim.id in o.claims))
        yield Entry(found, claim, wrong, holds, measured, *_verdict(claim, wrong, measured))


def _distance(one: ClaimComparison) -> tuple[int, int, str, str]:
    return len(one.differences), -one.seeds, one.configuration, one.recipe


def _verdict(claim: Claim, issues: Sequence[str], measured: ClaimComparison | None) -> tuple[str, str]:
    """The verdict and why; see the paragraph of the page that states the rule."""
    if issues:
        return CONTRADICTS, "; ".join(issues)
    if measured is None:
        return UNMEASURED, ""
    if measured.differences:
        return UNTOLD, "; ".join(measured.differences)
    reported = span(claim)
    low, high = measured.interval or (measured.measured, measured.measured)
    if high < reported.low or low > reported.high:
        return NOT_REPRODUCED, "it lies outside the interval of what was measured"
    widest = PART * abs(measured.reported) if claim.unit not in ("%", "") or measured.reported > 1 else POINT
    if (high - low) / 2 > widest:
        return UNTOLD, f"the interval of what was measured is wider than {2 * widest:.4g}"
    return REPRODUCED, "it lies in the interval of what was measured"
