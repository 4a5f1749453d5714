"""``compare``: is one system better than another?"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsbench.cli import lazy
from rsbench.foreign import printable
from rsbench.metrics.display import factor, p_value, shown

if TYPE_CHECKING:
    from rsbench.leaderboard.compare import Comparison, Difference


def register(app: typer.Typer, chosen: str | None = None) -> None:
    """Add the command."""
    lazy.add(app, "compare", compare, chosen)


def compare(
    a: Annotated[str, typer.Argument(help="Record, folder of records, or pattern: the seeds of one system.")],
    b: Annotated[str, typer.Argument(help="The same of another system.")],
    pool: Annotated[
        list[Path] | None,
        typer.Option(
            help="Records, or folders of them, that tell how much seeds do. Default: the folders beside those of A and "
            "B, as on a board of them."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare two systems on the same test samples, over test samples and training seeds.

    Every metric's difference A - B has a 95 % interval and a p-value by a t test (questions about one image count
    together); accuracies also per class or question type, and by McNemar's exact test for single runs.  How much seeds
    do is learned from all systems under the protocol: p is that of a board of the same records, before Holm's
    correction.  A single run of which nothing more is known has no p.

    Examples:

      rsbench compare 'rsbench-results/eurosat-bmta-*' 'rsbench-results/eurosat-cbam-cnn-*'

      rsbench compare results/A/record.json results/B/record.json --json
    """
    from rsbench.leaderboard.compare import compare as compare_records
    from rsbench.leaderboard.compare import siblings
    from rsbench.leaderboard.members import usable
    from rsbench.records.store import load_all

    problems: list[str] = []
    sides = [usable(load_all(_paths(side), problems), problems) for side in (a, b)]
    for problem in problems:
        typer.echo(f"rsbench: {problem}", err=True)
    beside = siblings([*sides[0], *sides[1]]) if pool is None else load_all(pool, problems=[])
    found = compare_records(sides[0], sides[1], beside)
    if as_json:
        typer.echo(json.dumps(asdict(found), indent=1))
        return
    _print(found)


def _paths(text: str) -> list[Path]:
    """Paths that match a pattern, or the path itself."""
    from glob import glob

    return [Path(p) for p in sorted(glob(text))] or [Path(text)]


def _print(found: Comparison) -> None:
    from rich.console import Console

    from rsbench.leaderboard.render.sheet import Sheet, terminal

    sheets, names = [], ["", "A", "B", "A - B", "95 % CI", "p"]
    if found.metrics:
        sheets.append(Sheet("metrics", names, [*map(_cells, found.metrics)], names[:1]))
    if found.groups:
        rows = [[*_cells(row), str(row.n)] for row in found.groups]
        sheets.append(Sheet("accuracy, p corrected by Holm", [*names, "n"], rows, names[:1]))
    first, closing = found.metrics[0], []
    if (m := found.mcnemar) is not None:
        closing.append(f"McNemar: {m.only_a} only A correct, {m.only_b} only B correct; p = {m.p:.4g}.")
    least = f"{shown(found.detectable, first.unit)} {factor(first.unit)[1]} in {first.name}"
    closing += [_basis(found), f"Minimum detectable difference at 80 % power: {least}."]
    sides = f"A: {found.a}\nB: {found.b}\nunder {found.protocol}, {first.n} test samples\n"
    text = terminal(lambda room: sheets, "\n".join(closing), Console().width)
    typer.echo(printable(sides + text), nl=False)


def _cells(row: Difference) -> list[str]:
    """Name with the factor of the values, values, difference, interval and p."""
    sign = factor(row.unit)[1]
    name = f"{row.name} ({sign})" if sign else row.name
    low, value, high = (_signed(v, row.unit) for v in (row.low, row.value, row.high))
    values = [shown(v, row.unit) for v in (row.a, row.b)]
    return [name, *values, value, f"{low} to {high}", "-" if row.p is None else p_value(row.p)]


def _basis(found: Comparison) -> str:
    """One sentence on what intervals and p-values rest on."""
    if found.metrics[0].p is None:
        return (
            "One seed, and too few systems of several seeds beside it: intervals are over test samples alone, and p is "
            "not known."
        )
    pooled = f"is pooled over systems with {found.pool.df:.0f} degrees of freedom" if found.pool.df else "is nothing"
    return (
        f"Intervals and p are over test samples and training seeds (moderated t, Smyth 2004); what seeds do {pooled}."
    )


def _signed(value: float, unit: str) -> str:
    times, sign = factor(unit)
    return f"{times * value:+.2f}" if sign else f"{value:+.4f}"
