"""What a rule says of claims."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rsbench.specs import Claim, ClaimSet

INCONSISTENT: Final = "inconsistent"
CONSISTENT: Final = "consistent"
UNDECIDABLE: Final = "undecidable"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check.

    status: ``inconsistent`` (the numbers contradict each other), ``consistent``, or ``undecidable`` from what is
        known.  claims: ids within the set.  text: one sentence with the numbers.
    """

    set: str
    paper: str
    rule: str
    status: str
    claims: tuple[str, ...]
    text: str


def finding(found: ClaimSet, rule: str, status: str, claims: list[Claim], text: str) -> Finding:
    """Return a finding about some claims of a set.

    What rests on a recalled number is never ``inconsistent``: the number may be what is wrong.

    Args:
        found: the set.
        rule: that was applied.
        status: ``inconsistent``, ``consistent`` or ``undecidable``.
        claims: that the rule compared.
        text: one sentence with the numbers.
    """
    if status == INCONSISTENT and any(c.certainty == "recalled" for c in claims):
        status, text = UNDECIDABLE, f"{text.removesuffix('.')}; a number here is recalled, so look it up first."
    return Finding(found.name, found.paper, rule, status, tuple(c.id for c in claims), text)
