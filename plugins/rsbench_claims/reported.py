"""What papers report under the protocol of a table: published numbers, never ranked among measured ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rsbench.leaderboard.aggregate import Table
from rsbench.leaderboard.remark import Remark
from rsbench.registry import registry
from rsbench.specs import Claim, ClaimSet
from rsbench_claims.check import issues


@dataclass(frozen=True)
class Reported:
    """A published value of the primary metric.

    Attributes:
        printed: its digits and unit, as in the paper.
        doubted: the paper's own arithmetic contradicts it.
        recalled: it has been remembered, not read.
    """

    system: str
    printed: str
    paper: str
    place: str
    doubted: bool
    recalled: bool


def reported(table: Table) -> list[Reported]:
    """Return the published values of the table's primary metric, for its dataset and protocol, paper by paper; one that
    a paper repeats, once."""
    found: dict[tuple[str, ...], Reported] = {}
    sets: dict[str, ClaimSet] = registry().specs("claims")
    for _, claims in sorted(sets.items()):
        if claims.dataset == table.dataset:
            against = issues(claims)
            for claim in (c for c in claims.rows if _fits(claims, c, table)):
                one = _reported(claims, claim, bool(against.get(claim.id)))
                found.setdefault((one.paper, one.system, one.printed), one)
    return [*found.values()]


def published(table: Table) -> list[Remark]:
    """One sentence, or small table, for each paper that reports the primary metric under the table's protocol."""
    papers: dict[str, dict[tuple[str, str, str], None]] = {}
    for one in reported(table):
        remarks = [one.place, *(["recalled, not read"] if one.recalled else ())]
        remarks += ["contradicted by the paper's own numbers"] if one.doubted else []
        papers.setdefault(one.paper, {})[one.system, one.printed, ", ".join(remarks)] = None
    return [_remark(f"Reported, not measured here, by {paper}", [*rows]) for paper, rows in papers.items()]


def _remark(title: str, rows: Sequence[tuple[str, str, str]]) -> Remark:
    texts = [f"{system} {printed} ({where})" for system, printed, where in rows]
    return Remark(f"{title}: {'; '.join(texts)}.", title, ("System", "Value", "Where"), rows)


def _fits(claims: ClaimSet, claim: Claim, table: Table) -> bool:
    plain = claim.relation == "=" and not claim.minus and not claim.part
    return plain and claim.metric == table.primary and (claim.protocol or claims.measured_by) == table.protocol


def _reported(claims: ClaimSet, claim: Claim, doubted: bool) -> Reported:
    printed = claim.value + {"%": " %", "x100": ""}.get(claim.unit, f" {claim.unit}")
    return Reported(claim.system, printed.strip(), claims.paper, claim.place, doubted, claim.certainty == "recalled")
