"""Boards of something else than scores, which plugins have: options of ``leaderboard``, and what these write."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from rsbench.cli import hints
from rsbench.cli.how import Command, parameter, spread
from rsbench.containment import contained
from rsbench.errors import UserError
from rsbench.extensions import BoardSpec
from rsbench.files import write_atomically
from rsbench.foreign import printable
from rsbench.registry import registry
from rsbench.specs import load_attribute


@dataclass(frozen=True, slots=True)
class Asked:
    """The boards that are asked for, and the options of boards that are given."""

    boards: Sequence[BoardSpec] = ()
    numbers: Mapping[str, Sequence[float]] = field(default_factory=dict)


def with_boards(function: Command) -> Command:
    """Return a command with the options of all boards in place of its parameter ``asked``."""
    boards = registry().specs("board")

    def gather(values: dict[str, Any]) -> Asked:
        flags = [spec for name, spec in boards.items() if values.pop(_variable(name))]
        return Asked(flags, {name: value for name, value in values.items() if value})

    command = spread(function, "asked", [*_options(boards.values())], gather)
    examples = [f"      {example}" for spec in boards.values() for example in spec.examples]
    command.__doc__ = "\n\n".join([(function.__doc__ or "").rstrip(), *examples])
    return command


def _variable(name: str) -> str:
    return name.replace("-", "_")


def _options(boards: Iterable[BoardSpec]) -> Iterable[inspect.Parameter]:
    own: dict[str, tuple[BoardSpec, str, str]] = {}
    for spec in boards:
        flag = typer.Option(f"--{spec.name}", help=spec.summary)
        yield parameter(_variable(spec.name), False, Annotated[bool, flag])
        own |= {name: (spec, *told) for name, told in spec.numbers.items()}
    for name, (spec, metavar, said) in own.items():
        option = typer.Option(f"--{name}", metavar=metavar, help=f"--{spec.name}: {said}")
        yield parameter(name, None, Annotated[list[float] | None, option])


def chosen(asked: Asked, filters: Mapping[str, object]) -> BoardSpec | None:
    """Return the board that is asked for, ``None`` where it is that of scores.

    Raises:
        UserError: it does not go with another option that is given.
    """
    if not asked.boards:
        if name := next(iter(asked.numbers), None):
            fitting = [spec.name for spec in registry().specs("board").values() if name in spec.numbers]
            raise UserError(f"--{name} goes with --{' or --'.join(fitting)}.")
        return None
    spec, *others = asked.boards
    known = (*spec.takes, *spec.numbers)
    given = {*asked.numbers, *(name for name, value in filters.items() if value)}
    if others or given - {*known}:
        options = ", ".join(f"--{name}" for name in (*known, "format", "output"))
        raise UserError(f"--{spec.name} goes with {options} and --check alone.")
    return spec


def write(
    spec: BoardSpec, paths: Sequence[Path], format_: str, output: Path | None, check: bool, **filters: object
) -> None:
    """Print or write a board of the records below *paths*.

    Args:
        spec: the board.
        paths: records or folders of them.
        format_: one of those that the board has.
        output: a file to write to.
        check: whether to see if *output* is the board, and write nothing.
        filters: as the board takes them.

    Raises:
        UserError: there is no such format, or nothing to check.
    """
    from rsbench.records.store import load_all

    if check and output is None:
        raise UserError("--check needs --output FILE to compare with.")
    render = load_attribute(spec.render)
    if format_ not in render:
        raise UserError(f"The board of {spec.title} comes as {', '.join(render)}, not as '{format_}'.")
    problems: list[str] = []
    found = load_all(paths, problems)
    with contained(registry().origin("board", spec.name), f"board '{spec.name}'", limit=False):
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
