"""The boards of speed, as ``leaderboard --throughput`` and ``leaderboard --time-to`` write them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from rsbench.errors import UserError
from rsbench.files import write_atomically
from rsbench.foreign import printable


def throughput(paths: Sequence[Path], format_: str, output: Path | None, check: bool, **filters: str | None) -> None:
    """Print or write the board of the throughput records below *paths*, or *check* that *output* is it.

    Raises:
        UserError: there is no such format, or nothing to check.
    """
    from rsbench.leaderboard.render.throughput import RENDER
    from rsbench.leaderboard.throughput import build

    def made(records: Any, unreadable: int) -> Any:
        return build(records, unreadable=unreadable, **filters)

    _write(paths, made, _render("throughput", RENDER, format_), output, check)


def time_to(
    paths: Sequence[Path],
    targets: Sequence[float],
    format_: str,
    output: Path | None,
    check: bool,
    **filters: str | None,
) -> None:
    """Do the same with the board of time to accuracy; without *targets*, to those that the protocols declare.

    Raises:
        UserError: there is no such format, nothing to check, or an accuracy is not a share.
    """
    from rsbench.leaderboard.render.time_to import RENDER
    from rsbench.leaderboard.time_to import build

    def made(records: Any, unreadable: int) -> Any:
        board = build(records, targets, unreadable=unreadable, **filters)
        if board.tables and max(targets, default=0) > 1 and {t.score for t in board.tables} == {"val_accuracy"}:
            raise UserError("--target is a share for accuracies: 0.97 stands for 97 %.")
        return board

    _write(paths, made, _render("time to accuracy", RENDER, format_), output, check)


def _render(board: str, known: Mapping[str, Callable[[Any], str]], format_: str) -> Callable[[Any], str]:
    if format_ not in known:
        raise UserError(f"The board of {board} comes as {', '.join(known)}, not as '{format_}'.")
    return lambda board: printable(known[format_](board))


def _write(
    paths: Sequence[Path],
    build: Callable[[Any, int], Any],
    render: Callable[[Any], str],
    output: Path | None,
    check: bool,
) -> None:
    """Build the board of the records below *paths*, tell what is not on it, and hand it over."""
    from rsbench.records.store import load_all

    if check and output is None:
        raise UserError("--check needs --output FILE to compare with.")
    problems: list[str] = []
    found = load_all(paths, problems)
    board = build(found, len(problems))
    for problem in (*problems, *board.problems):
        typer.echo(f"rsbench: {problem}", err=True)
    text = render(board)
    if output is None:
        typer.echo(text, nl=False)
    elif not check:
        write_atomically(output, text)
    elif not output.is_file() or output.read_text(encoding="utf-8") != text:
        typer.echo(f"rsbench: {output} is out of date: run the same command without --check.", err=True)
        raise typer.Exit(1)
