"""``verify``: do the records say what their predictions say?"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsbench.cli import lazy
from rsbench.cli.data import bar

if TYPE_CHECKING:
    from rsbench.records.verify import Verdict

WRONG, UNVERIFIED = 1, 3  # exit codes
WORDS = {"recomputed": "recomputed", "agreed": "agreed", "sealed": "sealed only"}


def register(app: typer.Typer, chosen: str | None = None) -> None:
    """Add the command."""
    lazy.add(app, "verify", verify, chosen)


def verify(
    records: Annotated[list[Path], typer.Argument(help="Records or folders of them; links are followed.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found of each record as JSON.")] = False,
) -> None:
    """Hold records against their predictions, their plan, their files and their digest.

    Metrics, intervals, groups and sample ids are recomputed from predictions, speeds from timed windows; units,
    options and checks have to agree with specs, fingerprints, run ids and one another; the rest is sealed only, by the
    digest of the whole record.  Whoever edits a record can make its digest anew: the first two kinds still hold.

    Exit code: 0 where all that was looked at is right; 1 where something is not; 3 where nothing is wrong, but
    something could not be verified (predictions or a plugin are missing, or there is no record of a finished run).

    Examples:

      rsbench verify benchmarks/records

      rsbench verify rsbench-results/eurosat-tiny-cnn-s0-0123abcd
    """
    from rsbench.records.store import record_files
    from rsbench.records.verify import Verifiers

    files, found = record_files(records), []
    with Verifiers() as verifiers, bar("Verifying", "records") as progress:
        for verdict in verifiers.examine(files):
            found.append(verdict)
            progress(len(found), len(files))
    if as_json:
        typer.echo(json.dumps([asdict(verdict) for verdict in found], indent=1))
    else:
        for line in _one(found[0]) if len(found) == 1 else _many(found):
            typer.echo(line)
    for verdict in found:
        for problem in verdict.problems:
            typer.echo(f"{verdict.run_id}: {problem}", err=True)
    states = {verdict.status for verdict in found}
    if "wrong" in states:
        raise typer.Exit(WRONG)
    if "unverified" in states or "verified" not in states:
        raise typer.Exit(UNVERIFIED)


def _one(verdict: Verdict) -> Iterator[str]:
    """What was found of a record, by its parts."""
    if verdict.status == "failed":
        yield "1 failed run: nothing to verify."
        return
    yield f"{verdict.run_id}: {'not right' if verdict.status == 'wrong' else verdict.status}"
    for how, word in WORDS.items():
        parts = ", ".join(f"{part} {n}" for part, n in verdict.leaves.get(how, {}).items())
        yield f"  {word:<11} {verdict.count(how):>6,}  {parts}".rstrip()
    for note in verdict.notes:
        yield f"  {note}"


def _many(found: Sequence[Verdict]) -> Iterator[str]:
    """How many records are right, and what kept the others from being so."""
    states = Counter(verdict.status for verdict in found)
    right = [verdict for verdict in found if verdict.status == "verified"]
    if right:
        fields = ", ".join(f"{sum(v.count(how) for v in right):,} {word}" for how, word in WORDS.items())
        yield f"{_records(len(right))} verified (fields: {fields})."
    if states["wrong"]:
        yield f"{_records(states['wrong'])} not right."
    if states["unverified"]:
        yield f"{_records(states['unverified'])} not verified, for want of something."
    if states["failed"]:
        yield f"{states['failed']} failed run{'s' * (states['failed'] > 1)}: nothing to verify."
    if not found:
        yield "There are no records: nothing to verify."
    for note, count in Counter(note for verdict in found for note in verdict.notes).items():
        yield f"{_records(count)}: {note}"


def _records(count: int) -> str:
    return "1 record" if count == 1 else f"{count:,} records"
