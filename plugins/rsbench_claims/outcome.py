"""What a rule says of claims."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rsbench.specs import Claim, ClaimSet

FOUND: Final = "found"
HOLDS: Final = "holds"
OPEN: Final = "open"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One check.

    status: ``found`` (the numbers contradict each other), ``holds``, or ``open`` (what is known does not decide).
    claims: ids within the set.  text: one sentence with the numbers.
    """

    set: str
    paper: str
    rule: str
    status: str
    claims: tuple[str, ...]
    text: str


def outcome(found: ClaimSet, rule: str, status: str, claims: list[Claim], text: str) -> Outcome:
    """Return an outcome about some claims of a set.

    What rests on a recalled number is never ``found``: the number may be what is wrong.
    """
    if status == FOUND and any(c.certainty == "recalled" for c in claims):
        status, text = OPEN, f"{text.removesuffix('.')}; a number here is recalled, so look it up first."
    return Outcome(found.name, found.paper, rule, status, tuple(c.id for c in claims), text)
