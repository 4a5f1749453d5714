"""``leaderboard``: what the records say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsbench.cli import lazy
from rsbench.errors import UserError

if TYPE_CHECKING:
    from rsbench.leaderboard.board import Board

FORMATS = ("terminal", "markdown", "csv", "json")


def register(app: typer.Typer, chosen: str | None = None) -> None:
    """Add the command."""
    lazy.add(app, "leaderboard", leaderboard, chosen)


def leaderboard(
    records: Annotated[
        list[Path] | None, typer.Argument(help="Records or folders of them. Default: rsbench-results.")
    ] = None,
    task: Annotated[str | None, typer.Option(help="Only this task.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Only this dataset.")] = None,
    protocol: Annotated[str | None, typer.Option(help="Only this protocol.")] = None,
    division: Annotated[str | None, typer.Option(help="closed | open | external")] = None,
    format_: Annotated[str, typer.Option("--format", help=" | ".join(FORMATS))] = "terminal",
    output: Annotated[Path | None, typer.Option(help="Write to this file.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Fail if --output is not what would be written.")] = False,
) -> None:
    """Rank what the records say, one table for each protocol.

    Examples:

      rsbench leaderboard

      rsbench leaderboard benchmarks/records --format markdown --output benchmarks/leaderboards/eurosat.md --check
    """
    from rsbench.leaderboard.board import build
    from rsbench.records.store import load_all

    if format_ not in FORMATS:
        raise UserError(f"'{format_}' is not a format; use {', '.join(FORMATS)}.")
    if check and output is None:
        raise UserError("--check needs --output FILE to compare with.")
    loaded = load_all(records or [Path("rsbench-results")])
    text = _render(build(loaded, task=task, dataset=dataset, protocol=protocol, division=division), format_)
    if output is None:
        typer.echo(text, nl=False)
    elif check:
        if not output.is_file() or output.read_text(encoding="utf-8") != text:
            typer.echo(f"rsbench: {output} is out of date: run the same command without --check.", err=True)
            raise typer.Exit(1)
    else:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text, encoding="utf-8")


def show(paths: Sequence[Path]) -> None:
    """Print the board of these records in the terminal."""
    from rsbench.leaderboard.board import build
    from rsbench.records.store import load_all

    typer.echo(_render(build(load_all(paths)), "terminal"), nl=False)


def _render(board: Board, format_: str) -> str:
    from rsbench.leaderboard.render import data, markdown, terminal

    render = {
        "terminal": terminal.render,
        "markdown": markdown.render,
        "csv": data.render_csv,
        "json": data.render_json,
    }[format_]
    return render(board)
