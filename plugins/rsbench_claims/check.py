"""All rules over claim sets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from rsbench.errors import UserError, did_you_mean
from rsbench.registry import registry
from rsbench.specs import ClaimSet
from rsbench_claims.counts import count_rule, predicted_rule, share_rule
from rsbench_claims.finding import INCONSISTENT, Finding
from rsbench_claims.parts import kappa_rule, mean_rule, minimum_rule, overall_rule, single_typo_rule, sum_rule
from rsbench_claims.relations import column_rule, difference_rule, relation_rule, text_rule, unit_rule

Rule = Callable[[ClaimSet], Iterator[Finding]]

RULES: Final[dict[str, Rule]] = {
    "count": count_rule,
    "share": share_rule,
    "mean": mean_rule,
    "overall": overall_rule,
    "sum": sum_rule,
    "minimum": minimum_rule,
    "kappa": kappa_rule,
    "predicted": predicted_rule,
    "text": text_rule,
    "column": column_rule,
    "relation": relation_rule,
    "difference": difference_rule,
    "unit": unit_rule,
    "single_typo": single_typo_rule,
}


def claim_sets(paper: str | None = None) -> list[ClaimSet]:
    """Return the claim sets of a paper (or the one set of that name), or all, sorted by name.

    Raises:
        UserError: there is none.
    """
    known: dict[str, ClaimSet] = registry().specs("claims")
    found = [known[name] for name in sorted(known) if paper in (None, name, known[name].paper)]
    if paper is not None and not found:
        names = {*known, *(s.paper for s in known.values())}
        raise UserError(f"There are no claims of '{paper}'.{did_you_mean(paper, names)} See: rsbench claims list.")
    return found


def check(sets: Iterable[ClaimSet]) -> list[Finding]:
    """Return every check of every rule, those that hold and those that cannot be decided included."""
    return [finding for found in sets for rule in RULES.values() for finding in rule(found)]


def issues(found: ClaimSet) -> dict[str, list[str]]:
    """Return claim id -> sentences of what was found against it.

    A contradiction is laid to all numbers in it, since it does not say which is wrong; but where a sentence has taken
    another column's number, the table is not to blame, nor is a number for a sentence that misquotes it.
    """
    outcomes = [o for o in check([found]) if o.status == INCONSISTENT and o.rule != "single_typo"]
    misread = {claim for o in outcomes if o.rule == "column" for claim in o.claims[::3]}
    against: dict[str, list[str]] = {}
    for finding in outcomes:
        blamed: Iterable[str] = finding.claims
        if finding.rule == "relation" or (finding.rule == "text" and finding.claims[0] in misread):
            blamed = finding.claims[:1]
        elif finding.rule == "column":
            blamed = misread.intersection(finding.claims)
        for claim in blamed:
            against.setdefault(claim, []).append(f"{finding.rule}: {finding.text}")
    return against
