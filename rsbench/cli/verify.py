"""``verify``: do the records say what their predictions say?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rsbench.cli import lazy


def register(app: typer.Typer, chosen: str | None = None) -> None:
    """Add the command."""
    lazy.add(app, "verify", verify, chosen)


def verify(records: Annotated[list[Path], typer.Argument(help="Records or folders of them.")]) -> None:
    """Recompute every metric and interval of records from their stored predictions.

    Example: rsbench verify benchmarks/records
    """
    from rsbench.records.store import load_all
    from rsbench.records.verify import verify as verify_one

    problems: list[str] = []
    loaded = load_all(records, problems)
    for problem in problems:
        typer.echo(f"rsbench: {problem}", err=True)
    failed = bool(problems)
    for one in loaded:
        for line in verify_one(one):
            typer.echo(f"{one.record['run_id']}: {line}", err=True)
            failed = True
    if failed:
        raise typer.Exit(1)
    count = "1 record is" if len(loaded) == 1 else f"{len(loaded)} records are"
    typer.echo(f"{count} what their predictions say.")
