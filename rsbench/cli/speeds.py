"""The boards of speed, as ``leaderboard --throughput`` and ``leaderboard --time-to`` write them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from rsbench.cli import hints
from rsbench.containment import contained
from rsbench.errors import UserError
from rsbench.extensions import BoardSpec
from rsbench.files import write_atomically
from rsbench.foreign import printable
from rsbench.registry import registry
from rsbench.specs import load_attribute


def write(name: str, paths: Sequence[Path], format_: str, output: Path | None, check: bool, **filters: object) -> None:
    """Print or write the board called *name* of the records below *paths*, or *check* that *output* is it.

    Args:
        name: of the board, such as ``throughput``.
        paths: records or folders of them.
        format_: of the text.
        output: file to write; ``None`` prints.
        check: fail where *output* is not what would be written, and write nothing.

    Raises:
        UserError: there is no such board or format, or nothing to check.
    """
    from rsbench.records.store import load_all

    if check and output is None:
        raise UserError("--check needs --output FILE to compare with.")
    spec: BoardSpec | None = registry().find("board", name)
    if spec is None:
        raise UserError(f"--{name} needs a plugin that is not installed, or that -p no:NAME leaves out.")
    render = load_attribute(spec.render)
    if format_ not in render:
        raise UserError(f"The board of {spec.title} comes as {', '.join(render)}, not as '{format_}'.")
    problems: list[str] = []
    found = load_all(paths, problems)
    with contained(registry().origin("board", name), f"board '{name}'", limit=False):
        board = load_attribute(spec.build)(found, unreadable=len(problems), **filters)
        text = printable(render[format_](board))
    for problem in (*problems, *board.problems):
        typer.echo(f"rsbench: {problem}", err=True)
    if output is None:
        typer.echo(text, nl=False)
    elif not check:
        write_atomically(output, text)
        hints.files(output)
    elif not output.is_file() or output.read_text(encoding="utf-8") != text:
        typer.echo(f"rsbench: {output} is out of date: run the same command without --check.", err=True)
        raise typer.Exit(1)
