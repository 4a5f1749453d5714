"""What can be told of reported numbers, as Markdown and JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Final

from rsbench.foreign import in_markdown as escape
from rsbench.specs import to_jsonable
from rsbench_claims.reproduction import PART, POINT, VERDICTS, Entry
from rsbench_claims.rounding import FACTORS, quoted

COLUMNS: Final = (
    "system",
    "number",
    "stated",
    "place",
    "arithmetic",
    "measured here",
    "95 % CI",
    "of",
    "verdict",
)
INTRODUCTION: Final = f"""# What can be reproduced

Of each number that a paper reports: what is stated, what the paper's own arithmetic says, what was measured here, and
the verdict, which follows by rule:

- *contradicts itself*: the paper's digits cannot all be right (`rsbench claims check`); a contradiction counts against
  every number in it where it does not say which is wrong.
- *not measured*: no record here is of that system on that dataset, or it is a sentence about other numbers.
- *cannot be told*: something is known to set the measurement apart (another protocol, recipe or size, a model or recipe
  that is a reconstruction in part), or its interval is wider than {200 * POINT:g} points of a
  share, {200 * PART:g} % of another number.
- *not reproduced*, *reproduced*: nothing known sets the two apart, and the number, as far as its rounding lets one see,
  lies outside or inside of the 95 % interval over test samples and seeds.

A measurement stands beside each number that has one; of several, the one that differs in the fewest known ways.
"""


def page(entries: Sequence[Entry]) -> str:
    """Return the page."""
    parts = [INTRODUCTION, summary(entries), ""]
    for _, group in groupby(entries, key=lambda e: e.claims.name):
        parts += _section([*group])
    return "\n".join(parts)


def summary(entries: Sequence[Entry]) -> str:
    """Return a table of how many numbers of each claim set have which verdict."""
    rows = []
    for name, group in groupby(entries, key=lambda e: e.claims.name):
        counted = Counter(e.verdict for e in group)
        rows.append((f"`{name}`", str(counted.total()), *(str(counted[v] or "") for v in VERDICTS)))
    return _table(("claims", "numbers", *VERDICTS), rows)


def _section(entries: Sequence[Entry]) -> list[str]:
    claims = entries[0].claims
    notes: dict[str, int] = {}
    rows = [(*_cells(e), f"{e.verdict} {_note(e, notes)}".rstrip()) for e in entries]
    texts = [f"{number}. {escape(text)}" for text, number in notes.items()]
    opened = f"The paper leaves open: {'; '.join(claims.left_open)}." if claims.left_open else ""
    head = f"## {claims.name}\n\n{claims.summary} Protocol as stated: {claims.protocol}. {opened}".rstrip()
    table = _table(COLUMNS, rows)
    return [head, "", table, "", *texts, ""]


def _note(entry: Entry, notes: dict[str, int]) -> str:
    """The number of the note that says why; equal ones are one."""
    return f"[{notes.setdefault(entry.why, len(notes) + 1)}]" if entry.why else ""


def _cells(entry: Entry) -> tuple[str, ...]:
    claim, measured = entry.claim, entry.measured
    system = claim.system + (f" less {claim.minus}" if claim.minus else "")
    number = f"{claim.metric}[{claim.part}]" if claim.part else claim.metric
    stated = (f"{claim.relation} " if claim.relation != "=" else "") + quoted(claim)
    arithmetic = "does not hold" if entry.issues else f"holds: {', '.join(entry.holds)}" if entry.holds else ""
    if measured is None:
        return system, number, stated, claim.place, arithmetic, "", "", ""
    times, digits = 1 / float(FACTORS[claim.unit]), 4 if claim.unit == "" else 2
    interval = "" if measured.interval is None else " to ".join(f"{times * v:.{digits}f}" for v in measured.interval)
    seeds = "1 seed" if measured.seeds == 1 else f"{measured.seeds} seeds"
    of = f"{measured.configuration} by {measured.recipe}, {measured.protocol}, {seeds}"
    return system, number, stated, claim.place, arithmetic, f"{times * measured.measured:.{digits}f}", interval, of


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(map(escape, line))} |" for line in lines)


def json_of(entries: Sequence[Entry]) -> str:
    """Return the entries as a JSON list."""
    made = [
        {
            "claims": e.claims.name,
            "claim": to_jsonable(e.claim),
            "measured": asdict(e.measured) if e.measured else None,
            "issues": e.issues,
            "holds": e.holds,
            "verdict": e.verdict,
            "why": e.why,
        }
        for e in entries
    ]
    return json.dumps(made, indent=1) + "\n"
