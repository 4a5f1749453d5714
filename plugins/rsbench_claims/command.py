"""``claims``: what papers report, whether it adds up, and what was measured."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsbench.cli.lazy import add
from rsbench.registry import registry

if TYPE_CHECKING:
    from rsbench.specs import ClaimSet
    from rsbench_claims.compare import ClaimComparison
    from rsbench_claims.finding import Finding


def _papers(incomplete: str) -> list[str]:
    known = registry().specs("claims")
    return sorted(n for n in {*known, *(s.paper for s in known.values())} if n.startswith(incomplete))


Paper = Annotated[
    str | None, typer.Argument(help="Paper, or one of its claim sets. Default: all.", autocompletion=_papers)
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer, chosen: str | None = None) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="List what papers report, check its arithmetic, set it beside what was measured.", no_args_is_help=True
    )
    commands: tuple[tuple[str, Callable[..., None]], ...] = (
        ("list", list_),
        ("check", check),
        ("compare", compare),
        ("report", report),
    )
    for name, function in commands:
        add(group, name, function, None if chosen in (None, "claims") else "")
    app.add_typer(group, name="claims")


def list_(paper: Paper = None, as_json: Json = False) -> None:
    """List the claim sets, or all numbers of a paper with place, protocol as stated and what is left open.

    Examples: rsbench claims list; rsbench claims list spatialnet-vit; rsbench claims list bmta --json
    """
    from rsbench.specs import to_jsonable
    from rsbench_claims.check import claim_sets

    sets = claim_sets(paper)
    if as_json:
        typer.echo(json.dumps([to_jsonable(found) for found in sets], indent=1))
    elif paper is None:
        width = max((len(found.name) for found in sets), default=0)
        for found in sets:
            typer.echo(f"{found.name:<{width}}  {len(found.rows):>3} numbers  {found.summary}  [paper {found.paper}]")
    else:
        for found in sets:
            _show(found)


def _show(found: ClaimSet) -> None:
    from rich.console import Console
    from rich.text import Text

    from rsbench_claims.rounding import quoted

    console = Console(highlight=False)
    facts = {
        "paper": found.citation,
        "dataset": found.dataset,
        "protocol as stated": found.protocol,
        "nearest protocol here": found.measured_by or "none",
        "left open": "; ".join(found.left_open),
    }
    console.print(Text(f"{found.name}: {found.summary}"))
    for name, value in facts.items():
        console.print(Text(f"  {name}: {value}"))
    rows = [
        (
            c.system + (f" less {c.minus}" if c.minus else ""),
            f"{c.metric}[{c.part}]" if c.part else c.metric,
            (f"{c.relation} " if c.relation != "=" else "") + quoted(c),
            c.place,
            c.certainty,
            c.note,
        )
        for c in found.rows
    ]
    _table(("system", "metric", "reported", "place", "certainty", "note"), rows, right=(2,))


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[int]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for k, heading in enumerate(headings):
        narrow = k in right or heading == "metric"
        table.add_column(heading, justify="right" if k in right else "left", overflow="fold", no_wrap=narrow)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console(highlight=False).print(table)


def check(
    paper: Paper = None,
    as_json: Json = False,
    all_: Annotated[bool, typer.Option("--all", help="Show what holds and what cannot be decided too.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 if anything is found.")] = False,
) -> None:
    """Check the arithmetic of reported numbers, on their digits as printed.

    Is there a count that gives a percentage?  Is an average the mean of its parts, an overall that of its parts by
    their counts?  Does a text say what its table says, or what another column says?  Can a confusion matrix with these
    class rows have this kappa?  The exit code is 0 whatever is found; with --strict it is 1 where something is.

    Examples: rsbench claims check; rsbench claims check bmta --all; rsbench claims check --json --strict
    """
    from rsbench_claims.check import check as check_sets
    from rsbench_claims.check import claim_sets
    from rsbench_claims.finding import INCONSISTENT

    sets = claim_sets(paper)
    outcomes = check_sets(sets)
    shown = [o for o in outcomes if all_ or o.status == INCONSISTENT]
    if as_json:
        typer.echo(json.dumps([asdict(o) for o in shown], indent=1))
    else:
        _print_outcomes(sets, outcomes, shown)
    if strict and any(o.status == INCONSISTENT for o in outcomes):
        raise typer.Exit(1)


def _print_outcomes(sets: Sequence[ClaimSet], outcomes: Sequence[Finding], shown: Sequence[Finding]) -> None:
    from rsbench_claims.finding import CONSISTENT, INCONSISTENT, UNDECIDABLE

    for found in sets:
        own = Counter(o.status for o in outcomes if o.set == found.name)
        typer.echo(
            f"{found.name}: {len(found.rows)} numbers; {own[INCONSISTENT]} inconsistent, "
            f"{own[CONSISTENT]} consistent, {own[UNDECIDABLE]} undecidable"
        )
        for o in shown:
            if o.set == found.name:
                typer.echo(f"  {o.status:<12}  {o.rule:<11}  {o.text}")


def compare(
    records: Annotated[list[Path], typer.Argument(help="Records or folders of them.")],
    paper: Annotated[str | None, typer.Option(help="Only this paper or claim set.", autocompletion=_papers)] = None,
    as_json: Json = False,
) -> None:
    """Set reported numbers beside measured ones, with the interval and what sets them apart.

    A measured number is the mean over seeds; its interval is 95 % of the test sample.

    Examples: rsbench claims compare benchmarks/records; rsbench claims compare rsbench-results --paper bmta --json
    """
    from rsbench.records.store import load_all
    from rsbench_claims.check import claim_sets
    from rsbench_claims.compare import compare as compare_records
    from rsbench_claims.compare import not_measured

    sets = claim_sets(paper)
    problems: list[str] = []
    made = compare_records(load_all(records, problems), sets, problems)
    for problem in problems:
        typer.echo(f"rsbench: {problem}", err=True)
    if as_json:
        typer.echo(json.dumps([asdict(b) for b in made], indent=1))
        return
    for _, rows in groupby(made, key=lambda b: (b.claims, b.system, b.configuration, b.recipe, b.protocol)):
        _print_beside(list(rows))
    for name, systems in not_measured(made, sets).items():
        typer.echo(f"Not measured in these records, {name}: {'; '.join(systems)}.")


def report(
    records: Annotated[list[Path], typer.Argument(help="Records or folders of them.")],
    paper: Annotated[str | None, typer.Option(help="Only this paper or claim set.", autocompletion=_papers)] = None,
    output: Annotated[Path | None, typer.Option(help="Write Markdown to this file.")] = None,
    check_: Annotated[bool, typer.Option("--check", help="Fail if --output is not what would be written.")] = False,
    as_json: Json = False,
) -> None:
    """Say of each reported number what can be told: reproduced, not reproduced, cannot be told, contradicts itself.

    The verdict follows from the paper's arithmetic, the protocol, what is known to differ, and the interval of what was
    measured; the page states the rule.

    Examples: rsbench claims report rsbench-results; rsbench claims report benchmarks/records --output reproduction.md
    """
    from rsbench.cli.leaderboard import check_current
    from rsbench.errors import UserError
    from rsbench.files import write_atomically
    from rsbench.records.store import load_all
    from rsbench_claims import render
    from rsbench_claims.check import claim_sets
    from rsbench_claims.reproduction import entries

    if check_ and output is None:
        raise UserError("--check needs --output FILE to compare with.")
    problems: list[str] = []
    found = entries(load_all(records, problems), claim_sets(paper), problems)
    for problem in problems:
        typer.echo(f"rsbench: {problem}", err=True)
    text = render.json_of(found) if as_json else render.page(found)
    if output is None:
        typer.echo(text, nl=False)
    elif check_:
        check_current({output: text.encode()})
    else:
        write_atomically(output, text)


def _print_beside(rows: Sequence[ClaimComparison]) -> None:
    first = rows[0]
    seeds = "1 seed" if first.seeds == 1 else f"{first.seeds} seeds"
    typer.echo(f"{first.claims}: {first.system}")
    typer.echo(f"  beside {first.configuration} by {first.recipe} under {first.protocol}, {first.division}, {seeds}")
    _table(
        ("metric", "place", "reported", "measured", "95 % CI", "difference"),
        map(_cells, rows),
        right=(2, 3, 4, 5),
    )
    for text in dict.fromkeys(reason for row in rows for reason in row.differences):
        typer.echo(f"  differs: {text}")
    if first.left_open:
        typer.echo(f"  the paper leaves open: {'; '.join(first.left_open)}")
    for text in dict.fromkeys(doubt for row in rows for doubt in row.issues):
        typer.echo(f"  reported number in doubt: {text}")
    if not first.differences:
        typer.echo("  nothing is known that sets the two apart")


def _cells(row: ClaimComparison) -> list[str]:
    """Metric, place, reported, measured, interval and difference, in the unit of the paper."""
    from rsbench_claims.rounding import FACTORS

    times = 1 / float(FACTORS[row.unit])
    digits = 4 if row.unit == "" else 2
    interval = "-" if row.interval is None else " - ".join(f"{times * v:.{digits}f}" for v in row.interval)
    return [
        f"{row.metric}[{row.part}]" if row.part else row.metric,
        row.place,
        f"{row.printed} {row.unit}".rstrip(),
        f"{times * row.measured:.{digits}f}",
        interval,
        f"{times * row.difference:+.{digits}f}",
    ]
