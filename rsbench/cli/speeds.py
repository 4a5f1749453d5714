"""The board of throughput, as ``leaderboard --throughput`` writes it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from rsbench.errors import UserError


def board(
    paths: Sequence[Path],
    format_: str,
    output: Path | None,
    check: bool,
    *,
    task: str | None = None,
    tag: str | None = None,
) -> None:
    """Print or write the board of the throughput records below *paths*, or *check* that *output* is it.

    Raises:
        UserError: there is no such format, or nothing to check.
    """
    from rsbench.leaderboard.render.throughput import RENDER
    from rsbench.leaderboard.throughput import build
    from rsbench.records.store import load_all

    if format_ not in RENDER:
        raise UserError(f"The board of throughput comes as {', '.join(RENDER)}, not as '{format_}'.")
    if check and output is None:
        raise UserError("--check needs --output FILE to compare with.")
    problems: list[str] = []
    made = build(load_all(paths, problems), task=task, tag=tag)
    for problem in (*problems, *made.problems):
        typer.echo(f"rsbench: {problem}", err=True)
    text = RENDER[format_](made)
    if output is None:
        typer.echo(text, nl=False)
    elif not check:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text, encoding="utf-8")
    elif not output.is_file() or output.read_text(encoding="utf-8") != text:
        typer.echo(f"rsbench: {output} is out of date: run the same command without --check.", err=True)
        raise typer.Exit(1)
